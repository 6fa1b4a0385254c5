//! The kernels as operators of ONNX Runtime.

use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput,
};
use ort::value::TensorElementType;

use super::convolution::FilterTransforms;
use super::layout::{from_block, to_block};
use super::rewrite::{
    CHANNELS, CONVOLUTION, DOMAIN, FROM_BLOCKS, LAYER, Layer, TO_BLOCKS, rewrite,
};
#[cfg(feature = "stage-times")]
use super::stopwatch::StageTimes;
use super::tiles::Shape;
use super::workspace::Workspaces;
use crate::instructions::{Instructions, LANES};
use crate::model::OnnxModel;

/// A model with some convolutions on the kernels of this crate and everything else in ONNX Runtime:
/// its bytes, and the operators that these bytes use.
#[derive(Debug)]
pub struct Rewritten {
    bytes: Vec<u8>,
    shared: Arc<Shared>,
}

/// The data shared by the operators of one session.
#[derive(Debug)]
struct Shared {
    layers: Vec<Layer>,
    workspaces: Workspaces,
    n_threads: usize,
}

impl Rewritten {
    /// Replaces the convolutions of `model` that have a kernel here; `None` if there are none.
    ///
    /// `n_threads` is the size of ONNX Runtime's own pool (`with_intra_threads`), which does the
    /// work. The work is cut into equal parts for this many threads. The numbers do not depend on
    /// it.
    #[must_use]
    pub fn of(model: &OnnxModel, n_threads: usize) -> Option<Self> {
        Self::with(model, n_threads, FilterTransforms::default())
    }

    /// As [`Self::of`], with the given time for transforming filters.
    #[must_use]
    pub fn with(model: &OnnxModel, n_threads: usize, transforms: FilterTransforms) -> Option<Self> {
        let graph = rewrite(model, transforms)?;
        Some(Self {
            bytes: graph.bytes,
            shared: Arc::new(Shared {
                layers: graph.layers,
                workspaces: Workspaces::default(),
                n_threads,
            }),
        })
    }

    /// Whether this processor has the instruction that makes the kernels faster than ONNX Runtime's
    /// own: a fused multiply-add.
    #[must_use]
    pub fn is_fast_here() -> bool {
        Instructions::detect().has_fused_multiply_add()
    }

    /// The rewritten ONNX file. It can only be loaded into a session with [`Self::operators`].
    #[must_use]
    pub fn onnx_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The operators, to be registered with the session of [`Self::onnx_bytes`]
    /// (`SessionBuilder::with_operators`). They hold the transformed weights, and continue to work
    /// after `self` is dropped.
    ///
    /// # Errors
    /// ONNX Runtime's error.
    pub fn operators(&self) -> ort::Result<OperatorDomain> {
        [CONVOLUTION, TO_BLOCKS, FROM_BLOCKS].into_iter().try_fold(
            OperatorDomain::new(DOMAIN)?,
            |domain, name| {
                domain.add(Blocked {
                    name,
                    shared: Arc::clone(&self.shared),
                })
            },
        )
    }

    /// Number of convolutions computed with transformed filters (Winograd).
    #[must_use]
    pub fn n_winograd(&self) -> usize {
        self.filter_bytes().count()
    }

    /// Number of convolutions with few input channels, which are summed directly.
    #[must_use]
    pub fn n_direct(&self) -> usize {
        self.shared.layers.len() - self.n_winograd()
    }

    /// Time spent so far in the stages of the convolutions.
    #[cfg(feature = "stage-times")]
    #[must_use]
    pub fn stage_times(&self) -> StageTimes {
        self.shared.workspaces.stage_times()
    }

    /// The replaced convolutions and the memory of their filters, in one line: `12 convolutions by
    /// Winograd F(4x4, 3x3) and 1 directly, with AVX-512; filters take 235 MB`.
    #[must_use]
    pub fn summary(&self) -> String {
        format!(
            "{} convolutions by Winograd F(4x4, 3x3) and {} directly, with {}; \
             filters take {} MB",
            self.n_winograd(),
            self.n_direct(),
            Instructions::detect().name(),
            self.filter_bytes().sum::<usize>() / 1_000_000,
        )
    }

