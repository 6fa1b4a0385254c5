//! The ONNX Runtimes that may be loaded, to the byte, and the wheels that contain them.
//!
//! Package, version and SHA-256 change together, and so does the ONNX Runtime that `cnn-codes` is
//! tested with. To update a row, download the wheel for that platform with pip, and hash it and its
//! libraries.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The variant of ONNX Runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flavour {
    /// For processors.
    Cpu,
    /// For NVIDIA cards, and for processors as well; ten times the size.
    Cuda,
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        })
    }
}

/// A wheel on PyPI, pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wheel {
    /// The package's name.
    pub package: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The platform tag; `None` for a wheel for all platforms.
    pub platform: Option<&'static str>,
    /// SHA-256 of the file, 64 lower-case hexadecimal digits.
    pub sha256: &'static str,
    /// Size of the file in bytes.
    pub bytes: u64,
}

impl fmt::Display for Wheel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.package, self.version)?;
        match self.platform {
            Some(platform) => write!(f, " for {platform}"),
            None => Ok(()),
        }
    }
}

/// An ONNX Runtime for one platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimePin {
    /// For processors or for NVIDIA cards.
    pub flavour: Flavour,
    /// The operating system, as in `std::env::consts::OS`.
    pub os: &'static str,
    /// The processor, as in `std::env::consts::ARCH`.
    pub arch: &'static str,
    /// The wheel that contains it.
    pub wheel: Wheel,
    /// The library's file name in the wheel, and where it is installed.
    pub library: &'static str,
    /// Every shared library of the wheel that is installed, with its BLAKE3: these may be loaded.
    ///
    /// The hashes are checked before each loading, and BLAKE3 is several times as fast as SHA-256.
    pub libraries: &'static [(&'static str, &'static str)],
}

