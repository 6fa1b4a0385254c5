//! The MLP as one of the heads.

use ndarray::Array2;

use super::{Dense, Ended, Keep, Mlp, MlpOptions, Monitored, TrainedMlp};
use crate::head::contract::end_of;
use crate::head::saved::{SavedHeadError, Tensors};
use crate::head::splits::hold_out;
use crate::head::{CodesView, Fit, Head, HeadError, HeadKind, Layer, Samples};
use crate::progress::{Stopped, Watch};

/// Learning rates that are tried, as multiples of the given one.
const RATE_FACTORS: [f64; 3] = [1.0, 0.25, 4.0];

/// Dropout rates that are tried besides the given one.
const DROPOUTS: [f32; 3] = [0.0, 0.25, 0.5];

impl Head for Mlp {
    type Options = MlpOptions;

    const KIND: HeadKind = HeadKind::Mlp;
    const TITLE: &'static str = "MLP";
    const FITTING: &'static str = "training";
    const HAS_EPOCHS: bool = true;

    fn validate(options: &MlpOptions) -> Result<(), HeadError> {
        options.validate()
    }

    /// Learning rates and dropouts.
    fn candidates(given: &MlpOptions) -> Vec<MlpOptions> {
        let others = DROPOUTS.into_iter().filter(|&rate| rate != given.dropout);
        let dropouts: Vec<_> = match given.hidden.as_slice() {
            [] => vec![given.dropout],
            _ => std::iter::once(given.dropout).chain(others).collect(),
        };
        let candidate = |factor: f64, dropout| {
            let mut options = given.clone();
            options.optimizer.learning_rate *= factor;
            options.dropout = dropout;
            options
        };
        RATE_FACTORS
            .iter()
            .flat_map(|&factor| {
                dropouts
                    .iter()
                    .map(move |&dropout| candidate(factor, dropout))
            })
            .collect()
    }

    fn setting(options: &MlpOptions) -> String {
        let rate = options.optimizer.learning_rate;
        format!("learning rate {rate}, dropout {}", options.dropout)
    }

    fn reseeded(options: &MlpOptions, more: u64) -> Option<MlpOptions> {
        Some(MlpOptions {
            seed: options.seed.wrapping_add(more),
            ..options.clone()
        })
    }

    fn seed(options: &MlpOptions) -> Option<u64> {
        Some(options.seed)
    }

    fn at_end(chosen: &MlpOptions, given: &MlpOptions) -> Option<String> {
        let rates = RATE_FACTORS.map(|factor| given.optimizer.learning_rate * factor);
        end_of(chosen.optimizer.learning_rate, rates, "learning rate")
    }

    fn training_bytes(train: &Samples, options: &MlpOptions) -> usize {
        options.training_bytes(train)
    }

