//! One training of tail and head.

use cnn_codes_tail::{Batch, InputGradient, Optimizer, Role, Tail};
use ndarray::Array2;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use super::TuneError;
use super::checkpoint::Checkpoint;
use super::network::Network;
use super::options::{Setting, TuneOptions};
use crate::codes::{Pool, Store};
use crate::head::mean_of_views;
use crate::head::mlp::{Loss, LossOptions};
use crate::head::saved::SavedHead;
use crate::model::OutputSpec;
use crate::progress::{Progress, Watch};

/// Pictures whose outputs are computed together outside training.
const AT_ONCE: usize = 32;

/// The pictures, and their codes from the front of the trunk.
pub(super) struct Data<'a> {
    front: &'a Store,
    /// Shape (H, W, C) of a code.
    pub(super) shape: [usize; 3],
    /// Class of each picture (N).
    pub(super) labels: &'a [usize],
    pub(super) groups: Option<Vec<usize>>,
    pub(super) n_classes: usize,
}

impl<'a> Data<'a> {
    /// For labelled pictures, whose classes must be those of the heads.
    pub(super) fn new(front: &'a Store, from: &SavedHead) -> Result<Self, TuneError> {
        let wrong = |reason: String| TuneError::Store {
            store: front.dir().to_owned(),
            reason,
        };
        if front.labels().is_none() {
            return Err(wrong("its pictures have no labels".to_owned()));
        }
        if front.classes() != from.classes {
            return Err(wrong(format!(
                "its classes are {}, and those of the head {}",
                front.classes().join(", "),
                from.classes.join(", ")
            )));
        }
        Self::unlabelled(front)
    }

    /// For pictures whose labels are ignored.
    pub(super) fn unlabelled(front: &'a Store) -> Result<Self, TuneError> {
        let codes = front.codes_identity();
        let shape = match *codes.output.shape.as_slice() {
            [height, width, channels] if codes.pool == Pool::None => [height, width, channels],
            _ => {
                let reason = "its codes have no height and width; extract the pictures with --output of a layer before the end, and without --pool";
                return Err(TuneError::Store {
                    store: front.dir().to_owned(),
                    reason: reason.to_owned(),
                });
            }
        };
        Ok(Self {
            front,
            shape,
            labels: front.labels().unwrap_or_default(),
            groups: front.groups(),
            n_classes: front.classes().len(),
        })
    }

    /// Refuses a tail whose outputs differ from the head's codes, according to their records.
    pub(super) fn check(&self, tail: &Tail, wanted: &OutputSpec) -> Result<(), TuneError> {
        let given = tail.output_shape(self.shape)?;
        if is_shape(given, &wanted.shape) {
            return Ok(());
        }
        Err(TuneError::Store {
            store: self.front.dir().to_owned(),
            reason: format!(
                "through the layers up to {} its codes become {given:?} (H, W, C), and the head takes {:?}; give the \
                 trunk that the head was trained with",
                wanted.name, wanted.shape
            ),
        })
    }

    /// The codes of some views of pictures (rows, H, W, C), given as pairs of row and view.
    fn codes(&self, shown: &[(usize, usize)]) -> Result<Vec<f32>, TuneError> {
        let len: usize = self.shape.iter().product();
        let mut codes = vec![0.0; shown.len() * len];
        let targets = codes.par_chunks_exact_mut(len).zip(shown);
        targets
            .try_for_each(|(code, &(row, view))| self.front.read_view(row, view, 0..len, code))?;
        Ok(codes)
    }

    /// Number of views, V.
    pub(super) fn n_views(&self) -> usize {
        self.front.views().n()
    }

    /// One randomly drawn view of each of these pictures.
    fn drawn(&self, rows: &[usize], rng: &mut Xoshiro256PlusPlus) -> Vec<(usize, usize)> {
        let n_views = self.n_views();
        let mut view = || match n_views {
            1 => 0,
            _ => rng.gen_range(0..n_views),
        };
        rows.iter().map(|&row| (row, view())).collect()
    }

    /// The training loss on some rows.
    fn loss(&self, rows: &[usize], options: &TuneOptions) -> Loss {
        let mut counts = vec![0; self.n_classes];
        rows.iter().for_each(|&row| counts[self.labels[row]] += 1);
        let loss = LossOptions {
            label_smoothing: options.label_smoothing,
            class_weights: options.class_weights,
        };
        Loss::of_counts(&loss, &counts)
    }

