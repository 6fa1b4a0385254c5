//! Pictures through the trunk into a store: decoding, inference and writing, overlapped.
//!
//! ```text
//! pipeline   decoder thread -> session on the calling thread -> last stage, also for predictions
//! prepare    the first stage: batches of tensors
//! budget     memory for the pictures that are decoded side by side
//! in_hand    which large pictures were being decoded when a run was killed
//! known      codes that need not be computed
//! same_codes whether the trunk gives one code for all pictures
//! write      the last stage: pool, convert, write, checkpoint
//! judge      which codes may be kept
//! ahead      codes of pictures that come after one that could not be read
//! ```
//!
//! Every so often the writer brings its files to the disk and notes so in the store's journal.
//! The next run of the same job begins after the last such batch, and makes the same batches.

mod ahead;
mod budget;
mod dry_run;
mod error;
mod in_hand;
mod judge;
mod known;
mod outcome;
mod pipeline;
mod prepare;
mod same_codes;
mod write;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::ahead::Ahead;
pub use self::dry_run::{DryRun, dry_run};
pub use self::error::{ExtractError, Kept, ThreadsError};
use self::in_hand::InHand;
pub(crate) use self::judge::judge;
use self::known::Known;
pub use self::outcome::{Busy, Extracted, Failures, Progress, RowCounts};
pub use self::pipeline::QUEUE_DEPTH;
pub(crate) use self::pipeline::{Codes, Pipeline};
pub(crate) use self::prepare::Preparer;
pub use self::same_codes::SameCodesError;
use self::write::{Writing, Written};
use crate::codes::{
    CodesIdentity, Dtype, Job, Leftover, Manifest, Opened, Part, Pool, Store, StoreDescription,
    StoreError, StoreWriter,
};
use crate::dataset::{Pictures, Shard};
use crate::files::{DraftError, Existing};
use crate::model::{ModelCard, Trunk};
use crate::picture::{self, DecodeLimits, Filter, Fit, Preparation, Resize};

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
    /// What to do with pictures that cannot be read for reasons that are not their own.
    pub on_unread: OnUnread,
    /// How large a picture may be.
    pub limits: DecodeLimits,
    /// What to do about a store that is there already.
    pub existing: Existing,
    /// What to do with what a run of the same job left, when it was stopped.
    pub leftover: Leftover,
    /// Which part of the pictures to deal with; nothing for all.
    pub shard: Option<Shard>,
    /// Whether store.json names the folder of the pictures, by its absolute path.
    pub names_folder: bool,
    /// Time between checkpoints: how much work a kill may cost, besides the batches in flight. A
    /// checkpoint brings four files to the disk and writes a line of the journal.
    pub checkpoint_every: Duration,
}

impl ExtractOptions {
    /// What `cnn-codes extract-features` does where it is not told otherwise: whole pictures,
    /// stretched to the trunk's input, by the card's recipe; float32 codes as they are.
    #[must_use]
    pub fn for_card(card: &ModelCard) -> Self {
        let resize = Resize {
            width: card.input.width,
            height: card.input.height,
            fit: Fit::Stretch,
            filter: Filter::Bilinear,
        };
        Self {
            preparation: Preparation {
                resize,
                recipe: card.input.recipe,
                layout: card.input.layout,
            },
            batch_size: 20,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            pool: Pool::None,
            dtype: Dtype::F32,
            on_failure: OnFailure::List,
            on_unread: OnUnread::TryAgain,
            limits: DecodeLimits::default(),
            existing: Existing::Keep,
            leftover: Leftover::Resume,
            shard: None,
            names_folder: true,
            checkpoint_every: Duration::from_secs(1),
        }
    }
}

/// What to do with a picture that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// List it in failures.csv and go on.
    List,
    /// Stop, and leave no store.
    Stop,
}

/// What to do with a picture that cannot be read for a reason that is not its own
/// ([`Failure::may_pass`](crate::dataset::Failure::may_pass)): its disk is gone, or fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnread {
    /// Leave no store, and let the next run of the same job try again. The codes of all others are
    /// kept for it; after five such pictures in a row the rest is not tried.
    TryAgain,
    /// Deal with it as with any picture that cannot be used.
    Accept,
}

