//! Where a trunk runs, on whose kernels, with how many threads.

use ort_winograd::FilterTransforms;
use serde::{Deserialize, Serialize};

use crate::named;

/// Where a session is to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// CUDA where it works, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA, or an error.
    Cuda,
}

named!(Device, "device", Auto => "auto", Cpu => "cpu", Cuda => "cuda");

/// Whose kernels do the 3 x 3 convolutions on a CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernels {
    /// [`Self::Winograd`] where the trunk and the processor are fit for it, else
    /// [`Self::OnnxRuntime`].
    #[default]
    Auto,
    /// Those of the package `ort-winograd`, or an error.
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

/// How a trunk's session is set up. [`TrunkOptions::default`] is where it is best: on CUDA where that
/// works, with as many threads as this process may use, on the fastest kernels.
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
    /// Where it runs.
    pub device: Device,
    /// Threads of ONNX Runtime's own pool, at least 1.
    pub threads: usize,
    /// Whose kernels do the convolutions, where it runs on a CPU.
    pub kernels: Kernels,
    /// When the filters of those of `ort-winograd` are transformed.
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

    /// These options, with filters that are transformed then.
    #[must_use]
    pub fn with_filters(self, filters: FilterTransforms) -> Self {
        Self { filters, ..self }
    }
}
