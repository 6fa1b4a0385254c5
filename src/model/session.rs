//! A trunk in an ONNX Runtime session: input tensors in, codes out.

mod error;
mod file;
mod open;
mod options;
mod tensors;

use std::path::Path;

use ort::session::Session;
use ort_winograd::onnx::{DataType, TensorType};
use ort_winograd::{OnnxModel, Rewritten};

pub use self::error::TrunkError;
use self::file::TrunkFile;
use self::open::{Opened, open_session};
pub use self::options::{Device, Kernels, Provider, TrunkOptions};
use self::tensors::{as_levels, channels_last, input_shape, input_tensor, n_pictures};
use super::Runtime;
use super::card::{Element, ModelCard, Reference};
use super::identity::{OutputSpec, TrunkIdentity};
use crate::picture::Layout;

/// The identity of the trunk that a card and an ONNX file describe, without a session.
///
/// # Errors
/// [`TrunkError`] if the file does not fit the card.
pub fn identify(card: &ModelCard, path: &Path) -> Result<TrunkIdentity, TrunkError> {
    let card = card.clone().with_token();
    TrunkFile::read(&card, path)?.identify(&card)
}

/// Shape (C, H, W) of a feature map inside a trunk's graph, found by running one picture of zeros.
/// The order is (C, H, W) even for the trunk's output with its channels last.
///
/// # Errors
/// [`TrunkError`] if there is no such tensor, or if it is not a feature map.
pub fn shape_of(
    runtime: &Runtime,
    card: &ModelCard,
    path: &Path,
    tensor: &str,
) -> Result<[u64; 3], TrunkError> {
    if tensor == card.input.name {
        let (height, width) = (card.input.height, card.input.width);
        return Ok([3, u64::from(height), u64::from(width)]);
    }
    if tensor == card.output.name
        && let &[height, width, channels] = card.output().shape.as_slice()
    {
        return Ok([channels, height, width].map(|axis| axis as u64));
    }
    let mut model = OnnxModel::read(path)?;
    model.cut_after(tensor)?;
    let open = TensorType {
        element: DataType::Float,
        dims: None,
    };
    model.declare(tensor, &open)?;
    let failed = |source: ort::Error| TrunkError::Run {
        n: 1,
        source: source.into(),
    };
    let mut session = open::plain(runtime, &model.to_bytes()).map_err(failed)?;
    let numbers = vec![0.0; input_shape(&card.input, 1).iter().product()];
    let levels = vec![0; numbers.len()];
    let input = input_tensor(&card.input, 1, &numbers, &levels).map_err(failed)?;
    let outputs = session.run(ort::inputs![card.input.name.as_str() => input]);
    let outputs = outputs.map_err(failed)?;
    let (shape, _) = outputs[tensor]
        .try_extract_tensor::<f32>()
        .map_err(failed)?;
    let axes: Vec<_> = shape
        .iter()
        .map(|&axis| u64::try_from(axis).unwrap_or(0))
        .collect();
    match axes.as_slice() {
        &[1, channels, height, width] => Ok([channels, height, width]),
        _ => Err(TrunkError::OutputShape {
            output: tensor.to_owned(),
            expected: vec![1, -1, -1, -1],
            actual: shape.to_vec(),
        }),
    }
}

/// Appends the prepared pixels of `n` pictures as codes, channels last.
fn append_pixels(layout: Layout, pixels: &[f32], n: usize, codes: &mut Vec<f32>) {
    if layout == Layout::ChannelsLast {
        codes.extend_from_slice(pixels);
        return;
    }
    let start = codes.len();
    codes.resize(start + pixels.len(), 0.0);
    let len = pixels.len() / n;
    let pictures = pixels.chunks_exact(len);
    for (picture, code) in pictures.zip(codes[start..].chunks_exact_mut(len)) {
        channels_last(picture, 3, code);
    }
}

/// The number of pictures that ONNX Runtime gets at once on a CPU.
///
/// Larger batches are not faster there, and cost memory: VGG16 on 2 cores runs 16.4 pictures/s in
/// batches of 20 with 1,260 MB resident, and 16.3 in batches of 4 with 420 MB (ONNX Runtime 1.32).
const CPU_BATCH_SIZE: usize = 4;

