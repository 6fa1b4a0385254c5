//! The 3 x 3 convolutions of a model, with a quarter of the multiplications: Winograd's minimal
//! filtering F(4x4, 3x3).
//!
//! ```text
//! rewrite      which convolutions of a graph have a kernel here, and the graph that uses them
//! operator     the kernels as operators of ONNX Runtime, on its threads
//! convolution  a convolution, and when its filters are transformed
//! by_tiles     work divided by tiles, for filters transformed once; by_panels: for those transformed when used
//! plan         how work is cut into pieces; workspace: the working memory of a thread
//! block        a block of tiles: inputs, products, outputs
//! tiles        the tiles of a batch, and both transforms of a block of them
//! filters      filters in vectors, and their transforms
//! transform    the transforms of one tile and of one filter, and their points
//! products     the 36 matrix products between the transforms
//! direct       a convolution of few input channels, as it is defined
//! layout       from (N, C, H, W) to blocks of channels and back
//!
//! training         convolutions and their gradients, for training networks
//! blocked          their tensors
//! filter_gradient  the gradient of filters, also with a quarter of the multiplications
//! over_positions   the products for it
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
//! Each sum is over all input channels in order, so the numbers depend neither on the batch nor on
//! the number of threads. All instruction sets round in the same way, so they do not depend on
//! these either. NaN or infinity in the input makes its whole tile NaN.

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
