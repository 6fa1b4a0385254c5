//! A trunk in an ONNX Runtime session: input tensors in, codes out.

mod open;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use ort::session::Session;
use ort::value::{DynValueTypeMarker, TensorRef, ValueRef};
use ort_winograd::{GraphError, OnnxModel, Rewritten, hash_graph, hash_tensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::open::{Opened, open_session};
use super::card::{CardError, CardInput, Element, ModelCard};
use super::identity::{OutputSpec, TrunkIdentity};
use super::runtime::Runtime;
use super::sha256::hex;
use crate::named;
use crate::picture::Layout;

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

/// Why a trunk cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrunkError {
    /// The ONNX file cannot be read, or is none.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The card does not fit the ONNX file.
    #[error(transparent)]
    Card(#[from] CardError),
    /// ONNX Runtime does not take the model.
    #[error("ONNX Runtime cannot load {}: {source}", path.display())]
    Load {
        /// The ONNX file.
        path: PathBuf,
        /// What ONNX Runtime said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// CUDA was asked for, and does not work.
    #[error("CUDA cannot be used: {reason}")]
    Cuda {
        /// What is missing.
        reason: String,
        /// Whether the library has it: then CUDA 13, cuDNN 9 or a driver for them are missing.
        is_built_in: bool,
    },
    /// Winograd kernels were asked for, and cannot be used.
    #[error("the Winograd kernels cannot be used: {reason}")]
    Kernels {
        /// Why not.
        reason: &'static str,
    },
    /// A run failed.
    #[error("the trunk failed on a batch of {n}: {source}")]
    Run {
        /// Pictures in the batch.
        n: usize,
        /// What ONNX Runtime said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What was given is no whole number of pictures, or none.
    #[error(
        "the trunk takes pictures of {per_picture} numbers each, and was given {actual} numbers, \
         which are not 1, 2, 3, ... pictures"
    )]
    PixelCount {
        /// Numbers that were given.
        actual: usize,
        /// Numbers of one picture: height * width * 3.
        per_picture: usize,
    },
    /// The trunk takes bytes, and was given something else.
    #[error(
        "the trunk takes the levels 0 to 255 as bytes, and was given {value}; its recipe is inside"
    )]
    NotALevel {
        /// The first number that is no byte.
        value: f32,
    },
    /// The output does not have the card's shape.
    #[error(
        "the trunk's output '{output}' has shape {actual:?} where the card says {expected:?}; correct the card's [output] shape"
    )]
    OutputShape {
        /// Name of the output.
        output: String,
        /// N, then the shape on the card.
        expected: Vec<i64>,
        /// What came out.
        actual: Vec<i64>,
    },
}

/// Pictures that ONNX Runtime gets at once on a CPU.
///
/// More do not make it faster there, and cost memory: VGG16 on 2 cores runs 16.4 pictures/s in
/// batches of 20 with 1,260 MB resident, and 16.3 in batches of 4 with 420 MB (ONNX Runtime 1.32).
const CPU_BATCH_SIZE: usize = 4;

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
}

