//! Fine-tuning: trains the last layers of a trunk, with a head, on the codes before these layers.
//!
//! ```text
//! options      what is tried, for how long, with which rates
//! network      a head behind the tail: pooling, scaling, layers, forward and backward
//! run          one training of tail and head
//! frozen       heads on the published tail: the start and the baseline of each training
//! choice       trainings in folds of the training store, and the choice between them
//! checkpoint   finished work, from which a killed run resumes
//! tuned        the result, and how it is saved
//! ```
//!
//! The store holds codes (N, H, W, C) at the tensor where the trunk is cut, such as `block4_pool`.
//! The head was trained on codes at the trunk's end. Training starts from that head, not from a
//! random one (A. Kumar and others, "Fine-tuning can distort pretrained features and underperform
//! out-of-distribution", 2022: LP-FT).
//!
//! Pictures used for evaluation choose nothing. Rate, pull, epoch and mixture are chosen in folds
//! of the training store, each with a head that was trained outside the fold. If the best setting
//! does not beat the frozen head there by more than a standard error, the frozen head is kept.

mod checkpoint;
mod choice;
mod error;
mod frozen;
mod network;
mod options;
mod run;
mod tuned;

pub use self::choice::{Choice, Tried};
pub use self::error::TuneError;
pub use self::options::{Setting, TuneOptions, TuneRule};
pub use self::tuned::{Comparison, StoppedAfter, Tuned, behind};

use std::path::Path;

pub use cnn_codes_tail::Tail;

use self::checkpoint::Checkpoint;
use self::choice::choose;
use self::frozen::Frozen;
use self::run::{Data, Run};
use crate::codes::Store;
use crate::head::saved::SavedHead;
use crate::progress::Watch;

/// Trains `tail`, the published one, with a head of `from`, on the codes of `front`.
///
/// `kept` is a folder with data from which a killed run resumes. It exists only while this runs, or
/// after the run was stopped. Equal arguments and the same kind of processor give the same weights
/// to the byte, even if runs were stopped on the way.
///
/// If `watch` stops the final training on all pictures, the best result so far is returned: the
/// weights after the last whole epoch if these beat the frozen head in the folds, else the frozen
/// head. `kept` stays then.
///
/// # Errors
/// [`TuneError`]; [`TuneError::Stopped`] if it was stopped before a setting was chosen.
pub fn fine_tune(
    front: &Store,
    tail: &Tail,
    from: &SavedHead,
    options: &TuneOptions,
    kept: &Path,
    watch: &dyn Watch,
) -> Result<Tuned, TuneError> {
    options.validate()?;
    let frozen = Frozen::new(front, tail, from, options)?;
    let data = Data::new(front, from)?;
    data.check(tail, &from.codes.output)?;
    let checkpoint = Checkpoint::open(kept, &frozen.job(front)?)?;
    let choice = match choose(&data, &frozen, options, &checkpoint, watch) {
        // There is nothing to resume from.
        Err(error @ TuneError::Head(_)) => {
            checkpoint.remove();
            return Err(error);
        }
        choice => choice?,
    };
    let Some(chosen) = choice.chosen() else {
        checkpoint.remove();
        return Ok(Tuned::frozen(from, frozen.head, choice));
    };
    let (setting, epochs, mixture) = (chosen.setting, chosen.epochs, chosen.mixture);
    let rows: Vec<_> = (0..data.labels.len()).collect();
    let begun = || {
        let (tail, network) = (tail.clone(), frozen.network.clone());
        Run::new(&data, tail, network, setting, options, &rows)
    };
    let mut run = begun();
    watch.stage("tuning on all pictures: epoch", epochs);
    let stopped = match run.go_on(&checkpoint, "all", epochs, watch, |_| Ok(())) {
        Err(TuneError::Stopped { .. }) => {
            // Without the steps of an unfinished epoch.
            run = begun();
            checkpoint.restore("all", &mut run)?;
            Some(StoppedAfter {
                epochs: run.epoch,
                of: epochs,
            })
        }
        done => {
            done?;
            None
        }
    };
    let choice = match stopped {
        Some(after) => choice.stopped_after(after.epochs),
        None => choice,
    };
    front.check_unchanged()?;
    let tuned = match choice.chosen() {
        None => Tuned::frozen(from, frozen.head, choice),
        Some(_) => {
            let (tail, network) = run.mixed(tail, &frozen.network, mixture)?;
            Tuned::new(from, &frozen.head, tail, &network, choice, &data)?
        }
    };
    if stopped.is_none() {
        checkpoint.remove();
    }
    Ok(Tuned { stopped, ..tuned })
}
