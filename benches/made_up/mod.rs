//! Codes to train heads on: made up, or of a store.

use std::path::Path;

use anyhow::Context;
use cnn_codes::codes::Store;
use cnn_codes::head::Samples;
use ndarray::{Array1, Array2};
use ndarray_npy::write_npy;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Classes of what is made up.
const N_CLASSES: usize = 3;
/// Features of what is made up: those of VGG16.
const N_FEATURES: usize = 25_088;

/// Codes and their labels.
pub struct Codes {
    /// Codes (N, D).
    pub codes: Array2<f32>,
    /// Labels (N) below K.
    pub labels: Vec<usize>,
    /// K.
    pub n_classes: usize,
}

impl Codes {
    /// Values that are 0 with a chance of 80%, and else uniform from 0 to 2, with 0.5 added where
    /// the feature's number gives the class.
    pub fn made_up(n: usize, seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let codes = Array2::from_shape_fn((n, N_FEATURES), |(row, feature)| {
            if rng.gen_bool(0.8) {
                return 0.0;
            }
            let of_class = feature % N_CLASSES == row % N_CLASSES;
            rng.gen_range(0.0..2.0) + if of_class { 0.5 } else { 0.0 }
        });
        Self {
            codes,
            labels: (0..n).map(|row| row % N_CLASSES).collect(),
            n_classes: N_CLASSES,
        }
    }

    /// All codes of a store.
    pub fn of_store(path: &str) -> anyhow::Result<Self> {
        let store = Store::open(Path::new(path))?;
        Ok(Self {
            codes: store.read_codes()?,
            labels: store.labels().context("the store has no labels")?.to_vec(),
            n_classes: store.classes().len(),
        })
    }

    /// What heads train on.
    pub fn samples(&self) -> anyhow::Result<Samples<'_>> {
        let samples = Samples::new(self.codes.view(), &self.labels, self.n_classes);
        Ok(samples?)
    }

    /// Writes PREFIXcodes.npy and PREFIXlabels.npy for a peer.
    pub fn write(&self, folder: &Path, prefix: &str) -> anyhow::Result<()> {
        let labels: Array1<i64> = self.labels.iter().map(|&label| label as i64).collect();
        write_npy(folder.join(format!("{prefix}codes.npy")), &self.codes)?;
        write_npy(folder.join(format!("{prefix}labels.npy")), &labels)?;
        Ok(())
    }

    /// Shape and share of zeros.
    pub fn about(&self) -> String {
        let (rows, features) = self.codes.dim();
        let zeros = self.codes.iter().filter(|&&value| value == 0.0).count();
        let percent = 100.0 * zeros as f64 / self.codes.len() as f64;
        format!("{rows} x {features}, {percent:.0}% zeros")
    }
}