/// Runs all of `pictures`, or a shard of them, through `trunk` into a store at `out`.
///
/// Rows follow the order of `pictures`. Equal inputs and options give equal bytes on one machine,
/// whatever the number of decoder threads, and however often the job was killed and run again;
/// ONNX Runtime's results may differ in the last bits between kinds of CPU, and with another number
/// of its own threads. A shard goes to `out/part-IIIII-of-NNNNN`.
///
/// The codes of pictures that `reuse` has, byte for byte, are copied from there; a picture that
/// comes again is computed once. `progress` is called at the start and after each batch. When it
/// breaks, the batches that are through the trunk are written and kept.
///
/// A store that is there already and was made by this very job is left as it is, and reported.
///
/// # Errors
/// [`ExtractError`]; no store is left then, and one that was there before is still there. What was
/// done may be kept for the next run of the same job: the error says so.
pub fn extract(
    pictures: Pictures,
    trunk: &mut Trunk,
    options: &ExtractOptions,
    reuse: &[Store],
    out: &Path,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Extracted, ExtractError> {
    let start = Instant::now();
    check_folders(&pictures, options)?;
    let listing = pictures.digest();
    let (pictures, part, store) = share(pictures, options.shard, out);
    let job = describe(&pictures, trunk, options, listing, part);
    let mut writer = match StoreWriter::open(&store, options.existing, options.leftover, &job)? {
        Opened::Complete(manifest) => return Ok(already_complete(store, *manifest)),
        Opened::Unfinished(writer) => *writer,
    };
    let done_before = writer.n_done();
    let draft = writer.draft().to_owned();
    let mut ahead = Ahead::open(&draft, &job)?;
    let known = Known::new(reuse, &job.store, &writer.written()?, &ahead.written()?)?;
    let (preparation, limits) = (options.preparation, options.limits);
    let preparer = Preparer::new(&pictures, preparation, limits, options.threads)?
        .with_known(known, writer.rows())
        .with_in_hand(InHand::open(&draft));
    let channels = trunk.output().shape.last().copied().unwrap_or(1);
    let pipeline = Pipeline {
        preparer,
        trunk,
        batch_size: options.batch_size,
    };
    let writing = Writing::new(&mut writer, &mut ahead, options, reuse, channels);
    let stages = run_stages(pipeline, &pictures, writing, progress);
    let kept = kept(&writer, &ahead, pictures.pictures.len());
    let stages = match stages {
        Ok(stages) => stages,
        Err(error) => return Err(broken_off(error, kept)),
    };
    ahead.discard();
    let failures = Failures {
        by_kind: writer.failures().clone(),
        first: stages.written.first_failures,
    };
    Ok(Extracted {
        store,
        manifest: finish(writer, &failures, kept)?,
        rows: RowCounts {
            done_before: done_before + stages.written.rows.done_before,
            ..stages.written.rows
        },
        failures,
        elapsed: start.elapsed(),
        busy: stages.busy,
    })
}

/// Refuses pictures of which some are not known, as a folder of them could not be listed.
fn check_folders(pictures: &Pictures, options: &ExtractOptions) -> Result<(), ExtractError> {
    let mut unlisted = pictures.unusable.iter().filter(|f| f.may_pass());
    match unlisted.next() {
        Some(folder) if options.on_unread == OnUnread::TryAgain => {
            Err(ExtractError::Unlisted(folder.clone()))
        }
        _ => Ok(()),
    }
}

/// The pictures of a shard, which part of the store they make, and where it goes; or all of them.
fn share(
    pictures: Pictures,
    shard: Option<Shard>,
    out: &Path,
) -> (Pictures, Option<Part>, PathBuf) {
    let Some(shard) = shard else {
        return (pictures, None, out.to_owned());
    };
    let part = Part {
        index: shard.index(),
        of: shard.count(),
    };
    (
        pictures.shard(shard),
        Some(part),
        out.join(part.to_string()),
    )
}

/// Publishes the store, unless it would be an empty one for want of usable pictures. A part may
/// be empty.
fn finish(
    writer: StoreWriter,
    failures: &Failures,
    kept: Option<Kept>,
) -> Result<Manifest, ExtractError> {
    if writer.rows() > 0 || failures.is_empty() || writer.is_part() {
        return writer.finish().map_err(|error| match error {
            // It says itself where the store is.
            StoreError::Draft(DraftError::Kept { .. }) => error.into(),
            _ => broken_off(error.into(), kept),
        });
    }
    writer.discard();
    Err(ExtractError::NothingUsable {
        n: failures.len(),
        first: failures.first.first().cloned(),
    })
}

/// What is reported of a store that needs nothing more.
fn already_complete(store: PathBuf, manifest: Manifest) -> Extracted {
    Extracted {
        store,
        rows: RowCounts {
            done_before: manifest.counts.pictures + manifest.counts.failures,
            ..RowCounts::default()
        },
        manifest,
        failures: Failures::default(),
        elapsed: Duration::ZERO,
        busy: Busy::default(),
    }
}

/// The work that the next run goes on from, if any is safe on the disk.
fn kept(writer: &StoreWriter, ahead: &Ahead, n_pictures: usize) -> Option<Kept> {
    let n_done = writer.n_done() + ahead.rows();
    (n_done > 0).then(|| Kept {
        draft: writer.draft().to_owned(),
        n_done,
        n_pictures,
    })
}

/// Adds to `error` what is kept, if anything is.
fn broken_off(error: ExtractError, kept: Option<Kept>) -> ExtractError {
    match (error, kept) {
        (ExtractError::Stopped { .. }, kept) => ExtractError::Stopped { kept },
        (error, None) => error,
        (error, Some(kept)) => ExtractError::Broken {
            source: Box::new(error),
            kept,
        },
    }
}

/// What the stages report.
struct Stages {
    busy: Busy,
    written: Written,
}

/// Runs the three stages at once, until the last batch is written or one of them fails.
fn run_stages(
    pipeline: Pipeline,
    pictures: &Pictures,
    mut writing: Writing,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Stages, ExtractError> {
    let done_before = writing.n_done();
    writing.note_unusable(&pictures.unusable)?;
    let mut state = Progress {
        done: done_before,
        done_before,
        total: pictures.pictures.len(),
        failures: 0,
    };
    if progress(state).is_break() {
        return Err(ExtractError::Stopped { kept: None });
    }
    let mut watch = |codes: &Codes| {
        state.done += codes.outcomes.len();
        state.failures += codes.n_failures();
        match progress(state) {
            ControlFlow::Break(()) if state.done < state.total => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    };
    let ran = pipeline.run(done_before, |codes| writing.run(codes), &mut watch)?;
    if ran.is_stopped {
        return Err(ExtractError::Stopped { kept: None });
    }
    let unread = &ran.last.unread;
    if let Some(first) = &unread.first {
        return Err(ExtractError::Unread {
            n: unread.n,
            first: first.clone(),
            is_given_up: unread.is_given_up(),
        });
    }
    Ok(Stages {
        busy: Busy {
            decode: ran.decode,
            inference: ran.inference,
            write: ran.last.busy,
        },
        written: ran.last,
    })
}

/// The job: the store that it makes, and how it makes it.
fn describe(
    pictures: &Pictures,
    trunk: &Trunk,
    options: &ExtractOptions,
    listing: blake3::Hash,
    part: Option<Part>,
) -> Job {
    let store = StoreDescription {
        codes: CodesIdentity {
            trunk: trunk.identity().clone(),
            recipe: options.preparation.recipe,
            resize: options.preparation.resize,
            output: trunk.output(),
            pool: options.pool,
        },
        dtype: options.dtype,
        classes: pictures.classes.clone(),
        listing: Some(listing.to_hex().to_string()),
        part,
        root: absolute_root(pictures).filter(|_| options.names_folder),
        decoder: picture::DECODER.to_owned(),
        onnxruntime: trunk.onnxruntime().to_owned(),
        provider: trunk.provider().name().to_owned(),
        kernels: trunk.kernels().name().to_owned(),
        max_pixels: (options.limits != DecodeLimits::default())
            .then_some(options.limits.max_pixels),
    };
    Job {
        store,
        n_pictures: pictures.len(),
        batch_size: options.batch_size,
        threads: trunk.threads(),
    }
}

/// Where the pictures are, unless they are in archives or below a folder whose name is not UTF-8.
fn absolute_root(pictures: &Pictures) -> Option<String> {
    if !pictures.archives.is_empty() {
        return None;
    }
    let root = match pictures.root.as_os_str() {
        root if root.is_empty() => Path::new("."),
        _ => &pictures.root,
    };
    let root = std::path::absolute(root).ok()?;
    root.into_os_string().into_string().ok()
}
