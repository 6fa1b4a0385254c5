//! ONNX Runtime in the models directory: `onnxruntime/`, with a record of what it should hold.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{AssetError, io_error};
use super::lock::FetchLock;
use super::pins::{Flavour, RuntimePin};
use super::wheel::OpenWheel;
use super::{Fetched, WheelSource};
use crate::files::{put_in_place, sync_directory};
use crate::model::sha256;

/// The directory's name under the models directory.
const DIRECTORY: &str = "onnxruntime";
/// The record's name. It is written last, so that a directory without it is not whole.
const RECORD: &str = "asset.json";
const RECORD_FORMAT: u32 = 1;
/// Where a wheel keeps its libraries, and where its licence.
const WHEEL_LIBRARIES: &str = "onnxruntime/capi/";
const WHEEL_LICENCES: [&str; 2] = ["onnxruntime/LICENSE", "onnxruntime/ThirdPartyNotices.txt"];

/// What was installed, as `asset.json` has it.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    format: u32,
    package: String,
    version: String,
    flavour: Flavour,
    platform: String,
    wheel_sha256: String,
    library: String,
    files: Vec<FileRecord>,
}

#[derive(Debug, Serialize, Deserialize)]
struct FileRecord {
    name: String,
    sha256: String,
    bytes: u64,
}

/// An ONNX Runtime that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledRuntime {
    /// Its version: "1.32.0".
    pub version: String,
    /// For processors or for NVIDIA cards.
    pub flavour: Flavour,
    /// The shared library.
    pub library: PathBuf,
}

/// What there is of a fetched ONNX Runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuntimeState {
    /// Nothing.
    Absent,
    /// Something that is not what was once installed.
    Damaged {
        /// What is wrong with it.
        reason: String,
    },
    /// Every file, each with the hash that it was installed with.
    Whole(InstalledRuntime),
}

/// The fetched ONNX Runtime, with the hash of every file checked.
#[must_use]
pub fn runtime_state(models: &Path) -> RuntimeState {
    let directory = models.join(DIRECTORY);
    let checked = read_record(&directory).and_then(|record| match record {
        None => Ok(None),
        Some(record) => check_files(&directory, &record).map(|()| Some(record)),
    });
    match checked {
        Ok(None) => RuntimeState::Absent,
        Ok(Some(record)) => RuntimeState::Whole(record.installed_in(&directory)),
        Err(reason) => RuntimeState::Damaged { reason },
    }
}

/// The library of the fetched ONNX Runtime, found to be pinned to the byte; `None` where nothing was
/// fetched.
///
/// The hashes are those that this program was built with: an attacker who put other libraries there
/// may have written a record as well. Nothing else may lie in the folder, as the system looks there
/// first for the libraries that this one needs (`libstdc++.so.6`, `glibc-hwcaps/`). This finds
/// planted files; it gives no protection from an exchange of files while the program runs.
///
/// # Errors
/// What is not as it should be, in words that go after the folder's name.
pub(in crate::model) fn pinned_library(models: &Path) -> Result<Option<PathBuf>, String> {
    let directory = models.join(DIRECTORY);
    let Some(record) = read_record(&directory)? else {
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

/// Checks that a folder holds the libraries that are pinned and none besides.
fn check_libraries(directory: &Path, pin: &RuntimePin) -> Result<(), String> {
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

/// Whether a file of this name belongs into the folder.
fn is_of_pin(name: &str, pin: &RuntimePin) -> bool {
    name == RECORD
        || (pin.libraries.iter()).any(|(library, _)| *library == name)
        || (WHEEL_LICENCES.iter()).any(|&member| installed_name(member) == Some(name))
}

/// What lies in a folder under other names than its own, in order. Hidden files are passed over:
/// systems put such down everywhere, and no library is called so.
fn foreign_names(directory: &Path, is_own: impl Fn(&str) -> bool) -> io::Result<Vec<OsString>> {
    let names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name()));
    let mut foreign = names.collect::<io::Result<Vec<_>>>()?;
    foreign.retain(|name| {
        let name = name.to_string_lossy();
        !name.starts_with('.') && !is_own(&name)
    });
    foreign.sort();
    Ok(foreign)
}

/// Moves files that are neither of the pin nor in the record out of the folder, and says where
/// they are.
fn move_foreign_aside(
    models: &Path,
    pin: &RuntimePin,
    say: &mut dyn FnMut(&str),
) -> Result<(), AssetError> {
    let directory = models.join(DIRECTORY);
    if !directory.exists() {
        return Ok(());
    }
    let recorded = read_record(&directory).ok().flatten();
    let recorded = recorded.map_or(Vec::new(), |record| record.files);
    let foreign = foreign_names(&directory, |name| {
        is_of_pin(name, pin) || recorded.iter().any(|file| file.name == name)
    })
    .map_err(io_error("read", &directory))?;
    if foreign.is_empty() {
        return Ok(());
    }
    let aside = new_folder(models, &format!("{DIRECTORY}.aside"))?;
    for name in foreign {
        let (from, to) = (directory.join(&name), aside.join(&name));
        say(&format!(
            "moving {} to {}: it is not of {}",
            from.display(),
            to.display(),
            pin.wheel
        ));
        fs::rename(&from, &to).map_err(io_error("move away", &from))?;
    }
    Ok(())
}

/// Makes a folder called `name`, or `name-2` and so on where that is taken.
fn new_folder(parent: &Path, name: &str) -> Result<PathBuf, AssetError> {
    let mut path = parent.join(name);
    let mut number = 1_u32;
    loop {
        match fs::create_dir(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                number += 1;
                path = parent.join(format!("{name}-{number}"));
            }
            Err(error) => return Err(io_error("create", &path)(error)),
            Ok(()) => return Ok(path),
        }
    }
}

