//! The 3 x 3 convolutions of a model, with a quarter of the multiplications: Winograd's minimal
//! filtering F(4x4, 3x3).
//!
//! ```text
//! rewrite      which convolutions of a graph have a kernel here, and the graph that uses them
//! operator     the kernels as operators of ONNX Runtime, which lends them its threads
//! convolution  a convolution, and when its filters are transformed
//! by_tiles     its work where they are transformed once; by_panels: where they are when they are used
//! plan         how work is cut into pieces; workspace: the memory that a thread works in
//! block        a block of tiles: inputs, products, outputs
//! tiles        the tiles of a batch, and both transforms of a block of them
//! filters      filters in vectors, and their transforms
//! transform    the transforms of one tile and of one filter, and their points
//! products     the 36 matrix products between the transforms
//! direct       a convolution of few input channels, as it is defined
//! layout       from (N, C, H, W) to blocks of channels and back
//!
//! training         convolutions and their gradients, for networks that are trained
//! blocked          their tensors
//! filter_gradient  the gradient to filters, with a quarter of the multiplications too
//! over_positions   the products of which it is made
//! pointwise        1 x 1 convolutions and their gradients
//! ```
//!
//! Tensors between the kernels are (N, C/16, H, W, 16). One convolution is:
//!
//! ```text
//! filters (O, I, 3, 3)  --G g G^T-->  (36, I, O)   once, or each time: FilterTransforms
//! inputs  (tiles, I)    --B^T d B-->  (36, tiles, I)
//!                                     36 products (tiles, I) (I, O) -> (36, tiles, O)
//! outputs (tiles, O)    <--A^T m A--  + epilogue: bias, ReLU, 2 x 2 pooling, which fits into a tile
//! ```
//!
//! Each sum is over all input channels in their order, so the numbers depend neither on the batch
//! nor on the number of threads; and each set of instructions rounds alike, so neither on these. NaN
//! or infinity in the input makes its whole tile NaN.

mod aligned_buffer;
mod block;
mod blocked;
mod by_panels;
mod by_tiles;
mod convolution;
mod direct;
mod filter_gradient;
mod filters;
mod layout;
mod operator;
mod over_positions;
mod plan;
mod pointwise;
mod products;
mod rewrite;
mod stopwatch;
mod tiles;
mod training;
mod transform;
mod weights;
mod workspace;

pub use self::blocked::{BlockedShape, BlockedTensor};
pub use self::convolution::FilterTransforms;
pub use self::operator::Rewritten;
#[cfg(feature = "stage-times")]
pub use self::stopwatch::StageTimes;
pub use self::training::{Convolutions, FilterBank, Rectifier};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod training_tests;
