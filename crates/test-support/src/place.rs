//! A folder to extract in: the tiny trunk, and pictures of two classes.

use std::fs;
use std::path::Path;

use cnn_codes::codes::Store;
use image::{Rgb, RgbImage};

use super::tiny_trunk;

/// A folder with a trunk, and pictures of two classes whose names want quoting.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// Without ONNX Runtime the test is skipped.
    pub fn new() -> Option<Self> {
        super::models_with_onnxruntime()?;
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder };
        tiny_trunk::write(place.path());
        place.save("pictures/Äpfel & Birnen/1.png", &quarters([10, 20, 30]));
        place.save("pictures/zwei Wörter/sub/2.png", &quarters([200, 100, 0]));
        Some(place)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn save(&self, name: &str, picture: &RgbImage) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture.save(path).unwrap();
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn store(&self) -> Store {
        Store::open(&self.path().join("store")).unwrap()
    }

    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// 8 x 8 pixels: `color` in the upper left quarter, black elsewhere.
pub fn quarters(color: [u8; 3]) -> RgbImage {
    RgbImage::from_fn(8, 8, |x, y| {
        Rgb(if x < 4 && y < 4 { color } else { [0; 3] })
    })
}
