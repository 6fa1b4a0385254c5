//! Stores of made-up codes on which little or nothing can be learned.

use std::fs;
use std::path::PathBuf;

use cnn_codes::codes::{Dtype, Pool};
use cnn_codes::head::saved::SavedHead;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::Value;

/// Features of the codes made up here: many more than pictures, so that a head can know every
/// picture that it was trained on by heart.
pub const N_FEATURES: usize = 300;

/// Stores of noise, and what a training on them leaves.
pub struct Place {
    pub folder: tempfile::TempDir,
}

impl Place {
    /// An empty folder.
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Codes of standard deviation 1 whose first feature is `signal` for one class and 0 for the
    /// other.
    pub fn write(&self, name: &str, labels: &[usize], signal: f32, seed: u64) {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut description = super::description(Dtype::F32, Pool::None);
        description.codes.output.shape = vec![1, 1, N_FEATURES];
        let rows: Vec<_> = labels
            .iter()
            .map(|&label| {
                let half_width = 3f32.sqrt();
                let mut code: Vec<_> = (0..N_FEATURES)
                    .map(|_| rng.gen_range(-half_width..half_width))
                    .collect();
                code[0] += signal * label as f32;
                (label, code)
            })
            .collect();
        super::write_codes(&self.path(name), description, &rows);
    }

    /// `train-head` on the store "train", with these arguments besides.
    pub fn command(&self, arguments: &[&str]) -> assert_cmd::Command {
        let mut command = super::cnn_codes();
        command.current_dir(self.folder.path());
        command.args(["train-head", "--train", "train", "--out", "head"]);
        command.args(["--hidden", "8", "--epochs", "6", "--overwrite"]);
        command.args(arguments);
        command
    }

    /// HEAD/metrics.json.
    pub fn metrics(&self) -> Value {
        serde_json::from_str(&self.read("metrics.json")).unwrap()
    }

    /// A file of HEAD.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path("head").join(name)).unwrap()
    }

    /// The trained heads.
    pub fn head(&self) -> SavedHead {
        SavedHead::load(&self.path("head")).unwrap()
    }

    /// Rows of predictions.csv of one head.
    pub fn predictions(&self, head: &str) -> Vec<csv::StringRecord> {
        let mut table = csv::Reader::from_path(self.path("head/predictions.csv")).unwrap();
        let rows = table.records().map(Result::unwrap);
        rows.filter(|row| &row[4] == head).collect()
    }
}

/// Labels 0 and 1 in turns.
pub fn alternating(n: usize) -> Vec<usize> {
    (0..n).map(|row| row % 2).collect()
}
