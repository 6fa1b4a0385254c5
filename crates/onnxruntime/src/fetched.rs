//! A fetched ONNX Runtime: the contents of `onnxruntime/` in the models folder, and whether it may
//! be loaded.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::pins::{Flavour, RuntimePin};

/// The directory's name under the models directory.
pub const DIRECTORY: &str = "onnxruntime";
/// The record's name. It is written last, so that a directory without it is incomplete.
pub const RECORD: &str = "asset.json";
/// The version of the record's format.
pub const RECORD_FORMAT: u32 = 1;
/// The licences beside the libraries.
pub const LICENCES: [&str; 2] = ["LICENSE", "ThirdPartyNotices.txt"];

/// The contents of `asset.json`: what was installed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// [`RECORD_FORMAT`].
    pub format: u32,
    /// The Python package of the wheel: "onnxruntime".
    pub package: String,
    /// Its version: "1.32.0".
    pub version: String,
    /// For processors or for NVIDIA cards.
    pub flavour: Flavour,
    /// The wheel's platform tag, or "any".
    pub platform: String,
    /// SHA-256 of the wheel, 64 lower-case hexadecimal digits.
    pub wheel_sha256: String,
    /// The file name of ONNX Runtime's own library.
    pub library: String,
    /// Every file, sorted by name.
    pub files: Vec<FileRecord>,
}

/// An installed file.
#[derive(Debug, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its name in the directory.
    pub name: String,
    /// SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
}

impl Record {
    /// Reads the record of a directory; `None` if the directory does not exist.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow the directory's name.
    pub fn read(directory: &Path) -> Result<Option<Self>, String> {
        if !directory.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(directory.join(RECORD))
            .map_err(|error| format!("{RECORD} in it: {error}"))?;
        let record: Self =
            serde_json::from_str(&text).map_err(|error| format!("{RECORD} in it: {error}"))?;
        if record.format != RECORD_FORMAT {
            return Err(format!(
                "{RECORD} in it has format {}, not {RECORD_FORMAT}",
                record.format
            ));
        }
        if !record.files.iter().any(|file| file.name == record.library) {
            return Err(format!("{RECORD} in it lists no {}", record.library));
        }
        Ok(Some(record))
    }

    /// What was installed, for messages: "onnxruntime 1.32.0 for manylinux_2_28_x86_64".
    #[must_use]
    pub fn what(&self) -> String {
        format!("{} {} for {}", self.package, self.version, self.platform)
    }
}

/// The library of the fetched ONNX Runtime, after a check that it is pinned to the byte; `None` if
/// nothing was fetched.
///
/// The hashes are compiled into this program, because an attacker who replaced the libraries may
/// also have written a record. The folder must hold nothing else, because the system first looks
/// there for the libraries that this one needs (`libstdc++.so.6`, `glibc-hwcaps/`). This finds
/// planted files; it does not protect against files exchanged while the program runs.
///
/// # Errors
/// What is wrong, in words that follow the folder's name.
pub(crate) fn pinned_library(models: &Path) -> Result<Option<PathBuf>, String> {
    let directory = models.join(DIRECTORY);
    let Some(record) = Record::read(&directory)? else {
        return Ok(None);
    };
    let pin = RuntimePin::of_wheel(&record.wheel_sha256).ok_or_else(|| {
        format!(
            "it holds {}, which is not what this cnn-codes was built for",
            record.what()
        )
    })?;
    check_libraries(&directory, pin)?;
    Ok(Some(directory.join(pin.library)))
}

/// Checks that a folder holds exactly the pinned libraries.
///
/// # Errors
/// What is wrong, in words that follow the folder's name.
pub fn check_libraries(directory: &Path, pin: &RuntimePin) -> Result<(), String> {
    let foreign = foreign_names(directory, |name| is_of_pin(name, pin))
        .map_err(|error| format!("it cannot be listed: {error}"))?;
    if let [name, ..] = foreign.as_slice() {
        return Err(format!(
            "it also holds {}, which is not of {}",
            name.display(),
            pin.wheel
        ));
    }
    for (name, blake3) in pin.libraries {
        let mut hasher = blake3::Hasher::new();
        File::open(directory.join(name))
            .and_then(|file| hasher.update_reader(file).map(drop))
            .map_err(|error| format!("{name} in it: {error}"))?;
        let actual = hasher.finalize().to_hex();
        if actual.as_str() != *blake3 {
            return Err(format!(
                "{name} in it is not the one of {}: its BLAKE3 is {actual} instead of {blake3}",
                pin.wheel
            ));
        }
    }
    Ok(())
}

/// Whether a file of this name belongs in the folder of a pinned ONNX Runtime.
#[must_use]
pub fn is_of_pin(name: &str, pin: &RuntimePin) -> bool {
    name == RECORD
        || (pin.libraries.iter()).any(|(library, _)| *library == name)
        || LICENCES.contains(&name)
}

/// The names in a folder that `is_own` does not accept, sorted. Hidden files are skipped: systems
/// create them everywhere, and no library has such a name.
///
/// # Errors
/// If the folder cannot be listed.
pub fn foreign_names(directory: &Path, is_own: impl Fn(&str) -> bool) -> io::Result<Vec<OsString>> {
    let names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name()));
    let mut foreign = names.collect::<io::Result<Vec<_>>>()?;
    foreign.retain(|name| {
        let name = name.to_string_lossy();
        !name.starts_with('.') && !is_own(&name)
    });
    foreign.sort();
    Ok(foreign)
}