/// Installs a pinned ONNX Runtime in `models`, unless it is there already.
///
/// Files that are whole are kept. Anything else is replaced, in one rename and with the reason
/// said; until then, what was there stays. Files that no ONNX Runtime put there are moved into
/// `onnxruntime.aside`. Processes that fetch at the same time wait.
///
/// # Errors
/// Any [`AssetError`] but those of cards and graphs; `models/onnxruntime` is then as it was.
pub fn install_onnxruntime(
    models: &Path,
    pin: &RuntimePin,
    source: &WheelSource<'_>,
    say: &mut dyn FnMut(&str),
) -> Result<Fetched, AssetError> {
    let there = || Fetched::AlreadyThere(models.join(DIRECTORY).join(pin.library));
    // Before the lock, so that a directory that cannot be written to serves as well.
    if why_not_there(models, pin).is_none() {
        FetchLock::tidy(models, say);
        return Ok(there());
    }
    let lock = FetchLock::acquire(models, say)?;
    move_foreign_aside(models, pin, say)?;
    match why_not_there(models, pin) {
        None => return Ok(there()),
        Some(Reason::Absent) => {}
        Some(Reason::Other(reason)) => say(&format!(
            "replacing {}: {reason}",
            models.join(DIRECTORY).display()
        )),
    }
    let scratch = lock.scratch()?;
    let wheel = source.obtain(&pin.wheel, &scratch.path().join("wheel"), say)?;
    let fresh = scratch.path().join(DIRECTORY);
    unpack(OpenWheel::open(&wheel, &pin.wheel)?, pin, &fresh)?;
    let target = models.join(DIRECTORY);
    if target.symlink_metadata().is_ok() {
        // Whatever it is: it was said that it is replaced.
        let aside = scratch.path().join("replaced");
        put_in_place(&fresh, &target, &aside, |_| Ok::<_, AssetError>(()))?;
    } else {
        fs::rename(&fresh, &target).map_err(io_error("create", &target))?;
    }
    sync_directory(models)?;
    Ok(Fetched::Installed(models.join(DIRECTORY).join(pin.library)))
}

enum Reason {
    Absent,
    Other(String),
}

/// Why the pinned runtime has to be installed; `None` if it is there.
fn why_not_there(models: &Path, pin: &RuntimePin) -> Option<Reason> {
    let directory = models.join(DIRECTORY);
    let record = match read_record(&directory) {
        Ok(Some(record)) => record,
        Ok(None) => return Some(Reason::Absent),
        Err(reason) => return Some(Reason::Other(reason)),
    };
    let checked = if record.wheel_sha256 == pin.wheel.sha256 {
        check_files(&directory, &record).and_then(|()| check_libraries(&directory, pin))
    } else {
        Err(format!(
            "it holds {}, wanted is {}",
            record.what(),
            pin.wheel
        ))
    };
    checked.err().map(Reason::Other)
}

