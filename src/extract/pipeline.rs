//! Runs pictures through the trunk and into a last stage; all stages overlap.
//!
//! ```text
//! decoder thread            this thread            last thread
//! (rayon inside) --batch--> session --codes-->     what the caller makes of them
//!        ^                    |
//!        +---- empty tensors--+
//! ```
//!
//! Both queues are bounded, so memory does not grow with the number of pictures: at most two
//! batches wait in each, and a slow last stage slows the decoders down. Batches keep the order of
//! the pictures, so that the result does not depend on the number of threads.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::prepare::{Batch, Preparer, Usable, failures};
use super::same_codes::{SameCodes, SameCodesError};
use crate::codes::Failure;
use crate::dataset::Picture;
use crate::model::{Trunk, TrunkError};
use crate::progress::{Progress, Watch};

/// Batches that may wait in each queue: making one while another is used is enough to overlap.
pub const QUEUE_DEPTH: usize = 2;

/// One finished batch: the last stage's input.
pub(crate) struct Codes {
    /// The outcome of each picture, in order.
    pub(crate) outcomes: Vec<Result<Usable, Failure>>,
    /// The computed codes, unpooled, as the trunk returns them.
    values: Vec<f32>,
    n_computed: usize,
}

impl Codes {
    /// The computed codes: for each row whose code is not known yet, those of all its views.
    pub(crate) fn computed(&self) -> impl Iterator<Item = &[f32]> {
        let code_len = self.values.len() / self.n_computed.max(1);
        self.values.chunks_exact(code_len.max(1))
    }

    /// How many pictures could not be used.
    fn n_failures(&self) -> usize {
        failures(&self.outcomes).count()
    }
}

/// The first two stages.
pub(crate) struct Pipeline<'a> {
    pub(crate) preparer: Preparer<'a>,
    pub(crate) trunk: &'a mut Trunk,
    /// Pictures in a batch, at least 1.
    pub(crate) batch_size: usize,
}

/// The results of the stages.
pub(crate) struct Ran<T> {
    /// The last stage's result.
    pub(crate) last: T,
    /// How long the decoders were busy.
    pub(super) decode: Duration,
    /// How long the session was busy.
    pub(super) inference: Duration,
    /// Whether it was stopped before the last batch.
    pub(super) is_stopped: bool,
}

impl Pipeline<'_> {
    /// Runs all three stages in parallel, until the last batch is finished or one of them fails.
    ///
    /// Pictures before `first` are skipped. `watch` is told about each batch between the session
    /// and the last stage. When it stops the job, no other batch goes through the session. The last
    /// stage stops the others by dropping its end of the queue.
    pub(crate) fn run<T: Send, E: From<TrunkError> + From<SameCodesError> + Send>(
        self,
        first: usize,
        last: impl FnOnce(Receiver<Codes>) -> Result<T, E> + Send,
        watch: &dyn Watch,
    ) -> Result<Ran<T>, E> {
        let Self {
            preparer,
            trunk,
            batch_size,
        } = self;
        let pictures = &preparer.pictures().listed;
        let progress = Progress {
            done: first,
            done_before: first,
            total: pictures.len(),
            failures: 0,
        };
        let pictures = &pictures[first.min(pictures.len())..];
        let (batches_in, batches) = sync_channel(QUEUE_DEPTH);
        let (codes_in, codes) = sync_channel(QUEUE_DEPTH);
        let (spare_in, spare) = channel();
        thread::scope(|scope| {
            let decoder = scope.spawn(move || {
                let send = |batch| batches_in.send(batch).is_ok();
                decode_all(preparer, pictures, batch_size, &spare, send)
            });
            let last = scope.spawn(move || last(codes));
            // A stage that fails drops its ends of the queues, which stops the others.
            let watched = Watched { progress, watch };
            let inference = infer_all::<E>(trunk, batches, codes_in, &spare_in, watched);
            let decode = decoder.join().expect("the decoder does not panic");
            let last = last.join().expect("the last stage does not panic")?;
            let (inference, is_stopped) = inference?;
            Ok(Ran {
                last,
                decode,
                inference,
                is_stopped,
            })
        })
    }
}

/// The first stage: batches in the order of the pictures, until all are made or `send` fails
/// because no receiver is left. Returns how long the decoders were busy.
pub(super) fn decode_all(
    mut preparer: Preparer,
    pictures: &[Picture],
    batch_size: usize,
    spare: &Receiver<Vec<f32>>,
    mut send: impl FnMut(Batch) -> bool,
) -> Duration {
    let mut busy = Duration::ZERO;
    for chunk in pictures.chunks(batch_size) {
        let tensor = spare.try_recv().unwrap_or_default();
        let start = Instant::now();
        let batch = preparer.batch(chunk, tensor);
        busy += start.elapsed();
        if !send(batch) {
            break;
        }
    }
    busy
}

/// A session that runs batches.
pub(super) struct Inference<'t> {
    trunk: &'t mut Trunk,
    same_codes: SameCodes,
    /// How long the session was busy.
    busy: Duration,
}

impl<'t> Inference<'t> {
    pub(super) fn new(trunk: &'t mut Trunk) -> Self {
        Self {
            trunk,
            same_codes: SameCodes::default(),
            busy: Duration::ZERO,
        }
    }

    /// Runs a batch through the session, and returns its tensor to the decoders.
    pub(super) fn codes<E: From<TrunkError> + From<SameCodesError>>(
        &mut self,
        batch: Batch,
        spare: &Sender<Vec<f32>>,
    ) -> Result<Codes, E> {
        let mut values = Vec::new();
        if batch.n_computed > 0 {
            let start = Instant::now();
            self.trunk.run(&batch.tensor, &mut values)?;
            self.busy += start.elapsed();
            self.same_codes
                .check(&batch.tensor, &values, batch.n_computed)?;
        }
        // No decoder waits for it after the last batch.
        let _ = spare.send(batch.tensor);
        Ok(Codes {
            outcomes: batch.outcomes,
            values,
            n_computed: batch.n_computed,
        })
    }
}

/// The session's progress, and the watch that is told about it.
struct Watched<'a> {
    progress: Progress,
    watch: &'a dyn Watch,
}

impl Watched<'_> {
    /// Reports a batch; returns whether to stop before the next one.
    fn is_stopped_after(&mut self, batch: &Codes) -> bool {
        self.progress.done += batch.outcomes.len();
        self.progress.failures += batch.n_failures();
        self.watch.progress(self.progress, &"");
        self.progress.done < self.progress.total && self.watch.is_stopped()
    }
}

/// The second stage: each batch through the session. Returns how long the session was busy, and
/// whether it was stopped.
fn infer_all<E: From<TrunkError> + From<SameCodesError>>(
    trunk: &mut Trunk,
    batches: Receiver<Batch>,
    codes_in: SyncSender<Codes>,
    spare: &Sender<Vec<f32>>,
    mut watched: Watched,
) -> Result<(Duration, bool), E> {
    let mut inference = Inference::new(trunk);
    for batch in batches {
        let codes = inference.codes::<E>(batch, spare)?;
        let is_stopped = watched.is_stopped_after(&codes);
        if codes_in.send(codes).is_err() {
            break;
        }
        if is_stopped {
            return Ok((inference.busy, true));
        }
    }
    Ok((inference.busy, false))
}
