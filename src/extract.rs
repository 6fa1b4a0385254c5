//! Runs pictures through the trunk into a store: decoding, inference and writing overlap.
//!
//! ```text
//! pipeline   decoder thread -> session on the calling thread -> last stage
//! pulled     decoder thread -> session on the calling thread, for predictions and codes without a store
//! prepare    the first stage: batches of tensors
//! in_hand    which large pictures were being decoded when a run was killed
//! known      codes that need not be computed
//! same_codes whether the trunk gives the same code for all pictures
//! write      the last stage: pool, convert, write, checkpoint
//! judge      which codes may be kept
//! ahead      codes of pictures after one that could not be read
//! ```
//!
//! At intervals the writer syncs its files and records this in the store's journal. The next run of
//! the same job resumes after the last recorded batch, and makes the same batches.

mod ahead;
mod dry_run;
mod error;
mod in_hand;
mod judge;
mod known;
mod options;
mod outcome;
mod pipeline;
mod prepare;
mod pulled;
mod pulled_codes;
mod same_codes;
mod write;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::ahead::Ahead;
pub use self::dry_run::DryRun;
pub use self::error::{ExtractError, Kept, ThreadsError};
use self::in_hand::InHand;
pub(crate) use self::judge::judge;
use self::known::Known;
pub use self::options::{ExtractOptions, OnFailure, OnUnread};
pub use self::outcome::{Extracted, Failures, RowCounts, StageTimes};
pub(crate) use self::pipeline::Codes;
use self::pipeline::Pipeline;
pub use self::pipeline::QUEUE_DEPTH;
use self::prepare::Preparer;
pub(crate) use self::pulled::{DecodeOptions, PulledCodes};
pub use self::pulled_codes::PictureCodes;
pub use self::same_codes::SameCodesError;
use self::write::{Writing, Written};
use crate::codes::{
    CodesIdentity, Job, Manifest, Opened, Shard, Store, StoreDescription, StoreError, StoreWriter,
};
use crate::dataset::Pictures;
use crate::files::DraftError;
use crate::model::{ModelCard, Trunk};
use crate::picture::{self, DecodeLimits};
use crate::progress::{Progress, Stopped, Watch};

/// Runs pictures through a trunk into a store.
///
/// ```no_run
/// # use std::path::Path;
/// # use cnn_codes::{dataset, extract::{ExtractError, Extracted, Extractor}, model::Trunk};
/// # fn codes(mut trunk: Trunk) -> Result<Extracted, Box<dyn std::error::Error>> {
/// let pictures = dataset::find(Path::new("pictures/train"))?;
/// let extracted = Extractor::new(&mut trunk).run(pictures, Path::new("codes/train"))?;
/// # Ok(extracted)
/// # }
/// ```
///
/// `T` is the trunk, `&mut Trunk`. An extractor made by [`Extractor::without_trunk`] has none, and
/// can only do a [`Extractor::dry_run`].
pub struct Extractor<'a, T> {
    trunk: T,
    options: ExtractOptions,
    reuse: &'a [Store],
    watch: &'a dyn Watch,
}

impl<'a, 't> Extractor<'a, &'t mut Trunk> {
    /// An extractor with the options of [`ExtractOptions::for_card`], without a watch.
    #[must_use]
    pub fn new(trunk: &'t mut Trunk) -> Self {
        let options = ExtractOptions::for_card(trunk.card());
        Self {
            trunk,
            options,
            reuse: &[],
            watch: &(),
        }
    }
}

impl<'a> Extractor<'a, ()> {
    /// An extractor without a loaded trunk, for a dry run by the trunk's card.
    #[must_use]
    pub fn without_trunk(card: &ModelCard) -> Self {
        Self {
            trunk: (),
            options: ExtractOptions::for_card(card),
            reuse: &[],
            watch: &(),
        }
    }
}

impl<'a, T> Extractor<'a, T> {
    /// Replaces the options.
    #[must_use]
    pub fn options(self, options: ExtractOptions) -> Self {
        Self { options, ..self }
    }

    /// Copies codes from these stores, byte for byte, instead of computing them again.
    #[must_use]
    pub fn reuse(self, stores: &'a [Store]) -> Self {
        Self {
            reuse: stores,
            ..self
        }
    }

    /// Reports progress to `watch`, at the start and after each batch. If it stops the job, the
    /// batches that have passed the trunk are written and kept.
    #[must_use]
    pub fn watch(self, watch: &'a dyn Watch) -> Self {
        Self { watch, ..self }
    }
}

