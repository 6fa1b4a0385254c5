//! Fine-tuning: the last layers of a trunk, trained with a head on the codes of what is before them.
//!
//! ```text
//! options      what is tried, how long, how gently
//! network      a head behind the tail: pooling, scaling, layers, forward and backward
//! run          one training of tail and head
//! frozen       heads on the published tail: where each training starts, and what it must beat
//! choice       trainings in folds of the training store, and what they say
//! checkpoint   what was done, so that a killed run goes on
//! tuned        what comes of it, and how it is saved
//! ```
//!
//! The store holds codes (N, H, W, C) at the tensor where the trunk is cut, such as `block4_pool`; the head
//! was trained on codes at the trunk's end. Training begins with that head, not with a random one (A. Kumar and
//! others, "Fine-tuning can distort pretrained features and underperform out-of-distribution", 2022: LP-FT).
//!
//! Nothing is chosen by pictures that judge. Rate, pull, epoch and mixture are chosen in folds of the training
//! store, each by a head that was trained outside of the fold; and where the best of them does not beat the frozen
//! head there by more than a standard error, the frozen head it is.

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
/// `kept` is a folder for what a killed run goes on from; it is there only while this runs, or was stopped. The same
/// arguments and kind of processor give the same weights to the byte, also where runs were stopped on the way.
///
/// When `watch` asks to stop while all pictures are trained on, the best so far is given: the weights after the last
/// whole epoch, where these beat the frozen head in the folds; or the frozen head. `kept` stays then.
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
        // There is nothing to go on from.
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
    let mut run = Run::new(
        &data,
        tail.clone(),
        frozen.network.clone(),
        setting,
        options,
        &rows,
    );
    watch.stage("tuning on all pictures: epoch", epochs);
    let stopped = match run.go_on(&checkpoint, "all", epochs, watch, |_| Ok(())) {
        Err(TuneError::Stopped { .. }) => {
            // Without the steps of an epoch that was begun.
            let mut epochs_done = Run::new(
                &data,
                tail.clone(),
                frozen.network.clone(),
                setting,
                options,
                &rows,
            );
            checkpoint.restore("all", &mut epochs_done)?;
            run = epochs_done;
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
