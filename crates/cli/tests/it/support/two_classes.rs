//! Stores on which heads are trained, without pictures.

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use cnn_codes::codes::{Dtype, Pool, StoreDescription};

/// Stores of the codes (2, 1, 3) of two classes. The first value of a code tells the class, but in
/// the validation store the last picture has the other class's value.
pub struct Place {
    pub folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder };
        let of_class = |n: usize| {
            (0..n)
                .map(|row| (row % 2, (row % 2) as f32))
                .collect::<Vec<_>>()
        };
        place.write(
            "train",
            super::description(Dtype::F32, Pool::None),
            &of_class(40),
        );
        let mut validation = of_class(9);
        validation.push((1, 0.0));
        place.write(
            "validation",
            super::description(Dtype::F32, Pool::None),
            &validation,
        );
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a store of (label, first value of the code).
    pub fn write(&self, name: &str, description: StoreDescription, rows: &[(usize, f32)]) {
        let code_len = description.codes.code_len();
        let codes: Vec<_> = rows
            .iter()
            .enumerate()
            .map(|(row, &(label, first))| {
                let mut code = vec![0.1 * (row % 3) as f32; code_len];
                code[0] = 3.0 * first;
                (label, code)
            })
            .collect();
        super::write_codes(&self.path(name), description, &codes);
    }

    /// The command, in the folder, with a learning rate that suits these codes.
    pub fn train(&self) -> Command {
        self.train_on("train", "validation")
    }

    pub fn train_on(&self, train: &str, validation: &str) -> Command {
        self.train_to("head", train, validation)
    }

    pub fn train_to(&self, out: &str, train: &str, validation: &str) -> Command {
        let mut command = super::cnn_codes();
        command.current_dir(self.folder.path()).arg("train-head");
        command.args(["--train", train, "--validation", validation, "--out", out]);
        command.args(["--hidden", "8", "--learning-rate", "0.05"]);
        command
    }

    /// The command, in the folder, with a learning rate at which the MLP diverges; the logistic
    /// regression has none.
    pub fn diverge(&self) -> Command {
        let mut command = super::cnn_codes();
        command.current_dir(self.folder.path()).arg("train-head");
        command.args([
            "--train",
            "train",
            "--hidden",
            "8",
            "--learning-rate",
            "1e30",
        ]);
        command
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
}
