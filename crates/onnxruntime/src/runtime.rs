//! Finds ONNX Runtime's shared library, and holds the one environment of a process.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider as _};

use crate::fetched::pinned_library;
use crate::telemetry;

/// The oldest minor version of ONNX Runtime 1 that `ort` supports without an `api-NN` feature.
const OLDEST_MINOR: u32 = ort::MINOR_VERSION;

/// ONNX Runtime allows one environment per process, and never unloads a library.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// Where a library was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The path that the caller gave.
    Option,
    /// The environment variable `ORT_DYLIB_PATH`.
    Variable,
    /// The folder of the executable.
    Executable,
    /// `onnxruntime/` in the models folder, where `cnn-codes fetch` puts it.
    Models,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Option => "the path given",
            Self::Variable => "ORT_DYLIB_PATH",
            Self::Executable => "beside the executable",
            Self::Models => "models folder",
        })
    }
}

/// Why ONNX Runtime cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// No library was found in any of the places.
    #[error(
        "ONNX Runtime's library was not found. These places were searched: {}",
        list_places(searched)
    )]
    NotFound {
        /// The places, in the order of the search.
        searched: Vec<(Origin, Option<PathBuf>)>,
    },
    /// A library was named, but does not exist.
    #[error("there is no ONNX Runtime library at {} (from {origin})", path.display())]
    Missing {
        /// The path as given.
        path: PathBuf,
        /// The source of the path.
        origin: Origin,
    },
    /// The files in the models folder are not the fetched ones.
    #[error(
        "nothing is loaded from {}: {reason}", directory.display()
    )]
    NotAsFetched {
        /// The folder in the models folder.
        directory: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The system's loader rejects the file.
    #[error("{} (from {origin}) cannot be loaded: {reason}; `cnn-codes fetch onnxruntime` installs one that can", path.display())]
    Unloadable {
        /// The library.
        path: PathBuf,
        /// Where it was found.
        origin: Origin,
        /// The loader's message.
        reason: String,
    },
    /// Loading the library could let it send telemetry.
    #[error(
        "ONNX Runtime would send telemetry to Microsoft, and other threads are running, so that it can \
         no longer be switched off from inside. Set {}=1 before the program starts, or call \
         cnn_codes::model::telemetry::disable first in main",
        telemetry::SWITCH
    )]
    Telemetry,
    /// The library was loaded, but its environment could not be made.
    #[error("ONNX Runtime from {} does not start: {source}", path.display())]
    Environment {
        /// The library.
        path: PathBuf,
        /// ONNX Runtime's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn list_places(searched: &[(Origin, Option<PathBuf>)]) -> String {
    let places: Vec<_> = searched
        .iter()
        .map(|(origin, path)| match path {
            Some(path) => format!("{origin} ({})", path.display()),
            None => format!("{origin} (not set)"),
        })
        .collect();
    places.join(", ")
}

/// A library's location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// Absolute path of the library itself.
    pub path: PathBuf,
    /// Where it was found.
    pub origin: Origin,
}