    fn batch<'c>(&self, codes: &'c [f32], n: usize) -> Batch<'c> {
        let [height, width, channels] = self.shape;
        Batch {
            shape: [n, height, width, channels],
            values: codes,
        }
    }

    /// Calls `visit` with some rows and a tail's outputs for all their views (rows V, H W C), until
    /// all rows are done.
    pub(super) fn outputs(
        &self,
        tail: &Tail,
        rows: &[usize],
        mut visit: impl FnMut(&[usize], &[f32]),
    ) -> Result<(), TuneError> {
        let n_views = self.n_views();
        for rows in rows.chunks(AT_ONCE.div_ceil(n_views)) {
            let views = rows.iter();
            let views = views.flat_map(|&row| (0..n_views).map(move |view| (row, view)));
            let shown: Vec<_> = views.collect();
            let codes = self.codes(&shown)?;
            visit(rows, &tail.outputs(self.batch(&codes, shown.len()))?);
        }
        Ok(())
    }

    /// Logits (rows, K) of a tail with a head: for each picture the mean over its views.
    pub(super) fn logits(
        &self,
        tail: &Tail,
        network: &Network,
        rows: &[usize],
    ) -> Result<Array2<f32>, TuneError> {
        let mut logits = Vec::with_capacity(rows.len() * self.n_classes);
        let n_views = self.n_views();
        self.outputs(tail, rows, |rows, outputs| {
            let pass = network.forward(outputs, rows.len() * n_views, None);
            logits.extend(mean_of_views(pass.logits, n_views));
        })?;
        let shape = (rows.len(), self.n_classes);
        Ok(Array2::from_shape_vec(shape, logits).expect("K logits a row"))
    }
}

/// Whether an output (H, W, C) of a tail is what a head calls by `wanted`: a vector (C) where nothing is left of height
/// and width.
fn is_shape(given: [usize; 3], wanted: &[usize]) -> bool {
    match *wanted {
        [channels] => given == [1, 1, channels],
        _ => given[..] == *wanted,
    }
}

