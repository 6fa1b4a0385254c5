//! All that is in a folder, to be compared and to be put back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex::bytes::Regex;

/// Bytes of files, and `None` for folders, by their paths in the folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot(pub BTreeMap<PathBuf, Option<Vec<u8>>>);

impl Snapshot {
    /// Of all that is in `folder`.
    pub fn of(folder: &Path) -> Self {
        let mut all = BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(folder).unwrap().to_owned();
                let is_folder = path.is_dir();
                all.insert(name, (!is_folder).then(|| fs::read(&path).unwrap()));
                if is_folder {
                    folders.push(path);
                }
            }
        }
        Self(all)
    }

    /// Makes `folder` hold this and nothing else.
    pub fn put_back(&self, folder: &Path) {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).unwrap();
        for (name, bytes) in &self.0 {
            match bytes {
                None => fs::create_dir_all(folder.join(name)).unwrap(),
                Some(bytes) => fs::write(folder.join(name), bytes).unwrap(),
            }
        }
    }

    /// What is at `name` or below it, by paths from there on, but for locks, which no one reads.
    /// Times of training are made alike.
    pub fn below(&self, name: &str) -> Self {
        let seconds = Regex::new("\"training_seconds\": [0-9.e-]+").unwrap();
        let below = self.0.iter().filter_map(|(path, bytes)| {
            let rest = path.strip_prefix(name).ok()?;
            let bytes = bytes
                .as_ref()
                .map(|bytes| match path.ends_with("metrics.json") {
                    true => seconds
                        .replace_all(bytes, &b"\"training_seconds\": 0"[..])
                        .into_owned(),
                    false => bytes.clone(),
                });
            (!path.ends_with(".lock")).then(|| (rest.to_owned(), bytes))
        });
        Self(below.collect())
    }

    /// All but the paths of a kind.
    pub fn without(mut self, is_left_out: fn(&Path) -> bool) -> Self {
        self.0.retain(|path, _| !is_left_out(path));
        self
    }

    /// The first part of every path.
    pub fn roots(&self) -> Vec<String> {
        let depth_1 = self.0.keys().filter(|path| path.components().count() == 1);
        depth_1
            .map(|path| path.to_str().unwrap().to_owned())
            .collect()
    }

    /// Paths that are in only one of both, or differ.
    pub fn difference(&self, other: &Self) -> Vec<PathBuf> {
        let both = self.0.keys().chain(other.0.keys());
        let mut paths: Vec<_> = both
            .filter(|path| self.0.get(*path) != other.0.get(*path))
            .cloned()
            .collect();
        paths.sort();
        paths.dedup();
        paths
    }
}
