//! Pictures through the trunk into a store: decoding, inference and writing, overlapped.
//!
//! ```text
//! decoder thread            this thread            writer thread
//! (rayon inside) --batch--> session --codes-->     pool, convert, write
//!        ^                    |
//!        +---- empty tensors--+
//! ```
//!
//! Both queues are bounded, so memory does not grow with the number of pictures: at most
//! two batches wait at each, and a slow disk holds the decoders back. Batches keep the
//! order of the pictures, so that the rows do not depend on the number of threads.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::codes::{
    CodesIdentity, Dtype, Manifest, Pool, StoreDescription, StoreError, StoreWriter, WrittenPicture,
};
use crate::dataset::{Failure, Picture, Pictures, ReadError};
use crate::draft::Existing;
use crate::model::{Trunk, TrunkError};
use crate::picture::{self, DecodeError, Preparation};

/// Batches that may wait in each queue: one being made while one is used is enough to overlap.
const QUEUE_DEPTH: usize = 2;

/// How to extract.
#[derive(Clone, Debug)]
pub struct ExtractOptions {
    /// How a decoded picture becomes the input tensor.
    pub preparation: Preparation,
    /// Pictures in a batch, at least 1.
    pub batch_size: usize,
    /// Threads that decode, at least 1.
    pub threads: usize,
    /// What is kept of the trunk's output.
    pub pool: Pool,
    /// Element type on disk.
    pub dtype: Dtype,
    /// What to do with pictures that cannot be used.
    pub on_failure: OnFailure,
    /// What to do about a store that is there already.
    pub existing: Existing,
}

/// What to do with a picture that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// List it in failures.csv and go on.
    List,
    /// Stop, and leave no store.
    Stop,
}

/// Why an extraction left no store.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The store could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The trunk failed.
    #[error(transparent)]
    Trunk(#[from] TrunkError),
    /// A picture could not be used, and [`OnFailure::Stop`] was asked for.
    #[error("{}: {}; nothing was written (leave out --strict to list such pictures and go on)", .0.path, .0.error)]
    Strict(Failure),
    /// Not one picture could be used.
    #[error("none of the {n} pictures could be used; the first, {}: {}", first.path, first.error)]
    NothingUsable {
        /// How many there were.
        n: usize,
        /// The first of them.
        first: Failure,
    },
    /// The decoders' threads could not be started.
    #[error("cannot start {threads} decoder threads: {source}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What rayon said.
        source: rayon::ThreadPoolBuildError,
    },
}

/// How far an extraction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Pictures dealt with, the unusable ones among them.
    pub done: usize,
    /// Pictures in all.
    pub total: usize,
    /// Pictures that could not be used.
    pub failures: usize,
}

/// What an extraction did.
#[derive(Clone, Debug)]
pub struct Extracted {
    /// What store.json says.
    pub manifest: Manifest,
    /// The pictures that could not be used, in the order of failures.csv.
    pub failures: Vec<Failure>,
    /// From the first picture to the published store.
    pub elapsed: Duration,
    /// How long each stage was busy; they overlap, so that the sum exceeds `elapsed`.
    pub busy: Busy,
}

/// Time for each stage of the pipeline.
#[derive(Clone, Copy, Debug, Default)]
pub struct Busy {
    /// Reading, decoding, resizing and applying the recipe, all threads together counted once.
    pub decode: Duration,
    /// ONNX Runtime.
    pub inference: Duration,
    /// Pooling, converting and writing.
    pub write: Duration,
}

/// Pictures of one batch: a tensor without gaps, and what failed.
struct Batch {
    tensor: Vec<f32>,
    pictures: Vec<WrittenPicture>,
    failures: Vec<Failure>,
}

/// Codes of one batch, on the way to the disk.
struct Codes {
    codes: Vec<f32>,
    pictures: Vec<WrittenPicture>,
    failures: Vec<Failure>,
}