impl Default for TrunkOptions {
    fn default() -> Self {
        Self {
            device: Device::default(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            kernels: Kernels::default(),
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
}

/// A loaded trunk.
#[derive(Debug)]
pub struct Trunk {
    session: Session,
    card: ModelCard,
    identity: TrunkIdentity,
    provider: Provider,
    fallback: Option<String>,
    /// The model with other convolutions; nothing where ONNX Runtime's own run.
    rewritten: Option<Rewritten>,
    onnxruntime: String,
    threads: usize,
    /// Shape of one picture's output as ONNX Runtime gives it.
    output_shape: Vec<usize>,
}

impl Trunk {
    /// Loads the ONNX file at `path` as the trunk that `card` describes.
    ///
    /// # Errors
    /// [`TrunkError`]: the file is no ONNX file, does not fit the card, or cannot run on
    /// `options.device`.
    pub fn load(
        runtime: &Runtime,
        card: ModelCard,
        path: &Path,
        options: TrunkOptions,
    ) -> Result<Self, TrunkError> {
        let file = TrunkFile::read(&card, path)?;
        // Side by side, for each takes as long as the other.
        let (identity, opened) = std::thread::scope(|scope| {
            let identity = scope.spawn(|| file.identify(&card));
            let opened = open_session(runtime, &card, &file, options);
            (identity.join().expect("hashing does not panic"), opened)
        });
        let identity = identity?;
        let Opened {
            session,
            provider,
            fallback,
            rewritten,
        } = opened?;
        Ok(Self {
            output_shape: card
                .output
                .shape
                .iter()
                .map(|&axis| axis as usize)
                .collect(),
            session,
            card,
            identity,
            provider,
            fallback,
            rewritten,
            onnxruntime: runtime.version().to_owned(),
            threads: options.threads,
        })
    }

    /// The model card.
    #[must_use]
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// Name and hashes.
    #[must_use]
    pub fn identity(&self) -> &TrunkIdentity {
        &self.identity
    }

    /// The provider that runs the trunk.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Why `auto` did not take CUDA, where the library has it.
    #[must_use]
    pub fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// Whose kernels do the convolutions: never [`Kernels::Auto`].
    #[must_use]
    pub fn kernels(&self) -> Kernels {
        match self.rewritten {
            Some(_) => Kernels::Winograd,
            None => Kernels::OnnxRuntime,
        }
    }

    /// The model that runs in place of the file's, where its convolutions are not ONNX Runtime's own.
    #[must_use]
    pub fn rewritten(&self) -> Option<&Rewritten> {
        self.rewritten.as_ref()
    }

    /// Version of ONNX Runtime.
    #[must_use]
    pub fn onnxruntime(&self) -> &str {
        &self.onnxruntime
    }

    /// Threads of ONNX Runtime's own pool.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The output, with its channels last.
    #[must_use]
    pub fn output(&self) -> OutputSpec {
        self.card.output()
    }

    fn is_channels_first(&self) -> bool {
        self.card.output.layout == Some(Layout::ChannelsFirst)
    }

    /// Runs pictures and leaves their codes in `codes`: one code after the other, float32, channels
    /// last.
    ///
    /// `pixels` holds N prepared pictures, (N, H, W, 3) or (N, 3, H, W) as the card's layout has it, in
    /// C order; N, 1 or more, follows from its length. On a CPU they run a few at a time, so that the
    /// memory for activations does not depend on N.
    ///
    /// A trunk that takes bytes is given them as numbers all the same.
    ///
    /// # Errors
    /// [`TrunkError::PixelCount`] if `pixels` is not 1, 2, 3, ... pictures long; [`TrunkError::Run`],
    /// [`TrunkError::NotALevel`] or [`TrunkError::OutputShape`].
    pub fn run(&mut self, pixels: &[f32], codes: &mut Vec<f32>) -> Result<(), TrunkError> {
        codes.clear();
        let per_picture = input_shape(&self.card.input, 1).iter().product();
        let n = n_pictures(pixels.len(), per_picture)?;
        let at_once = match self.provider {
            Provider::Cpu => CPU_BATCH_SIZE,
            Provider::Cuda => n,
        };
        for pixels in pixels.chunks(per_picture * at_once) {
            self.run_at_once(pixels, pixels.len() / per_picture, codes)?;
        }
        Ok(())
    }

    /// Runs `n` pictures in one call, and appends their codes to `codes`.
    fn run_at_once(
        &mut self,
        tensor: &[f32],
        n: usize,
        codes: &mut Vec<f32>,
    ) -> Result<(), TrunkError> {
        let failed = |error: ort::Error| TrunkError::Run {
            n,
            source: error.into(),
        };
        let is_channels_first = self.is_channels_first();
        let input = &self.card.input;
        let levels = match input.element {
            Element::Float32 => Vec::new(),
            Element::Uint8 => as_levels(tensor)?,
        };
        let tensor = input_tensor(input, n, tensor, &levels).map_err(failed)?;
        let outputs = self
            .session
            .run(ort::inputs![input.name.as_str() => tensor])
            .map_err(failed)?;
        let name = &self.card.output.name;
        let (shape, values) = outputs[name.as_str()]
            .try_extract_tensor::<f32>()
            .map_err(failed)?;
        let expected: Vec<i64> = std::iter::once(n)
            .chain(self.output_shape.iter().copied())
            .map(|axis| axis as i64)
            .collect();
        if **shape != expected[..] {
            return Err(TrunkError::OutputShape {
                output: name.clone(),
                expected,
                actual: shape.to_vec(),
            });
        }
        if is_channels_first {
            let start = codes.len();
            codes.resize(start + values.len(), 0.0);
            let code_len = values.len() / n;
            let out = codes[start..].chunks_mut(code_len);
            for (code, out) in values.chunks(code_len).zip(out) {
                channels_last(code, self.output_shape[0], out);
            }
        } else {
            codes.extend_from_slice(values);
        }
        Ok(())
    }
}

/// An ONNX file that has the card's input and output. It is read once, so the bytes that are hashed
/// are those that run.
struct TrunkFile {
    bytes: Bytes,
    /// Its weights are slices of `bytes`.
    model: OnnxModel,
}

impl TrunkFile {
    fn read(card: &ModelCard, path: &Path) -> Result<Self, TrunkError> {
        let bytes = Bytes::from(std::fs::read(path).map_err(|source| GraphError::Read {
            path: path.to_owned(),
            source,
        })?);
        let model = OnnxModel::from_bytes(bytes.clone(), path)?;
        card.check_against(&model)?;
        Ok(Self { bytes, model })
    }

    /// Hashes the file, and checks its weights and operators against the card.
    fn identify(&self, card: &ModelCard) -> Result<TrunkIdentity, TrunkError> {
        let hash = hash_tensors(&self.model)?;
        card.check_tensors_hash(&self.model, &hash)?;
        let graph = hash_graph(&self.model, &card.output.name)?;
        card.check_graph_hash(&self.model, &graph)?;
        Ok(TrunkIdentity {
            name: card.name.clone(),
            sha256: hex(&Sha256::digest(&self.bytes)),
            tensors_sha256: hash.sha256,
            graph_sha256: Some(graph),
        })
    }
}

/// How many pictures `n_numbers` are, of `per_picture` numbers each.
fn n_pictures(n_numbers: usize, per_picture: usize) -> Result<usize, TrunkError> {
    if n_numbers == 0 || !n_numbers.is_multiple_of(per_picture) {
        return Err(TrunkError::PixelCount {
            actual: n_numbers,
            per_picture,
        });
    }
    Ok(n_numbers / per_picture)
}

/// Shape of the input tensor of `n` pictures.
fn input_shape(input: &CardInput, n: usize) -> [usize; 4] {
    let (height, width) = (input.height as usize, input.width as usize);
    match input.layout {
        Layout::ChannelsLast => [n, height, width, 3],
        Layout::ChannelsFirst => [n, 3, height, width],
    }
}

/// The input tensor of `n` pictures: `numbers`, or, for a trunk that takes bytes, `levels`.
fn input_tensor<'a>(
    input: &CardInput,
    n: usize,
    numbers: &'a [f32],
    levels: &'a [u8],
) -> ort::Result<ValueRef<'a, DynValueTypeMarker>> {
    let shape = input_shape(input, n);
    Ok(match input.element {
        Element::Float32 => TensorRef::from_array_view((shape, numbers))?.into_dyn(),
        Element::Uint8 => TensorRef::from_array_view((shape, levels))?.into_dyn(),
    })
}

/// Numbers that are levels, as bytes.
fn as_levels(tensor: &[f32]) -> Result<Vec<u8>, TrunkError> {
    // `as` saturates, so that only a level comes back as it was.
    let level = |&value: &f32| match value as u8 {
        level if f32::from(level) == value => Ok(level),
        _ => Err(TrunkError::NotALevel { value }),
    };
    tensor.iter().map(level).collect()
}

/// Turns one code from (C, H, W) into (H, W, C).
fn channels_last(code: &[f32], channels: usize, out: &mut [f32]) {
    let positions = code.len() / channels;
    for (position, pixel) in out.chunks_exact_mut(channels).enumerate() {
        for (channel, value) in pixel.iter_mut().enumerate() {
            *value = code[channel * positions + position];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_pictures_follows_from_the_length_and_other_lengths_are_refused() {
        assert_eq!(n_pictures(12, 12).unwrap(), 1);
        assert_eq!(n_pictures(36, 12).unwrap(), 3);
        for actual in [0, 11, 13, 35] {
            let error = n_pictures(actual, 12).unwrap_err();
            assert!(
                matches!(
                    error,
                    TrunkError::PixelCount {
                        per_picture: 12,
                        ..
                    }
                ),
                "{error}"
            );
        }
    }

    #[test]
    fn only_whole_numbers_from_0_to_255_are_levels() {
        assert_eq!(as_levels(&[0.0, 128.0, 255.0]).unwrap(), [0, 128, 255]);
        for value in [-1.0, 0.5, 256.0, f32::NAN, f32::INFINITY] {
            let error = as_levels(&[1.0, value]).unwrap_err();
            assert!(matches!(error, TrunkError::NotALevel { .. }), "{value}");
        }
    }

    #[test]
    fn channels_move_from_first_to_last() {
        let mut out = [0.0; 6];
        channels_last(&[1.0, 3.0, -2.0, -4.0, 5.0, 5.0], 3, &mut out);
        assert_eq!(out, [1.0, -2.0, 5.0, 3.0, -4.0, 5.0]);
    }
}