    /// Memory in bytes of each convolution's transformed filters.
    fn filter_bytes(&self) -> impl Iterator<Item = usize> {
        self.shared.layers.iter().filter_map(|layer| match layer {
            Layer::Winograd(convolution) => Some(convolution.filter_bytes()),
            Layer::Direct(_) => None,
        })
    }
}

/// One of the operators.
struct Blocked {
    name: &'static str,
    shared: Arc<Shared>,
}

impl Operator for Blocked {
    type Kernel<'a> = BlockedKernel;

    fn name(&self) -> &str {
        self.name
    }

    fn versions(&self) -> RangeInclusive<u32> {
        1..=1
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::required(TensorElementType::Float32)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn create_kernel<'a>(&self, node: &KernelContext<'a>) -> ort::Result<BlockedKernel> {
        let number = |name: &str| {
            let number = node.get::<i64>(name);
            number
                .and_then(|number| usize::try_from(number).ok())
                .ok_or_else(|| ort::Error::new(format!("{} has no {name}", self.name)))
        };
        let step = match self.name {
            TO_BLOCKS => Step::ToBlocks {
                n_channels: number(CHANNELS)?,
            },
            FROM_BLOCKS => Step::FromBlocks {
                n_channels: number(CHANNELS)?,
            },
            _ => Step::Layer(number(LAYER)?),
        };
        Ok(BlockedKernel {
            step,
            shared: Arc::clone(&self.shared),
        })
    }
}

/// The operation of one node.
struct BlockedKernel {
    step: Step,
    shared: Arc<Shared>,
}

#[derive(Clone, Copy)]
enum Step {
    ToBlocks { n_channels: usize },
    FromBlocks { n_channels: usize },
    Layer(usize),
}

impl Kernel for BlockedKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        // ONNX Runtime is C++, through which a panic must not unwind.
        let computed = catch_unwind(AssertUnwindSafe(|| self.run(context)));
        computed.unwrap_or_else(|_| Err(ort::Error::new("a kernel panicked")))
    }
}

impl BlockedKernel {
    fn run(&self, context: &ComputeContext) -> ort::Result<()> {
        let input = context.input(0)?;
        let input = input.ok_or_else(|| ort::Error::new("an input is missing"))?;
        let (dims, values) = input.try_extract_tensor::<f32>()?;
        let dims: Vec<usize> = dims.iter().map(|&axis| axis as usize).collect();
        let misfit = || ort::Error::new(format!("an input has the impossible shape {dims:?}"));
        let layer = match self.step {
            Step::ToBlocks { n_channels } => {
                check_channels(&dims, n_channels)?;
                return to_blocks(context, &dims, values).ok_or_else(misfit)?;
            }
            Step::FromBlocks { n_channels } => {
                return from_blocks(context, &dims, values, n_channels).ok_or_else(misfit)?;
            }
            Step::Layer(layer) => self.shared.layers.get(layer).ok_or_else(misfit)?,
        };
        match (layer, dims.as_slice()) {
            (Layer::Direct(convolution), &[n, c, height, width]) if c == convolution.n_in() => {
                let shape = Shape { n, height, width };
                write(context, shape, convolution.n_out_blocks(), |output| {
                    share(context, |share| {
                        convolution.run(values, shape, output.as_chunks_mut().0, share);
                    })
                })
            }
            (Layer::Winograd(convolution), &[n, c, height, width, LANES])
                if c == convolution.n_in_blocks() =>
            {
                let shape = Shape { n, height, width };
                let out_shape = convolution.output_shape(shape);
                write(context, out_shape, convolution.n_out_blocks(), |output| {
                    share(context, |share| {
                        convolution.run(
                            values.as_chunks().0,
                            shape,
                            output.as_chunks_mut().0,
                            self.shared.n_threads,
                            &self.shared.workspaces,
                            share,
                        );
                    })
                })
            }
            _ => Err(misfit()),
        }
    }
}