/// The record; `None` where there is not even a directory.
fn read_record(directory: &Path) -> Result<Option<Record>, String> {
    if !directory.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(directory.join(RECORD))
        .map_err(|error| format!("{RECORD} in it: {error}"))?;
    let record: Record =
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

fn check_files(directory: &Path, record: &Record) -> Result<(), String> {
    for FileRecord {
        name,
        sha256,
        bytes,
    } in &record.files
    {
        let path = directory.join(name);
        let length = fs::metadata(&path)
            .map_err(|error| format!("{name} in it: {error}"))?
            .len();
        if length != *bytes {
            return Err(format!(
                "{name} in it has {length} bytes instead of {bytes}"
            ));
        }
        let hash = File::open(&path).and_then(|mut file| sha256::of_reader(&mut file));
        let actual = hash.map_err(|error| format!("{name} in it: {error}"))?;
        if actual != *sha256 {
            return Err(format!(
                "{name} in it has the SHA-256 {actual} instead of {sha256}"
            ));
        }
    }
    Ok(())
}

/// The name under which a file of the wheel is installed; `None` for those that are not.
///
/// The libraries are the runtime and its providers, which it looks for beside itself; the
/// binding for Python stays out.
fn installed_name(member: &str) -> Option<&str> {
    if WHEEL_LICENCES.contains(&member) {
        return member.rsplit('/').next();
    }
    let name = member.strip_prefix(WHEEL_LIBRARIES)?;
    let library = name.starts_with("libonnxruntime")
        || name.starts_with("onnxruntime") && name.ends_with(".dll");
    (library && !name.contains('/')).then_some(name)
}

/// Writes the wanted files and, last, the record.
fn unpack(mut wheel: OpenWheel, pin: &RuntimePin, into: &Path) -> Result<(), AssetError> {
    fs::create_dir(into).map_err(io_error("create", into))?;
    let mut files = Vec::new();
    for member in wheel.names()? {
        let Some(name) = installed_name(&member) else {
            continue;
        };
        let path = into.join(name);
        let mut file = File::create_new(&path).map_err(io_error("create", &path))?;
        let unpacked = wheel.unpack(&member, &mut file)?;
        file.sync_all().map_err(io_error("sync", &path))?;
        files.push(FileRecord {
            name: name.to_owned(),
            sha256: unpacked.sha256,
            bytes: unpacked.bytes,
        });
    }
    let wanted = WHEEL_LICENCES.map(str::to_owned);
    for member in wanted
        .into_iter()
        .chain([format!("{WHEEL_LIBRARIES}{}", pin.library)])
    {
        if !files
            .iter()
            .any(|file| Some(file.name.as_str()) == installed_name(&member))
        {
            return Err(wheel.no_member(&member));
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    write_record(pin, files, into)
}

fn write_record(pin: &RuntimePin, files: Vec<FileRecord>, into: &Path) -> Result<(), AssetError> {
    let record = Record {
        format: RECORD_FORMAT,
        package: pin.wheel.package.to_owned(),
        version: pin.wheel.version.to_owned(),
        flavour: pin.flavour,
        platform: pin.wheel.platform.unwrap_or("any").to_owned(),
        wheel_sha256: pin.wheel.sha256.to_owned(),
        library: pin.library.to_owned(),
        files,
    };
    let path = into.join(RECORD);
    let mut file = File::create_new(&path).map_err(io_error("create", &path))?;
    // In one piece: serde writes a word at a time.
    let json = serde_json::to_vec_pretty(&record).map_err(io::Error::from);
    json.and_then(|json| file.write_all(&json))
        .and_then(|()| file.sync_all())
        .map_err(io_error("write", &path))?;
    Ok(sync_directory(into)?)
}

impl Record {
    /// What was installed, for messages.
    fn what(&self) -> String {
        format!("{} {} for {}", self.package, self.version, self.platform)
    }

    fn installed_in(self, directory: &Path) -> InstalledRuntime {
        InstalledRuntime {
            library: directory.join(&self.library),
            version: self.version,
            flavour: self.flavour,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_licences_are_installed_and_python_bindings_are_not() {
        for (member, expected) in [
            (
                "onnxruntime/capi/libonnxruntime.so.1.32.0",
                Some("libonnxruntime.so.1.32.0"),
            ),
            (
                "onnxruntime/capi/libonnxruntime_providers_shared.so",
                Some("libonnxruntime_providers_shared.so"),
            ),
            (
                "onnxruntime/capi/libonnxruntime.1.32.0.dylib",
                Some("libonnxruntime.1.32.0.dylib"),
            ),
            ("onnxruntime/capi/onnxruntime.dll", Some("onnxruntime.dll")),
            (
                "onnxruntime/capi/onnxruntime_providers_cuda.dll",
                Some("onnxruntime_providers_cuda.dll"),
            ),
            ("onnxruntime/LICENSE", Some("LICENSE")),
            (
                "onnxruntime/ThirdPartyNotices.txt",
                Some("ThirdPartyNotices.txt"),
            ),
            ("onnxruntime/capi/onnxruntime_pybind11_state.pyd", None),
            (
                "onnxruntime/capi/onnxruntime_pybind11_state.cpython-313-x86_64-linux-gnu.so",
                None,
            ),
            ("onnxruntime/capi/training/libonnxruntime.so", None),
            ("onnxruntime/capi/_ld_preload.py", None),
            ("elsewhere/libonnxruntime.so.1.32.0", None),
        ] {
            assert_eq!(installed_name(member), expected, "{member}");
        }
    }
}