/// Runs all of `dataset` through `trunk` into a store at `out`.
///
/// Rows follow the order of `dataset.pictures`. Equal inputs and options give equal bytes on one
/// machine, whatever the number of decoder threads; ONNX Runtime's results may differ in the last
/// bits between kinds of CPU, and with another number of its own threads.
///
/// # Errors
/// [`ExtractError`]; no store is left then, and one that was there before is still there.
pub fn extract(
    dataset: &Pictures,
    trunk: &mut Trunk,
    onnxruntime: &str,
    options: &ExtractOptions,
    out: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Extracted, ExtractError> {
    let start = Instant::now();
    let description = describe(dataset, trunk, onnxruntime, options);
    let mut writer = StoreWriter::create(out, options.existing, description)?;
    let mut failures = Vec::new();
    for failure in &dataset.unusable {
        note(failure, options.on_failure, &mut writer, &mut failures)?;
    }
    let stages = run_stages(dataset, trunk, options, writer, failures, progress)?;
    let Stages {
        writer,
        failures,
        busy,
    } = stages;
    if let (Some(first), true) = (failures.first(), failures.len() == dataset.len()) {
        return Err(ExtractError::NothingUsable {
            n: failures.len(),
            first: first.clone(),
        });
    }
    let manifest = writer.finish()?;
    Ok(Extracted {
        manifest,
        failures,
        elapsed: start.elapsed(),
        busy,
    })
}

/// What the stages leave: everything written, nothing published yet.
struct Stages {
    writer: StoreWriter,
    failures: Vec<Failure>,
    busy: Busy,
}

/// Runs the three stages at once, until the last batch is written or one of them fails.
fn run_stages(
    dataset: &Pictures,
    trunk: &mut Trunk,
    options: &ExtractOptions,
    writer: StoreWriter,
    failures: Vec<Failure>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Stages, ExtractError> {
    let threads = options.threads;
    let decoders = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|source| ExtractError::Threads { threads, source })?;
    let (batches_in, batches) = sync_channel(QUEUE_DEPTH);
    let (codes_in, codes) = sync_channel(QUEUE_DEPTH);
    let (spare_in, spare) = channel();
    thread::scope(|scope| {
        let decoder =
            scope.spawn(move || decode_all(dataset, options, &decoders, &spare, &batches_in));
        let writing = scope.spawn(move || write_all(writer, codes, options, failures));
        let total = dataset.pictures.len();
        // A stage that fails drops its ends of the queues, at which the others stop.
        let inference = infer_all(trunk, batches, codes_in, &spare_in, total, progress);
        let decode = decoder.join().expect("the decoder does not panic");
        let (writer, failures, write) = writing.join().expect("the writer does not panic")?;
        let busy = Busy {
            decode,
            inference: inference?,
            write,
        };
        Ok(Stages {
            writer,
            failures,
            busy,
        })
    })
}

fn describe(
    dataset: &Pictures,
    trunk: &Trunk,
    onnxruntime: &str,
    options: &ExtractOptions,
) -> StoreDescription {
    StoreDescription {
        codes: CodesIdentity {
            trunk: trunk.identity().clone(),
            recipe: options.preparation.recipe,
            resize: options.preparation.resize,
            output: trunk.output(),
            pool: options.pool,
        },
        dtype: options.dtype,
        classes: dataset.classes.clone(),
        decoder: picture::DECODER.to_owned(),
        onnxruntime: onnxruntime.to_owned(),
        provider: trunk.provider().name().to_owned(),
    }
}

/// The first stage: batches in the order of the pictures, until all are made or nobody wants more.
fn decode_all(
    dataset: &Pictures,
    options: &ExtractOptions,
    decoders: &rayon::ThreadPool,
    spare: &Receiver<Vec<f32>>,
    batches: &SyncSender<Batch>,
) -> Duration {
    let mut busy = Duration::ZERO;
    for chunk in dataset.pictures.chunks(options.batch_size) {
        let tensor = spare.try_recv().unwrap_or_default();
        let start = Instant::now();
        let batch = decoders.install(|| decode_batch(dataset, chunk, options, tensor));
        busy += start.elapsed();
        if batches.send(batch).is_err() {
            break;
        }
    }
    busy
}

fn decode_batch(
    dataset: &Pictures,
    chunk: &[Picture],
    options: &ExtractOptions,
    mut tensor: Vec<f32>,
) -> Batch {
    let preparation = &options.preparation;
    let len = preparation.tensor_len();
    tensor.resize(chunk.len() * len, 0.0);
    let outcomes: Vec<Result<WrittenPicture, Failure>> = tensor
        .par_chunks_mut(len)
        .zip(chunk)
        .with_max_len(1)
        .map(|(tensor, picture)| {
            prepare(dataset, picture, preparation, tensor).map_err(|error| Failure {
                path: picture.path.to_string(),
                error: error.to_string(),
                kind: error.kind(),
            })
        })
        .collect();
    let mut batch = Batch {
        tensor,
        pictures: Vec::with_capacity(chunk.len()),
        failures: Vec::new(),
    };
    for (slot, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(picture) => {
                // Close the gaps that failures leave.
                let to = batch.pictures.len() * len;
                if to != slot * len {
                    batch.tensor.copy_within(slot * len..(slot + 1) * len, to);
                }
                batch.pictures.push(picture);
            }
            Err(failure) => batch.failures.push(failure),
        }
    }
    batch.tensor.truncate(batch.pictures.len() * len);
    batch
}