/// A training of a tail and a head on some rows.
pub(super) struct Run<'a> {
    data: &'a Data<'a>,
    options: &'a TuneOptions,
    setting: Setting,
    rows: Vec<usize>,
    loss: Loss,
    pub(super) tail: Tail,
    pub(super) network: Network,
    of_tail: Optimizer,
    of_network: Optimizer,
    /// Number of finished epochs.
    pub(super) epoch: usize,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        data: &'a Data<'a>,
        tail: Tail,
        network: Network,
        setting: Setting,
        options: &'a TuneOptions,
        rows: &[usize],
    ) -> Self {
        let optimizer = options.optimizer(setting);
        let roles = [Role::Filters, Role::Bias].into_iter().cycle();
        let tensors = network.tensors().zip(roles);
        let of_network = Optimizer::of(tensors, optimizer, tail.instructions());
        Self {
            data,
            options,
            setting,
            rows: rows.to_vec(),
            loss: data.loss(rows, options),
            of_tail: Optimizer::new(&tail, optimizer),
            of_network,
            tail,
            network,
            epoch: 0,
        }
    }

    /// Trains up to `epochs` epochs, from the last one saved in `checkpoint` under `name`; calls
    /// `after` after each.
    pub(super) fn go_on(
        &mut self,
        checkpoint: &Checkpoint,
        name: &str,
        epochs: usize,
        watch: &dyn Watch,
        mut after: impl FnMut(&Self) -> Result<(), TuneError>,
    ) -> Result<(), TuneError> {
        checkpoint.restore(name, self)?;
        while self.epoch < epochs {
            self.one_epoch(watch)
                .map_err(|error| checkpoint.stopped(error))?;
            after(self)?;
            checkpoint.keep(name, self)?;
            let progress = Progress {
                done: self.epoch,
                total: epochs,
                ..Progress::default()
            };
            watch.progress(progress, &"");
        }
        Ok(())
    }

    fn n_steps(&self) -> usize {
        self.rows.len().div_ceil(self.options.batch_size)
    }

    fn one_epoch(&mut self, watch: &dyn Watch) -> Result<(), TuneError> {
        // Seeded by the seed and the epoch alone, so that a resumed run gets the same order.
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(self.options.seed);
        (0..=self.epoch).for_each(|_| rng.jump());
        let mut order = self.rows.clone();
        order.shuffle(&mut rng);
        let n_steps = self.n_steps();
        for (step, rows) in order.chunks(self.options.batch_size).enumerate() {
            watch.or_stopped().map_err(|source| TuneError::Stopped {
                path: std::path::PathBuf::new(),
                source,
            })?;
            let all = n_steps * self.options.epochs;
            let factor = self.options.schedule(self.epoch * n_steps + step, all);
            self.step(rows, factor, &mut rng)?;
        }
        self.epoch += 1;
        let is_finite = |tensor: &[f32]| tensor.iter().all(|value| value.is_finite());
        let tensors = self.tail.tensors().iter().map(|tensor| tensor.values());
        if tensors.chain(self.network.tensors()).all(is_finite) {
            return Ok(());
        }
        Err(TuneError::Diverged {
            epoch: self.epoch,
            setting: self.setting.to_string(),
        })
    }

    /// One step on some pictures.
    fn step(
        &mut self,
        rows: &[usize],
        factor: f32,
        rng: &mut Xoshiro256PlusPlus,
    ) -> Result<(), TuneError> {
        let codes = self.data.codes(&self.data.drawn(rows, rng))?;
        let (outputs, tape) = self.tail.forward(self.data.batch(&codes, rows.len()))?;
        let pass = self.network.forward(&outputs, rows.len(), Some(rng));
        let mut d_logits = pass.logits.clone();
        for (mut row, &picture) in d_logits.rows_mut().into_iter().zip(rows) {
            let row = row.as_slice_mut().expect("logits are in C order");
            let label = self.data.labels[picture];
            self.loss.of_logits(row, label);
            self.loss.d_logits(row, label);
        }
        d_logits /= rows.len() as f32;
        let positions = outputs.len() / rows.len() / self.network.channels;
        let of_network = self.network.backward(&pass, d_logits.view(), positions);
        let mut gradients =
            (self.tail).backward(&tape, &of_network.outputs, InputGradient::Unwanted)?;
        let mut of_layers: Vec<Vec<f32>> = (of_network.layers.into_iter())
            .flat_map(|layer| {
                [
                    layer.weights.into_raw_vec_and_offset().0,
                    layer.bias.to_vec(),
                ]
            })
            .collect();
        // One norm over tail and head.
        let squares = of_layers.iter().flatten().map(|&g| f64::from(g).powi(2));
        let norm = (squares.sum::<f64>() + gradients.norm().powi(2)).sqrt();
        let shorter = f64::from(self.options.clip) / norm.max(f64::MIN_POSITIVE);
        if shorter < 1.0 {
            gradients.scale(shorter as f32);
            of_layers
                .iter_mut()
                .flatten()
                .for_each(|g| *g *= shorter as f32);
        }
        let rate = self.setting.rate * factor;
        let rates = self.tail.layer_rates(rate, self.options.layer_decay);
        self.of_tail.step(&mut self.tail, &gradients, &rates)?;
        let mut weights: Vec<_> = self.network.tensors_mut().collect();
        let rates = vec![rate * self.options.head_factor; weights.len()];
        self.of_network
            .step_weights(&mut weights, &of_layers, &rates)?;
        Ok(())
    }

    /// Tail and head interpolated between the start and the current weights.
    pub(super) fn mixed(
        &self,
        tail: &Tail,
        network: &Network,
        mixture: f32,
    ) -> Result<(Tail, Network), TuneError> {
        let tail = tail.interpolate(&self.tail, mixture)?;
        let mut mixed = network.clone();
        for (old, new) in mixed.tensors_mut().zip(self.network.tensors()) {
            for (old, new) in old.iter_mut().zip(new) {
                *old = (1.0 - mixture) * *old + mixture * new;
            }
        }
        Ok((tail, mixed))
    }

    /// The number of steps, and all numbers that a resumed run needs.
    pub(super) fn numbers(&self) -> (i32, Vec<&[f32]>) {
        let mut numbers: Vec<&[f32]> = Vec::new();
        numbers.extend(self.tail.tensors().iter().map(|tensor| tensor.values()));
        numbers.extend(self.network.tensors());
        let (steps, states) = self.of_tail.state();
        numbers.extend(states.iter().flatten().map(Vec::as_slice));
        let (_, states) = self.of_network.state();
        numbers.extend(states.iter().flatten().map(Vec::as_slice));
        (steps, numbers)
    }

    /// The same, to be filled.
    pub(super) fn numbers_mut(&mut self, epoch: usize, steps: i32) -> Vec<&mut [f32]> {
        self.epoch = epoch;
        let mut numbers: Vec<&mut [f32]> = Vec::new();
        numbers.extend(self.tail.weights_mut());
        numbers.extend(self.network.tensors_mut());
        numbers.extend(self.of_tail.restore(steps));
        numbers.extend(self.of_network.restore(steps));
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::is_shape;

    #[test]
    fn a_vector_is_an_output_of_one_position() {
        assert!(is_shape([1, 1, 1280], &[1280]) && is_shape([7, 7, 512], &[7, 7, 512]));
        assert!(is_shape([1, 1, 8], &[1, 1, 8]));
        for wrong in [&[512][..], &[7, 7], &[25_088], &[]] {
            assert!(!is_shape([7, 7, 512], wrong), "{wrong:?}");
        }
    }
}