/// The first of the libraries is ONNX Runtime itself.
const fn runtime(
    (os, arch, platform): (&'static str, &'static str, &'static str),
    bytes: u64,
    sha256: &'static str,
    libraries: &'static [(&'static str, &'static str)],
) -> RuntimePin {
    RuntimePin {
        flavour: Flavour::Cpu,
        os,
        arch,
        wheel: Wheel {
            package: "onnxruntime",
            version: "1.32.0",
            platform: Some(platform),
            sha256,
            bytes,
        },
        library: libraries[0].0,
        libraries,
    }
}

const fn cuda_runtime(pin: RuntimePin) -> RuntimePin {
    RuntimePin {
        flavour: Flavour::Cuda,
        wheel: Wheel {
            package: "onnxruntime-gpu",
            version: "1.31.1",
            ..pin.wheel
        },
        ..pin
    }
}

const LINUX_X86_64: (&str, &str, &str) = ("linux", "x86_64", "manylinux_2_28_x86_64");
const LINUX_AARCH64: (&str, &str, &str) = ("linux", "aarch64", "manylinux_2_28_aarch64");
const MACOS_ARM64: (&str, &str, &str) = ("macos", "aarch64", "macosx_14_0_arm64");
const WINDOWS_X86_64: (&str, &str, &str) = ("windows", "x86_64", "win_amd64");

/// The ONNX Runtimes that can be fetched.
pub const RUNTIMES: [RuntimePin; 6] = [
    runtime(
        LINUX_X86_64,
        27_780_404,
        "02ea12a28c069ea8510093d95a7f6ff8126bfd9fc5c0d3381c03b80fb2b424ba",
        &[
            (
                "libonnxruntime.so.1.32.0",
                "b9ca235169118134f48a14c831d0cb389470e1d98b78942aea77c99d90cf8d98",
            ),
            (
                "libonnxruntime_providers_shared.so",
                "c61396275e4e951ee00535f707d7b8b8e8696da3b07d593a8d6394d3a382e9d2",
            ),
        ],
    ),
    runtime(
        LINUX_AARCH64,
        23_195_811,
        "54d02baff2df38777b4c3cc7af326406fe8b8a48f54720f4c446d2d327920a79",
        &[
            (
                "libonnxruntime.so.1.32.0",
                "1bf4443e7de44e70b87889e91348de9052d2a0c4459c750b5134914df8fc1fff",
            ),
            (
                "libonnxruntime_providers_shared.so",
                "c084bb730fcd0a25ed48560faba04623cde6dac5b66962dc470ecca07ec5db3c",
            ),
        ],
    ),
    runtime(
        MACOS_ARM64,
        22_518_865,
        "27bf5dad46355a8a435c9c4e1556464d99ca834ea44e0f452909712068b8821b",
        &[(
            "libonnxruntime.1.32.0.dylib",
            "1c742eb1534e12493cc3017968a6ad957d49a06eb1b643effbd9b83e12fdf702",
        )],
    ),
    runtime(
        WINDOWS_X86_64,
        16_697_937,
        "c7f9aa98036ba2a47aa041a4a8c6d0a1f7bfe1bde44c131dcd15ce334f2f148d",
        &[
            (
                "onnxruntime.dll",
                "4fef9197261a5b481b75ea0bb0e7912f7127ea32209b2de19c05d3e51932d13d",
            ),
            (
                "onnxruntime_providers_shared.dll",
                "07e28a7b40599eca32681f72669d8dae45a1c77da69080afa036a2d4019750ce",
            ),
        ],
    ),
    cuda_runtime(runtime(
        LINUX_X86_64,
        255_567_609,
        "f659529e07c21ec6b6179fd1bfaf82ffb7c3dc9c0916e18f6f313f9a690891be",
        &[
            (
                "libonnxruntime.so.1.31.1",
                "b6b4433a5b49a4bc56ac8889b9dc887df947faacf40db82a0ed419e9a5bf94bf",
            ),
            (
                "libonnxruntime_providers_cuda.so",
                "0e49b65daf7b3e564ad703e349f161beda1124923d904f79d756b11c58022494",
            ),
            (
                "libonnxruntime_providers_shared.so",
                "e575eac21c52ff35f67d0179df4f76f0a953638a3448b982cf106112501df6b3",
            ),
            (
                "libonnxruntime_providers_tensorrt.so",
                "9059f341e33a1e419b23dea3fa64cb5807655ed695091ae6377ae398a4537cdb",
            ),
        ],
    )),
    cuda_runtime(runtime(
        WINDOWS_X86_64,
        168_097_596,
        "1a667241591c89c516b43689a0ae38c4d99d0cb45a2220e95a9f822aeb6887c4",
        &[
            (
                "onnxruntime.dll",
                "cd57890a6ecf83885f576630185a0582c115be9706c799a61e023835fe3a4814",
            ),
            (
                "onnxruntime_providers_cuda.dll",
                "6f3cf2fb81bd6ae468f59ccd9c21f3b3d8fa9c9b600fa1a97d23f30ea1838775",
            ),
            (
                "onnxruntime_providers_shared.dll",
                "7ca87761c02cdff41dbaeeb49fa7ee4613690d28cf7aaaf693dee210ebedfbfc",
            ),
            (
                "onnxruntime_providers_tensorrt.dll",
                "723154bd15fbf211db221b0405912b7a7d898722ce57568973321845eb066f0a",
            ),
        ],
    )),
];

impl RuntimePin {
    /// The ONNX Runtime for the machine that this program was built for; `None` if there is none.
    #[must_use]
    pub fn here(flavour: Flavour) -> Option<&'static Self> {
        Self::find(flavour, this_os(), std::env::consts::ARCH)
    }

    /// The ONNX Runtime for this machine from the wheel with this SHA-256.
    pub(crate) fn of_wheel(sha256: &str) -> Option<&'static Self> {
        let flavours = [Flavour::Cpu, Flavour::Cuda].into_iter();
        let mut pins = flavours.filter_map(Self::here);
        pins.find(|pin| pin.wheel.sha256 == sha256)
    }

    /// The ONNX Runtime for a platform, in the words of `std::env::consts`; `None` if there is none.
    #[must_use]
    pub fn find(flavour: Flavour, os: &str, arch: &str) -> Option<&'static Self> {
        let mut rows = RUNTIMES.iter().filter(|row| row.flavour == flavour);
        rows.find(|row| row.os == os && row.arch == arch)
    }
}

/// The operating system that this program was built for. The Linux wheels need glibc, which
/// `std::env::consts::OS` does not show.
#[must_use]
pub const fn this_os() -> &'static str {
    if cfg!(target_env = "musl") {
        "linux with musl"
    } else {
        std::env::consts::OS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pin_is_a_whole_hash_of_its_own() {
        let mut hashes: Vec<_> = RUNTIMES.iter().map(|row| row.wheel.sha256).collect();
        let libraries = RUNTIMES.iter().flat_map(|row| row.libraries);
        hashes.extend(libraries.map(|(_, sha256)| sha256));
        let n = hashes.len();
        for hash in &hashes {
            assert!(
                hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()),
                "{hash}"
            );
        }
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), n);
    }

    #[test]
    fn the_promised_platforms_have_their_rows() {
        for (os, arch) in [
            ("linux", "x86_64"),
            ("linux", "aarch64"),
            ("macos", "aarch64"),
            ("windows", "x86_64"),
        ] {
            RuntimePin::find(Flavour::Cpu, os, arch).unwrap();
        }
        let cuda = RuntimePin::find(Flavour::Cuda, "linux", "x86_64").unwrap();
        assert_eq!(cuda.wheel.package, "onnxruntime-gpu");
    }
}