    /// Trains on all samples; if an epoch must be chosen, a share is held out for that.
    fn fit<'s>(
        train: &Samples<'s>,
        validation: Option<&Samples<'s>>,
        options: &MlpOptions,
        watch: &dyn Watch,
    ) -> Result<Fit<Self>, HeadError> {
        let mut n_trained = train.len();
        let trained = if options.keep == Keep::Last && options.patience.is_none() {
            let held_out = None;
            let monitored = Monitored {
                held_out,
                validation,
            };
            Self::fit(train, &monitored, options, watch)?
        } else {
            let (kept, held_out) = hold_out(
                train.labels(),
                train.groups(),
                options.hold_out,
                options.seed,
            )?;
            let monitored = Monitored {
                held_out: Some(&train.select(&held_out)),
                validation,
            };
            n_trained = kept.len();
            Self::fit(&train.select(&kept), &monitored, options, watch)?
        };
        if trained.kept_epoch == 0 && trained.unfinished_steps == 0 {
            return Err(HeadError::Stopped(Stopped));
        }
        Ok(Fit {
            remark: remark(&trained, options, (n_trained, train.len())),
            is_stopped: trained.ended == Ended::Interrupted,
            convergence: None,
            history: trained.history,
            model: trained.mlp,
        })
    }

    fn logits(&self, codes: &CodesView) -> Result<Array2<f32>, HeadError> {
        self.logits(codes)
    }

    fn shape(&self) -> (usize, usize) {
        (self.n_features(), self.n_classes())
    }

    fn layers(&self) -> Vec<Layer<'_>> {
        let layers = self.layers().iter().enumerate();
        layers.map(|(index, layer)| dense(index, layer)).collect()
    }

    fn from_tensors(
        options: &MlpOptions,
        (n_features, n_classes): (usize, usize),
        tensors: &mut Tensors,
    ) -> Result<Self, SavedHeadError> {
        let mut layers = Vec::new();
        let sizes = options.sizes(n_features, n_classes);
        for (index, pair) in sizes.windows(2).enumerate() {
            layers.push(Dense {
                weights: tensors.matrix(&format!("mlp.{index}.weight"), (pair[0], pair[1]))?,
                bias: tensors.vector(&format!("mlp.{index}.bias"), pair[1])?,
            });
        }
        Self::from_weights(layers).map_err(|error| tensors.damaged(error))
    }

    fn check_options(&self, options: &MlpOptions) -> Result<(), String> {
        let outputs = self.layers().iter().map(|layer| layer.bias.len());
        let sizes = options.sizes(self.n_features(), self.n_classes());
        if !outputs.eq(sizes.into_iter().skip(1)) {
            return Err(format!(
                "the MLP's layers are not those of hidden {:?}",
                options.hidden
            ));
        }
        Ok(())
    }
}

fn dense(index: usize, layer: &Dense) -> Layer<'_> {
    Layer::Dense {
        name: format!("mlp.{index}").into(),
        weights: layer.weights.view(),
        bias: layer.bias.view(),
    }
}

/// How long the MLP was trained, and which epoch's weights were kept.
fn remark(fit: &TrainedMlp, options: &MlpOptions, (n_trained, n): (usize, usize)) -> String {
    let MlpOptions { epochs, seed, .. } = options;
    let n_done = fit.history.len();
    let trained = match fit.ended {
        Ended::Completed => format!("trained for {n_done} epochs"),
        Ended::StoppedEarly => format!("stopped early after epoch {n_done} of {epochs}"),
        Ended::Interrupted => format!("interrupted after epoch {n_done} of {epochs}"),
    };
    let on = match n_trained == n {
        true => String::new(),
        false => format!(" on {n_trained} of {n} pictures, the others chose the epoch"),
    };
    let kept = match (options.keep, fit.unfinished_steps) {
        (Keep::Best, 0) => {
            let best = fit.history.get(fit.kept_epoch.wrapping_sub(1));
            let loss = best.and_then(|epoch| epoch.held_out_loss);
            let loss = loss.map_or(String::new(), |loss| format!(", held-out loss {loss:.4}"));
            format!(
                "the best epoch's weights are kept: epoch {}{loss}",
                fit.kept_epoch
            )
        }
        (_, 0) => format!(
            "the last epoch's weights are kept: epoch {}",
            fit.kept_epoch
        ),
        (_, steps) => format!("the last weights are kept: {steps} steps of the epoch after it"),
    };
    let last = fit.history.last().map_or(String::new(), |epoch| {
        format!("; last training loss {:.4}", epoch.loss)
    });
    format!("{trained}{on}, seed {seed}; {kept}{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_tried_first_and_nothing_twice() {
        let given = MlpOptions::default();
        let candidates = Mlp::candidates(&given);
        assert_eq!((candidates.len(), &candidates[0]), (9, &given));
        let mut settings: Vec<_> = candidates
            .iter()
            .map(|options| {
                (
                    options.optimizer.learning_rate.to_bits(),
                    options.dropout.to_bits(),
                )
            })
            .collect();
        settings.sort_unstable();
        settings.dedup();
        assert_eq!(settings.len(), 9);
        let none = MlpOptions {
            hidden: Vec::new(),
            ..given
        };
        assert_eq!(Mlp::candidates(&none).len(), 3, "nothing to drop");
    }
}