impl Library {
    /// Searches, in this order: `explicit`, `ORT_DYLIB_PATH`, the executable's folder, and
    /// `onnxruntime/` in `models`. The first two may name the library or its folder, and are
    /// trusted. The models folder may come from someone else; there, only the files that `cnn-codes
    /// fetch` installed are accepted, checked by their hashes.
    ///
    /// # Errors
    /// [`RuntimeError::NotFound`], [`RuntimeError::Missing`] or [`RuntimeError::NotAsFetched`].
    pub fn find(explicit: Option<&Path>, models: &Path) -> Result<Self, RuntimeError> {
        let variable = std::env::var_os("ORT_DYLIB_PATH")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        // As safe as the program: anyone who can write there can replace the program itself.
        let executable = std::env::current_exe()
            .ok()
            .and_then(|path| path.parent().map(Path::to_owned));
        let places = [
            (Origin::Option, explicit.map(Path::to_owned)),
            (Origin::Variable, variable),
            (Origin::Executable, executable),
            (Origin::Models, Some(models.join("onnxruntime"))),
        ];
        for (origin, place) in &places {
            let Some(place) = place else { continue };
            let found = if *origin == Origin::Models {
                pinned_library(models).map_err(|reason| RuntimeError::NotAsFetched {
                    directory: place.clone(),
                    reason,
                })?
            } else {
                library_at(place)
            };
            if let Some(path) = found {
                let path = std::path::absolute(&path).unwrap_or(path);
                return Ok(Self {
                    path,
                    origin: *origin,
                });
            }
            if matches!(origin, Origin::Option | Origin::Variable) {
                return Err(RuntimeError::Missing {
                    path: place.clone(),
                    origin: *origin,
                });
            }
        }
        Err(RuntimeError::NotFound {
            searched: places.into(),
        })
    }

    /// The version in the file's name (`libonnxruntime.so.1.32.0`), or what the library reports of
    /// it: `1.32`.
    fn version(&self, minor: u32) -> String {
        let path = self.path.canonicalize().unwrap_or(self.path.clone());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let digits = name
            .trim_start_matches("libonnxruntime")
            .trim_start_matches(".so")
            .trim_end_matches(".dylib")
            .trim_matches('.');
        if digits.starts_with(&format!("1.{minor}.")) {
            digits.to_owned()
        } else {
            format!("1.{minor}")
        }
    }
}

/// The library at `place`, which is the file itself or a folder that holds it. In a folder, the
/// file without a version in its name (usually a link) is preferred, then the newest.
fn library_at(place: &Path) -> Option<PathBuf> {
    if place.is_file() {
        return Some(place.to_owned());
    }
    std::fs::read_dir(place)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter_map(|path| Some((version_in_name(path.file_name()?)?, path)))
        .filter(|(_, path)| path.is_file())
        .max_by_key(|(version, _)| (version.is_empty(), version.clone()))
        .map(|(_, path)| path)
}

/// The numbers in a library's name: 1, 32, 0 of `libonnxruntime.so.1.32.0`, none of
/// `libonnxruntime.so`. `None` for other names.
fn version_in_name(name: &std::ffi::OsStr) -> Option<Vec<u64>> {
    let name = name.to_str()?;
    if cfg!(windows) {
        return name.eq_ignore_ascii_case("onnxruntime.dll").then(Vec::new);
    }
    let version = if cfg!(target_os = "macos") {
        name.strip_prefix("libonnxruntime")?
            .strip_suffix(".dylib")?
    } else {
        name.strip_prefix("libonnxruntime.so")?
    };
    let mut parts = version.split('.');
    // Nothing comes before the first dot.
    (parts.next() == Some("")).then_some(())?;
    parts.map(|number| number.parse().ok()).collect()
}

/// ONNX Runtime, loaded.
#[derive(Clone, Debug)]
pub struct Runtime {
    library: Library,
    version: String,
    environment: Environment,
}

