//! Heads on codes made up for a report, with pictures that are there.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use cnn_codes::codes::{Code, Dtype, PictureRow, Pool, StoreWriter};
use cnn_codes_files::Existing;
use image::{Rgb, RgbImage};

/// A folder with pictures, a training store and a validation store of two classes.
pub struct Place {
    folder: tempfile::TempDir,
    pub classes: [String; 2],
}

impl Place {
    /// Stores of the classes `a` and `b c`.
    pub fn new() -> Self {
        Self::of_classes(["a", "b c"])
    }

    /// Stores of two classes, given in alphabetical order.
    pub fn of_classes(classes: [&str; 2]) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            classes: classes.map(str::to_owned),
        };
        fs::create_dir(place.path("pictures")).unwrap();
        place.store(
            "train",
            (0..40).map(|row| (format!("{row}.png"), row % 2, row % 2)),
            b"",
        );
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes a picture of noise, and gives its bytes.
    pub fn noise(&self, name: &str, seed: u32) -> Vec<u8> {
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        let picture = RgbImage::from_fn(224, 224, |_, _| {
            Rgb([(); 3].map(|()| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                (state >> 16) as u8
            }))
        });
        let path = self.path("pictures").join(name);
        picture
            .save_with_format(&path, image::ImageFormat::Png)
            .unwrap();
        fs::read(path).unwrap()
    }

    /// Writes a store of (path, label, class that the code looks like) whose pictures are those
    /// below `pictures`, or `absent` where they are not there.
    pub fn store(
        &self,
        name: &str,
        rows: impl IntoIterator<Item = (String, usize, usize)>,
        absent: &[u8],
    ) {
        let mut description = super::description(Dtype::F32, Pool::None);
        description.classes = self.classes.to_vec();
        description.root = Some(self.path("pictures").to_str().unwrap().to_owned());
        let mut writer =
            StoreWriter::create(&self.path(name), Existing::Keep, description).unwrap();
        for (row, (path, label, looks_like)) in rows.into_iter().enumerate() {
            let bytes = fs::read(self.path("pictures").join(&path));
            let path_of_row = format!("{name}/{path}");
            let picture = PictureRow {
                path: path.into(),
                label: Some(label),
                width: 1,
                height: 1,
                group: None,
                blake3: blake3::hash(
                    bytes
                        .as_deref()
                        .unwrap_or(&[absent, path_of_row.as_bytes()].concat()),
                ),
            };
            let near = 0.05 * (row % 7) as f32;
            let code = [3.0 * looks_like as f32, near, 0.3, near * near, 0.0, 0.1];
            writer.append(&picture, Code::Values(&code)).unwrap();
        }
        writer.finish().unwrap();
    }

    /// `train-head`, judged on the store `validation`, into `head`.
    pub fn train(&self) -> Command {
        let mut command = super::cnn_codes();
        command.current_dir(self.folder.path()).arg("train-head");
        command.args([
            "--train",
            "train",
            "--validation",
            "validation",
            "--out",
            "head",
        ]);
        command.args(["--hidden", "8", "--learning-rate", "0.05", "--epochs", "8"]);
        command
    }

    /// `report head`.
    pub fn report(&self) -> Command {
        let mut command = super::cnn_codes();
        command
            .current_dir(self.folder.path())
            .args(["report", "head"]);
        command
    }

    /// The page that `train-head` leaves.
    pub fn page(&self) -> String {
        self.train().assert().success();
        self.read("head/report.html")
    }

    /// The folder of all.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
