//! Options of a trunk's session: device, kernels and threads.

use ort_winograd::FilterTransforms;
use serde::{Deserialize, Serialize};

use crate::named;

/// The device of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// CUDA if it works, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA; an error if it does not work.
    Cuda,
}

named!(Device, "device", Auto => "auto", Cpu => "cpu", Cuda => "cuda");

/// The kernels that compute the 3 x 3 convolutions on a CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernels {
    /// [`Self::Winograd`] if the trunk and the processor support it, else [`Self::OnnxRuntime`].
    #[default]
    Auto,
    /// The kernels of the package `ort-winograd`; an error if they cannot be used.
    Winograd,
    /// ONNX Runtime's own.
    OnnxRuntime,
}

named!(Kernels, "kernels", Auto => "auto", Winograd => "winograd", OnnxRuntime => "onnxruntime");

/// The execution provider that really runs a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// ONNX Runtime's own kernels.
    Cpu,
    /// NVIDIA's CUDA and cuDNN.
    Cuda,
}

impl Provider {
    /// ONNX Runtime's name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPUExecutionProvider",
            Self::Cuda => "CUDAExecutionProvider",
        }
    }
}

impl std::fmt::Display for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Options of a trunk's session. [`TrunkOptions::default`] is the fastest: CUDA if it works, as
/// many threads as this process may use, the fastest kernels.
///
/// ```
/// use cnn_codes::model::{Device, TrunkOptions};
///
/// let options = TrunkOptions::default().with_device(Device::Cpu).with_threads(2);
/// assert_eq!(options.threads, 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrunkOptions {
    /// The device.
    pub device: Device,
    /// Threads of ONNX Runtime's own pool, at least 1.
    pub threads: usize,
    /// The kernels for convolutions on a CPU.
    pub kernels: Kernels,
    /// When the filters of `ort-winograd`'s kernels are transformed.
    pub filters: FilterTransforms,
}

impl Default for TrunkOptions {
    fn default() -> Self {
        Self {
            device: Device::default(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            kernels: Kernels::default(),
            filters: FilterTransforms::default(),
        }
    }
}

impl TrunkOptions {
    /// These options, on `device`.
    #[must_use]
    pub fn with_device(self, device: Device) -> Self {
        Self { device, ..self }
    }

    /// These options, with `threads` threads, at least 1.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// These options, with these kernels.
    #[must_use]
    pub fn with_kernels(self, kernels: Kernels) -> Self {
        Self { kernels, ..self }
    }

    /// These options, with this time for transforming the filters.
    #[must_use]
    pub fn with_filters(self, filters: FilterTransforms) -> Self {
        Self { filters, ..self }
    }
}