/// Why one picture cannot be used; the messages go into failures.csv.
#[derive(Debug, thiserror::Error)]
enum PictureError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl PictureError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Read(error) => error.kind(),
            Self::Decode(error) => error.kind(),
        }
    }
}

fn prepare(
    dataset: &Pictures,
    picture: &Picture,
    preparation: &Preparation,
    tensor: &mut [f32],
) -> Result<WrittenPicture, PictureError> {
    let bytes = dataset.read(picture)?;
    let decoded = picture::decode(&bytes)?;
    preparation.prepare(&decoded, tensor);
    Ok(WrittenPicture {
        path: picture.path.to_string(),
        label: picture.label.unwrap_or_default(),
        width: decoded.width(),
        height: decoded.height(),
        blake3: blake3::hash(&bytes),
    })
}

/// The second stage: each batch through the session, its tensor back to the decoders.
fn infer_all(
    trunk: &mut Trunk,
    batches: Receiver<Batch>,
    codes_in: SyncSender<Codes>,
    spare: &Sender<Vec<f32>>,
    total: usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<Duration, ExtractError> {
    let mut busy = Duration::ZERO;
    let mut state = Progress {
        done: 0,
        total,
        failures: 0,
    };
    for batch in batches {
        let mut codes = Vec::new();
        if !batch.pictures.is_empty() {
            let start = Instant::now();
            trunk.run(&batch.tensor, batch.pictures.len(), &mut codes)?;
            busy += start.elapsed();
        }
        state.done += batch.pictures.len() + batch.failures.len();
        state.failures += batch.failures.len();
        // Nobody waits for it once the last batch is decoded.
        let _ = spare.send(batch.tensor);
        let codes = Codes {
            codes,
            pictures: batch.pictures,
            failures: batch.failures,
        };
        if codes_in.send(codes).is_err() {
            break;
        }
        progress(state);
    }
    Ok(busy)
}

/// The third stage: pooled rows and failures, in order, to the disk.
fn write_all(
    mut writer: StoreWriter,
    batches: Receiver<Codes>,
    options: &ExtractOptions,
    mut failures: Vec<Failure>,
) -> Result<(StoreWriter, Vec<Failure>, Duration), ExtractError> {
    let mut busy = Duration::ZERO;
    let mut pooled = Vec::new();
    for batch in batches {
        let start = Instant::now();
        for failure in &batch.failures {
            note(failure, options.on_failure, &mut writer, &mut failures)?;
        }
        if !batch.pictures.is_empty() {
            pooled.clear();
            let code_len = batch.codes.len() / batch.pictures.len();
            for code in batch.codes.chunks_exact(code_len) {
                options.pool.append(code, writer.channels(), &mut pooled);
            }
            writer.append(&pooled, &batch.pictures)?;
        }
        busy += start.elapsed();
    }
    Ok((writer, failures, busy))
}

fn note(
    failure: &Failure,
    on_failure: OnFailure,
    writer: &mut StoreWriter,
    failures: &mut Vec<Failure>,
) -> Result<(), ExtractError> {
    if on_failure == OnFailure::Stop {
        return Err(ExtractError::Strict(failure.clone()));
    }
    writer.fail(failure)?;
    failures.push(failure.clone());
    Ok(())
}
