//! ONNX Runtime in the models directory: `onnxruntime/`, with a record of what it should hold.

use std::fs::{self, File};
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

/// How closely files are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    Sizes,
    Hashes,
}

/// The fetched ONNX Runtime, if its record and all of its files are there in the right sizes.
///
/// For use before each run; [`runtime_state`] reads the files as well, and says what is wrong.
#[must_use]
pub fn installed_onnxruntime(models: &Path) -> Option<InstalledRuntime> {
    let directory = models.join(DIRECTORY);
    let record = read_record(&directory).ok()??;
    check_files(&directory, &record, Check::Sizes).ok()?;
    Some(record.installed_in(&directory))
}

/// The fetched ONNX Runtime, with the hash of every file checked.
#[must_use]
pub fn runtime_state(models: &Path) -> RuntimeState {
    let directory = models.join(DIRECTORY);
    let checked = read_record(&directory).and_then(|record| match record {
        None => Ok(None),
        Some(record) => check_files(&directory, &record, Check::Hashes).map(|()| Some(record)),
    });
    match checked {
        Ok(None) => RuntimeState::Absent,
        Ok(Some(record)) => RuntimeState::Whole(record.installed_in(&directory)),
        Err(reason) => RuntimeState::Damaged { reason },
    }
}

/// Installs a pinned ONNX Runtime in `models`, unless it is there already.
///
/// Files that are whole are kept. Anything else is replaced, in one rename and with the reason
/// said; until then, what was there stays. Processes that fetch at the same time wait.
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
        return Ok(there());
    }
    let lock = FetchLock::acquire(models, say)?;
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
    if record.wheel_sha256 != pin.wheel.sha256 {
        let Record {
            package,
            version,
            platform,
            ..
        } = &record;
        let reason = format!(
            "it holds {package} {version} for {platform}, wanted is {}",
            pin.wheel
        );
        return Some(Reason::Other(reason));
    }
    check_files(&directory, &record, Check::Hashes)
        .err()
        .map(Reason::Other)
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

fn check_files(directory: &Path, record: &Record, check: Check) -> Result<(), String> {
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
        if check == Check::Hashes {
            let hash = File::open(&path).and_then(|mut file| sha256::of_reader(&mut file));
            let actual = hash.map_err(|error| format!("{name} in it: {error}"))?;
            if actual != *sha256 {
                return Err(format!(
                    "{name} in it has the SHA-256 {actual} instead of {sha256}"
                ));
            }
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
    let written = serde_json::to_writer_pretty(&mut file, &record).map_err(std::io::Error::from);
    (written.and_then(|()| file.sync_all())).map_err(io_error("write", &path))?;
    Ok(sync_directory(into)?)
}

impl Record {
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