/// Blocks do not distinguish 20 channels from the 17 that filters may be for, so channels are
/// counted before.
fn check_channels(dims: &[usize], n_channels: usize) -> ort::Result<()> {
    match dims {
        &[_, there, _, _] if there != n_channels => Err(ort::Error::new(format!(
            "a convolution has filters for {n_channels} channels, and its input has {there}"
        ))),
        _ => Ok(()),
    }
}

/// Passes the output, which is blocked, to `fill`.
fn write(
    context: &ComputeContext,
    shape: Shape,
    n_blocks: usize,
    fill: impl FnOnce(&mut [f32]) -> ort::Result<()>,
) -> ort::Result<()> {
    let dims = [shape.n, n_blocks, shape.height, shape.width, LANES];
    output(context, &dims, fill)
}

fn output(
    context: &ComputeContext,
    dims: &[usize],
    fill: impl FnOnce(&mut [f32]) -> ort::Result<()>,
) -> ort::Result<()> {
    let dims: Vec<i64> = dims.iter().map(|&axis| axis as i64).collect();
    let output = context.output(0, dims)?;
    let mut output = output.ok_or_else(|| ort::Error::new("the output is unused"))?;
    let (_, output) = output.try_extract_tensor_mut::<f32>()?;
    if output.is_empty() {
        return Ok(());
    }
    fill(output)
}

/// Runs `with` a function that divides work among the threads of ONNX Runtime's own pool.
#[allow(clippy::type_complexity)]
fn share(
    context: &ComputeContext,
    with: impl FnOnce(&dyn Fn(usize, &(dyn Fn(usize) + Sync))),
) -> ort::Result<()> {
    let failed = AtomicBool::new(false);
    let result = std::cell::Cell::new(Ok(()));
    with(&|n_pieces, work| {
        // As many batches as pieces: each thread takes the next one when it is done.
        let done = context.par_for(n_pieces, n_pieces, |piece| {
            if catch_unwind(AssertUnwindSafe(|| work(piece))).is_err() {
                failed.store(true, Ordering::Relaxed);
            }
        });
        result.set(result.replace(Ok(())).and(done));
    });
    if failed.load(Ordering::Relaxed) {
        return Err(ort::Error::new("a kernel panicked"));
    }
    result.into_inner()
}

fn to_blocks(context: &ComputeContext, dims: &[usize], values: &[f32]) -> Option<ort::Result<()>> {
    let &[n, n_channels, height, width] = dims else {
        return None;
    };
    let shape = Shape { n, height, width };
    let positions = shape.plane();
    let n_blocks = n_channels.div_ceil(LANES);
    Some(write(context, shape, n_blocks, |output| {
        let pictures = values.chunks_exact(n_channels * positions);
        let outputs = output
            .as_chunks_mut()
            .0
            .chunks_exact_mut(n_blocks * positions);
        for (picture, output) in pictures.zip(outputs) {
            let channels = picture.chunks(LANES * positions);
            for (channels, block) in channels.zip(output.chunks_exact_mut(positions)) {
                to_block(channels, positions, block);
            }
        }
        Ok(())
    }))
}

fn from_blocks(
    context: &ComputeContext,
    dims: &[usize],
    values: &[f32],
    n_channels: usize,
) -> Option<ort::Result<()>> {
    let &[n, n_blocks, height, width, LANES] = dims else {
        return None;
    };
    let positions = height * width;
    Some(output(context, &[n, n_channels, height, width], |output| {
        let pictures = values.as_chunks().0.chunks_exact(n_blocks * positions);
        let outputs = output.chunks_exact_mut(n_channels * positions);
        for (picture, output) in pictures.zip(outputs) {
            let channels = output.chunks_mut(LANES * positions);
            for (channels, block) in channels.zip(picture.chunks_exact(positions)) {
                from_block(block, positions, channels);
            }
        }
        Ok(())
    }))
}
