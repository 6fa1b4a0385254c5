//! One fit of each head, on samples that are scaled already.

use std::ops::ControlFlow;

use super::options::HeadOptions;
use super::progress::Progress;
use super::splits::hold_out;
use crate::head::logistic::{self, Logistic, LogisticFit, LogisticOptions};
use crate::head::mlp::{Keep, Mlp, MlpOptions, Monitored, TrainedMlp, Watch};
use crate::head::scaling::{Scaling, ScalingKind};
use crate::head::{HeadError, Samples};

/// Samples read through a scaling that was fitted to them.
pub(super) struct ScaledSamples<'a> {
    pub(super) scaling: Scaling,
    pub(super) samples: Samples<'a>,
}

pub(super) fn scale<'a>(
    samples: &Samples<'a>,
    kind: ScalingKind,
) -> Result<ScaledSamples<'a>, HeadError> {
    let scaling = Scaling::fit(kind, samples);
    Ok(ScaledSamples {
        samples: samples.scaled(scaling.clone())?,
        scaling,
    })
}

/// Trains an MLP, on all samples but a share if an epoch has to be chosen by those.
pub(super) fn fit_mlp<'s>(
    train: &Samples<'s>,
    validation: Option<&Samples<'s>>,
    options: &MlpOptions,
    share: f64,
    watch: &mut dyn Watch,
) -> Result<TrainedMlp, HeadError> {
    if options.keep == Keep::Last && options.patience.is_none() {
        let held_out = None;
        let monitored = Monitored {
            held_out,
            validation,
        };
        return Mlp::fit(train, &monitored, options, watch);
    }
    let (kept, held_out) = hold_out(train.labels(), share, options.seed)?;
    let monitored = Monitored {
        held_out: Some(&train.select(&held_out)),
        validation,
    };
    Mlp::fit(&train.select(&kept), &monitored, options, watch)
}

/// Fits a regression; one that is stopped has the best parameters that were seen.
pub(super) fn fit_logistic(
    train: &Samples,
    options: &LogisticOptions,
    progress: &dyn Progress,
) -> Result<LogisticFit, HeadError> {
    let fits = Logistic::fit_path(train, &[options.l2], options, &mut stop_if_asked(progress))?;
    let fit = fits.into_iter().flatten().next();
    Ok(fit.expect("the first strength is always fitted"))
}

/// Passes a wish to stop on to a search for parameters.
pub(super) fn stop_if_asked(
    progress: &dyn Progress,
) -> impl FnMut(&logistic::Progress) -> ControlFlow<()> + '_ {
    |_| {
        if progress.is_stopped() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// The options of every seed: those given, and those with the seeds after theirs.
pub(super) fn with_seeds(options: &MlpOptions, repeats: usize) -> Vec<MlpOptions> {
    (0..repeats as u64)
        .map(|more| MlpOptions {
            seed: options.seed.wrapping_add(more),
            ..options.clone()
        })
        .collect()
}

impl HeadOptions {
    /// The seed of splits, which the MLP's seed sets.
    pub(super) fn split_seed(&self) -> u64 {
        self.mlp.as_ref().map_or(0, |mlp| mlp.seed)
    }
}