/// A loaded trunk.
#[derive(Debug)]
pub struct Trunk {
    session: Session,
    card: ModelCard,
    identity: TrunkIdentity,
    provider: Provider,
    fallback: Option<String>,
    /// The model with other convolutions; `None` if ONNX Runtime's own run.
    rewritten: Option<Rewritten>,
    onnxruntime: String,
    threads: usize,
    /// Shape of one picture's output, in ONNX Runtime's order of axes.
    output_shape: Vec<usize>,
}

impl Trunk {
    /// Loads the ONNX file at `path` as the trunk that `card` describes.
    ///
    /// # Errors
    /// [`TrunkError`]: the file is not an ONNX file, does not match the card, or cannot run on
    /// `options.device`.
    pub fn load(
        runtime: &Runtime,
        card: ModelCard,
        path: &Path,
        options: TrunkOptions,
    ) -> Result<Self, TrunkError> {
        let card = card.with_token();
        let file = TrunkFile::read(&card, path)?;
        // In parallel, since both take equally long.
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

    /// Why `auto` did not choose CUDA, if the library supports it.
    #[must_use]
    pub fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// The kernels that compute the convolutions: never [`Kernels::Auto`].
    #[must_use]
    pub fn kernels(&self) -> Kernels {
        match self.rewritten {
            Some(_) => Kernels::Winograd,
            None => Kernels::OnnxRuntime,
        }
    }

    /// The model that runs instead of the file's, if its convolutions are not ONNX Runtime's own.
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

    /// The largest distance between the codes of the card's reference pictures and the codes in the
    /// card, as a share of the largest number of each code. `None` if the card has no references.
    ///
    /// Another processor or another ONNX Runtime changes codes by some millionths.
    ///
    /// # Errors
    /// As [`Trunk::run`].
    pub fn distance_to_references(&mut self) -> Result<Option<f64>, TrunkError> {
        let mut farthest = None::<f64>;
        for reference in self.card.references.clone() {
            let codes = self.code_of(&reference)?;
            let size = codes
                .iter()
                .fold(0.0_f32, |size, code| size.max(code.abs()));
            let pairs = codes.iter().zip(&reference.codes);
            let off = pairs.fold(0.0_f64, |off, (code, expected)| {
                // NaN counts as the largest distance.
                let distance = f64::from((code - expected).abs()) / f64::from(size);
                off.max(if distance.is_nan() {
                    f64::INFINITY
                } else {
                    distance
                })
            });
            farthest = Some(farthest.unwrap_or(0.0).max(off));
        }
        Ok(farthest)
    }

    /// Three reference pictures with the first numbers of their codes, for a card that allows this
    /// trunk to be checked on other machines.
    ///
    /// # Errors
    /// As [`Trunk::run`].
    pub fn references(&mut self) -> Result<Vec<Reference>, TrunkError> {
        let made = Reference::PICTURES.map(|picture| {
            let empty = Reference {
                picture,
                codes: Vec::new(),
            };
            let mut codes = self.code_of(&empty)?;
            codes.truncate(Reference::N_NUMBERS);
            Ok(Reference { picture, codes })
        });
        made.into_iter().collect()
    }

    /// The code of a reference's picture, by the card's recipe.
    fn code_of(&mut self, reference: &Reference) -> Result<Vec<f32>, TrunkError> {
        let input = &self.card.input;
        let picture = reference.picture(input.width, input.height);
        let mut pixels = vec![0.0; input_shape(input, 1).iter().product()];
        input.recipe.apply(&picture, input.layout, &mut pixels);
        let mut code = Vec::new();
        self.run(&pixels, &mut code)?;
        Ok(code)
    }

    /// Runs pictures and leaves their codes in `codes`: one code after the other, float32, channels
    /// last.
    ///
    /// `pixels` holds N prepared pictures, (N, H, W, 3) or (N, 3, H, W) by the card's layout, in C
    /// order; N, 1 or more, follows from its length. On a CPU they run a few at a time, so that the
    /// memory for activations does not depend on N.
    ///
    /// A trunk that takes bytes is also given float32 numbers here.
    ///
    /// # Errors
    /// [`TrunkError::PixelCount`] if the length of `pixels` is not that of 1, 2, 3, ... pictures;
    /// [`TrunkError::Run`], [`TrunkError::NotALevel`] or [`TrunkError::OutputShape`].
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
        if self.card.is_cut_at_input() {
            append_pixels(input.layout, tensor, n, codes);
            return Ok(());
        }
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
