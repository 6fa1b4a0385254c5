//! Pictures through the trunk, on demand: the thread that asks for the codes of a batch runs the
//! session, and the pictures of the next batches are decoded meanwhile.
//!
//! ```text
//! decoder thread            the thread that pulls
//! (rayon inside) --batch--> session --> codes
//!        ^                     |
//!        +---- empty tensors---+
//! ```

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use super::ThreadsError;
use super::pipeline::{Codes, Inference, QUEUE_DEPTH, decode_all};
use super::prepare::{Batch, Preparer};
use super::same_codes::SameCodesError;
use crate::dataset::Pictures;
use crate::model::{Trunk, TrunkError};
use crate::picture::{DecodeLimits, Preparation};

/// How pictures are decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DecodeOptions {
    pub(crate) preparation: Preparation,
    pub(crate) limits: DecodeLimits,
    /// Threads that decode, at least 1.
    pub(crate) threads: usize,
    /// Pictures in a batch, at least 1.
    pub(crate) batch_size: usize,
}

/// The codes of pictures, in order. Dropping it ends the decoding.
pub(crate) struct PulledCodes<'t> {
    inference: Inference<'t>,
    decoding: Decoding,
}

impl<'t> PulledCodes<'t> {
    /// Starts decoding.
    pub(crate) fn begin(pictures: Pictures, options: DecodeOptions, trunk: &'t mut Trunk) -> Self {
        Self {
            inference: Inference::new(trunk),
            decoding: Decoding::begin(pictures, options),
        }
    }

    /// The codes of the next batch; `None` after the last one.
    ///
    /// # Errors
    /// [`ThreadsError`] before the first batch; [`TrunkError`] or [`SameCodesError`] if a run fails.
    pub(crate) fn next<E>(&mut self) -> Option<Result<Codes, E>>
    where
        E: From<ThreadsError> + From<TrunkError> + From<SameCodesError>,
    {
        Some(match self.decoding.next()? {
            Ok(batch) => self.inference.codes(batch, &self.decoding.spare),
            Err(error) => Err(error.into()),
        })
    }
}

/// Decoders that work on their own thread.
struct Decoding {
    /// `None` after the receiver was dropped.
    batches: Option<Receiver<Result<Batch, ThreadsError>>>,
    spare: Sender<Vec<f32>>,
    thread: Option<JoinHandle<()>>,
}

impl Decoding {
    fn begin(pictures: Pictures, options: DecodeOptions) -> Self {
        let (batches_in, batches) = sync_channel(QUEUE_DEPTH);
        let (spare_in, spare) = channel();
        let decode = move || {
            let DecodeOptions {
                preparation,
                limits,
                threads,
                batch_size,
            } = options;
            match Preparer::new(&pictures, preparation, limits, threads) {
                Ok(preparer) => {
                    let send = |batch| batches_in.send(Ok(batch)).is_ok();
                    decode_all(preparer, &pictures.listed, batch_size, &spare, send);
                }
                // The receiver may be gone already.
                Err(error) => drop(batches_in.send(Err(error))),
            }
        };
        Self {
            batches: Some(batches),
            spare: spare_in,
            thread: Some(thread::spawn(decode)),
        }
    }

    fn next(&mut self) -> Option<Result<Batch, ThreadsError>> {
        if let Ok(batch) = self.batches.as_ref()?.recv() {
            return Some(batch);
        }
        // The decoders have finished, or panicked.
        self.batches = None;
        if let Err(panic) = self.thread.take()?.join() {
            resume_unwind(panic);
        }
        None
    }
}

impl Drop for Decoding {
    /// Waits for the current batch, so that no picture is read afterwards.
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // A panic is ignored here: the result is no longer needed.
            let _ = thread.join();
        }
    }
}