impl Extractor<'_, &mut Trunk> {
    /// Runs all of `pictures`, or the shard in the options, through the trunk into a store at
    /// `out`.
    ///
    /// Rows follow the order of `pictures`. Equal inputs and options give equal bytes on one
    /// machine, whatever the number of decoder threads, and however often the job was killed and
    /// resumed. ONNX Runtime's results may differ in the last bits between kinds of CPU, and with
    /// another number of its own threads. A shard goes to `out/part-IIIII-of-NNNNN`. The code of a
    /// repeated picture is computed once.
    ///
    /// A store that exists already and was made by the same job is left unchanged, and reported.
    ///
    /// # Errors
    /// [`ExtractError`]; then no store is written, and an existing one is unchanged. Finished work
    /// may be kept for the next run of the same job; the error says so.
    pub fn run(self, pictures: Pictures, out: &Path) -> Result<Extracted, ExtractError> {
        let start = Instant::now();
        let Self {
            trunk,
            options,
            reuse,
            watch,
        } = self;
        let options = &options;
        check_folders(&pictures, options)?;
        let listing = pictures.digest();
        let (pictures, store) = share(pictures, options.shard, out);
        let job = describe(&pictures, trunk, options, listing);
        let mut writer = match StoreWriter::open(&store, options.existing, options.leftover, &job)?
        {
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
        let channels = trunk.output().channels();
        let pipeline = Pipeline {
            preparer,
            trunk,
            batch_size: options.batch_size,
        };
        let writing = Writing::new(&mut writer, &mut ahead, options, reuse, channels);
        let stages = run_stages(pipeline, &pictures, writing, watch);
        let kept = kept(&writer, &ahead, pictures.listed.len());
        let stages = match stages {
            Ok(stages) => stages,
            Err(error) => return Err(broken_off(error, kept)),
        };
        ahead.discard();
        let failures = Failures {
            by_kind: writer.failures().clone(),
            first: stages.written.failures.first,
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
}

/// Refuses an incomplete list of pictures: a folder could not be listed.
fn check_folders(pictures: &Pictures, options: &ExtractOptions) -> Result<(), ExtractError> {
    let mut unlisted = pictures.unusable.iter().filter(|f| f.may_pass());
    match unlisted.next() {
        Some(folder) if options.on_unread == OnUnread::TryAgain => {
            Err(ExtractError::Unlisted(folder.clone()))
        }
        _ => Ok(()),
    }
}

/// The pictures of a shard, and the path of its part of the store; without a shard, all of them.
fn share(pictures: Pictures, shard: Option<Shard>, out: &Path) -> (Pictures, PathBuf) {
    match shard {
        None => (pictures, out.to_owned()),
        Some(shard) => (pictures.shard(shard), out.join(shard.folder())),
    }
}

/// Publishes the store, unless it would be empty because no picture is usable. A part may be empty.
fn finish(
    writer: StoreWriter,
    failures: &Failures,
    kept: Option<Kept>,
) -> Result<Manifest, ExtractError> {
    if writer.rows() > 0 || failures.is_empty() || writer.is_part() {
        return writer.finish().map_err(|error| match error {
            // This error names the store itself.
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

/// The outcome for a store that was complete before.
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
        busy: StageTimes::default(),
    }
}

/// The work from which the next run resumes, if any is on the disk.
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
        (ExtractError::Stopped { source, .. }, kept) => ExtractError::Stopped { source, kept },
        (error, None) => error,
        (error, Some(kept)) => ExtractError::Broken {
            source: Box::new(error),
            kept,
        },
    }
}

/// The results of the stages.
struct Stages {
    busy: StageTimes,
    written: Written,
}

/// Runs the three stages in parallel, until the last batch is written or one of them fails.
fn run_stages(
    pipeline: Pipeline,
    pictures: &Pictures,
    mut writing: Writing,
    watch: &dyn Watch,
) -> Result<Stages, ExtractError> {
    let done_before = writing.n_done();
    writing.note_unusable(&pictures.unusable)?;
    let begun = Progress {
        done: done_before,
        done_before,
        total: pictures.listed.len(),
        failures: 0,
    };
    watch.progress(begun, &"");
    watch.or_stopped()?;
    let ran = pipeline.run(done_before, |codes| writing.run(codes), watch)?;
    if ran.is_stopped {
        return Err(Stopped.into());
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
        busy: StageTimes {
            decode: ran.decode,
            inference: ran.inference,
            write: ran.last.busy,
        },
        written: ran.last,
    })
}

/// The job: its store, and how it is made.
fn describe(
    pictures: &Pictures,
    trunk: &Trunk,
    options: &ExtractOptions,
    listing: blake3::Hash,
) -> Job {
    let preparation = options.preparation;
    let store = StoreDescription {
        codes: CodesIdentity::new(
            trunk.identity().clone(),
            trunk.card(),
            preparation.recipe,
            preparation.resize,
            options.pool,
        ),
        dtype: options.dtype,
        views: preparation.views,
        classes: pictures.classes.clone(),
        grouped: pictures.is_grouped(),
        listing: Some(listing.to_hex().to_string()),
        part: options.shard,
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

/// The folder of the pictures; `None` for archives, or if a folder name is not UTF-8.
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