impl Runtime {
    /// Loads `library`, once per process: a later call returns the library that the first one
    /// loaded.
    ///
    /// Nothing is loaded unless ONNX Runtime's telemetry is off. It is switched off here on
    /// Windows, and if this is the process's only thread (detected on Linux). Elsewhere it must be
    /// switched off before: see [`telemetry::disable`].
    ///
    /// # Errors
    /// [`RuntimeError::Telemetry`], [`RuntimeError::Unloadable`] or [`RuntimeError::Environment`].
    pub fn load(library: &Library) -> Result<Self, RuntimeError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*loaded {
            return Ok(runtime.clone());
        }
        if !telemetry::ensure_disabled() {
            return Err(RuntimeError::Telemetry);
        }
        let unloadable = |reason: String| RuntimeError::Unloadable {
            path: library.path.clone(),
            origin: library.origin,
            reason,
        };
        // A load error must not become an `ort::Error`: making one calls into the library.
        let builder =
            ort::init_from(&library.path).map_err(|error| unloadable(reason_of(&error)))?;
        let minor = ort::util::probe(&library.path).unwrap_or(OLDEST_MINOR);
        let environment = builder
            .with_name("cnn-codes")
            // For the events sent to Windows itself; elsewhere the variable suffices.
            .with_telemetry(false)
            .build()
            .map_err(|error| RuntimeError::Environment {
                path: library.path.clone(),
                source: error.into(),
            })?;
        let runtime = Self {
            version: library.version(minor),
            library: library.clone(),
            environment,
        };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// The loaded library.
    #[must_use]
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// Version, `1.32.0`; without the patch level if the file's name does not show it.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether the library was built with CUDA; that does not mean that CUDA works here.
    #[must_use]
    pub fn has_cuda(&self) -> bool {
        ep::CUDA::is_available().unwrap_or(false)
    }

    /// The environment, from which sessions are built.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// The loader's message, which `ort` keeps in the source of its error.
fn reason_of(error: &ort::LoadDynamicError) -> String {
    match error {
        ort::LoadDynamicError::Dlopen { error, .. } => {
            std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
        }
        ort::LoadDynamicError::MissingApi { .. } => {
            "it is a library, but not ONNX Runtime (it has no OrtGetApiBase)".to_owned()
        }
        ort::LoadDynamicError::BadVersion { version_str, .. } => {
            format!("it is version {version_str}, and 1.{OLDEST_MINOR} is the oldest that works")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_newest_library_in_a_folder_is_found_and_its_version_read_off_its_name() {
        let place = tempfile::tempdir().unwrap();
        for name in [
            "libonnxruntime.so.1.9.0",
            "libonnxruntime.so.1.40.0.bak",
            "libonnxruntime.so.1.31.1",
            "libonnxruntime.so.1.32.0",
            "libonnxruntime_providers_shared.so",
        ] {
            std::fs::write(place.path().join(name), "").unwrap();
        }
        let library = Library::find(Some(place.path()), Path::new("nowhere")).unwrap();
        assert!(library.path.ends_with("libonnxruntime.so.1.32.0"));
        assert_eq!(library.origin, Origin::Option);
        assert_eq!(library.version(32), "1.32.0");
        assert_eq!(library.version(22), "1.22");
        std::fs::write(place.path().join("libonnxruntime.so"), "").unwrap();
        let library = Library::find(Some(place.path()), Path::new("nowhere")).unwrap();
        assert!(library.path.ends_with("libonnxruntime.so"));
    }

    #[test]
    fn places_that_were_searched_in_vain_are_told_in_one_line() {
        let searched = vec![
            (Origin::Option, None),
            (Origin::Models, Some(PathBuf::from("m/onnxruntime"))),
        ];
        assert_eq!(
            RuntimeError::NotFound { searched }.to_string(),
            "ONNX Runtime's library was not found. These places were searched: the path given \
             (not set), models folder (m/onnxruntime)"
        );
    }

    #[test]
    fn a_library_that_was_named_and_is_not_there_is_an_error_and_not_passed_over() {
        let error = Library::find(Some(Path::new("/no/such.so")), Path::new("nowhere"));
        let message = error.unwrap_err().to_string();
        assert!(
            message.starts_with(
                "there is no ONNX Runtime library at /no/such.so (from the path given)"
            )
        );
    }

    #[test]
    fn a_file_that_is_no_library_is_refused_with_the_loaders_reason() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("libonnxruntime.so");
        std::fs::write(&path, "not a library").unwrap();
        let library = Library::find(Some(&path), Path::new("nowhere")).unwrap();
        let message = Runtime::load(&library).unwrap_err().to_string();
        assert!(message.contains("cannot be loaded: "), "{message}");
        assert!(message.contains("fetch onnxruntime"), "{message}");
    }
}
