//! Pictures through the trunk, pulled: who wants the codes of a batch runs the session, and the
//! pictures of the next batches are decoded meanwhile.
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

/// The codes of pictures, in their order. Dropped, it ends the decoding.
pub(crate) struct PulledCodes<'t> {
    inference: Inference<'t>,
    decoding: Decoding,
}

impl<'t> PulledCodes<'t> {
    /// Begins to decode.
    pub(crate) fn begin(pictures: Pictures, options: DecodeOptions, trunk: &'t mut Trunk) -> Self {
        Self {
            inference: Inference::new(trunk),
            decoding: Decoding::begin(pictures, options),
        }
    }

    /// The codes of the next batch; nothing after the last one.
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

/// Decoders at work on a thread of their own.
struct Decoding {
    /// Nothing once nobody wants more.
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
                // Nobody may want it any more.
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
        // The decoders are through, or panicked.
        self.batches = None;
        if let Err(panic) = self.thread.take()?.join() {
            resume_unwind(panic);
        }
        None
    }
}

impl Drop for Decoding {
    /// Waits for the batch at work, so that no picture is read after this.
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // A panic here is nobody's to hear: what it was about is no longer wanted.
            let _ = thread.join();
        }
    }
}
