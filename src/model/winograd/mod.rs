//! The 3 x 3 convolutions of a trunk, with a quarter of the multiplications: Winograd's minimal
//! filtering F(4x4, 3x3), which ARCHITECTURE.md explains.
//!
//! ```text
//! rewrite      which convolutions of a graph have a kernel here, and the graph that uses them
//! operator     the kernels as operators of ONNX Runtime, which lends them its threads
//! convolution  a convolution with transformed filters; how its work is cut and shared
//! tiles        the tiles of a batch, and both transforms of a block of them
//! transform    both transforms of one tile, the points, the transform of a filter
//! products     the 36 matrix products between the transforms
//! direct       a convolution of few input channels, as it is defined
//! layout       from (N, C, H, W) to blocks of channels and back
//! lanes        sixteen numbers at a time, with AVX-512, AVX2, NEON or any processor's instructions
//! ```
//!
//! Tensors between the kernels are (N, C/16, H, W, 16). One convolution is:
//!
//! ```text
//! filters (O, I, 3, 3)  --G g G^T-->  (36, I, O)   once, when the trunk is loaded, in float64
//! inputs  (tiles, I)    --B^T d B-->  (36, tiles, I)
//!                                     36 products (tiles, I) (I, O) -> (36, tiles, O)
//! outputs (tiles, O)    <--A^T m A--  + bias, ReLU, 2 x 2 pooling, which fits into a tile
//! ```
//!
//! Each sum is over all input channels in their order, so the numbers depend neither on the batch
//! nor on the number of threads; and each set of instructions rounds alike, so neither on these. A
//! number that is none, or infinite, spoils its whole tile.

mod convolution;
mod direct;
mod lanes;
mod layout;
mod operator;
mod products;
mod rewrite;
mod tiles;
mod transform;

pub use convolution::Busy;
pub use operator::Replacement;

#[cfg(test)]
mod tests;
