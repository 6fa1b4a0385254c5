//! ONNX Runtime in the models directory: `onnxruntime/`, with a record of what it should hold.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use cnn_codes_files::{put_in_place, sync_directory};
use cnn_codes_onnxruntime::fetched::{
    DIRECTORY, FileRecord, LICENCES, RECORD, RECORD_FORMAT, Record, check_libraries, foreign_names,
    is_of_pin,
};
use cnn_codes_onnxruntime::pins::{Flavour, RUNTIMES, RuntimePin, this_os};
use cnn_codes_onnxruntime::sha256;

use super::error::{AssetError, io_error};
use super::lock::FetchLock;
use super::wheel::OpenWheel;
use super::{Fetched, WheelSource};

/// Where a wheel keeps its libraries, and where its licences.
const WHEEL_LIBRARIES: &str = "onnxruntime/capi/";
const WHEEL_LICENCES: &str = "onnxruntime/";

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
    let checked = Record::read(&directory).and_then(|record| match record {
        None => Ok(None),
        Some(record) => check_files(&directory, &record).map(|()| Some(record)),
    });
    match checked {
        Ok(None) => RuntimeState::Absent,
        Ok(Some(record)) => RuntimeState::Whole(installed_in(&directory, record)),
        Err(reason) => RuntimeState::Damaged { reason },
    }
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
    let recorded = Record::read(&directory).ok().flatten();
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

/// The ONNX Runtime for this machine.
///
/// # Errors
/// [`AssetError::Unsupported`] if there is none.
pub fn runtime_here(flavour: Flavour) -> Result<&'static RuntimePin, AssetError> {
    let unsupported = || unsupported(flavour, this_os(), std::env::consts::ARCH);
    RuntimePin::here(flavour).ok_or_else(unsupported)
}

fn unsupported(flavour: Flavour, os: &str, arch: &str) -> AssetError {
    let rows = RUNTIMES.iter().filter(|row| row.flavour == flavour);
    let names: Vec<_> = rows.map(|row| format!("{} {}", row.os, row.arch)).collect();
    AssetError::Unsupported {
        flavour,
        platform: format!("{os} {arch}"),
        supported: names.join(", "),
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
    let record = match Record::read(&directory) {
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
    let licence = member.strip_prefix(WHEEL_LICENCES);
    if let Some(name) = licence.filter(|name| LICENCES.contains(name)) {
        return Some(name);
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
    let licences = LICENCES.map(|name| format!("{WHEEL_LICENCES}{name}"));
    let library = format!("{WHEEL_LIBRARIES}{}", pin.library);
    for member in licences.into_iter().chain([library]) {
        let name = installed_name(&member);
        if !files.iter().any(|file| Some(file.name.as_str()) == name) {
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

fn installed_in(directory: &Path, record: Record) -> InstalledRuntime {
    InstalledRuntime {
        library: directory.join(&record.library),
        version: record.version,
        flavour: record.flavour,
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

    #[test]
    fn an_unsupported_platform_is_told_the_supported_ones_and_the_way_out() {
        let error = unsupported(Flavour::Cuda, "macos", "aarch64").to_string();
        for part in [
            "macos aarch64",
            "linux x86_64, windows x86_64",
            "ORT_DYLIB_PATH",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }
}
