//! The 3 x 3 convolutions of a trunk, with a quarter of the multiplications.
//!
//! Nearly all the time of VGG16 on a CPU goes into convolutions of 3 x 3 filters with stride 1, and
//! ONNX Runtime does them at nearly the speed of the processor's arithmetic. So only less
//! arithmetic is faster. Winograd's minimal filtering gives it: A. Lavin and S. Gray, "Fast
//! Algorithms for Convolutional Neural Networks" (2015).
//!
//! # One dimension
//!
//! Four outputs next to each other, of a filter of 3, need 6 inputs and 12 multiplications by
//! definition. Take the filter and the reversed outputs as coefficients of two polynomials, of 3
//! and of 4 terms: their product has 6 coefficients, and is known when its values at 6 points are.
//! A value of the product is one multiplication of two values. Turned around (transposed), this
//! makes 4 outputs from 6 inputs with 6 multiplications:
//!
//! ```text
//! y = A^T ((G g) * (B^T d))        g (3)  a filter      G   (6, 3)  its values at the points
//!                                  d (6)  inputs        B^T (6, 6)  their share in each value
//!                                  y (4)  outputs       A^T (4, 6)  the way back
//! ```
//!
//! # Two dimensions, many channels
//!
//! Done along the columns and then along the rows, it makes a tile of 4 x 4 outputs from 6 x 6
//! inputs with 36 multiplications in place of 144. As the way back is linear, sums over the input
//! channels are taken before it. So for each of the 36 points there is a matrix product, and the
//! transforms, of additions and multiplications by constants, are done once for each tile and
//! channel instead of once for each pair of channels:
//!
//! ```text
//! filters (O, I, 3, 3)  --G g G^T-->  (36, I, O)   once, when the trunk is loaded, in float64
//! inputs  (tiles, I)    --B^T d B-->  (36, tiles, I)
//!                                     36 products (tiles, I) (I, O) -> (36, tiles, O)
//! outputs (tiles, O)    <--A^T m A--  + bias, ReLU, 2 x 2 pooling, which fits into a tile
//! ```
//!
//! # The points
//!
//! Values at large points grow, and are subtracted from each other on the way back, which costs
//! digits. B. Barabasz, A. Anderson, K. Soodhalter and D. Gregg, "Error Analysis and Improving the
//! Accuracy of Winograd Convolution for Deep Neural Networks" (2018), measure which points lose
//! least. Those in `transform` are 0, 5/8, -5/8, 3/2, -3/2 and infinity: half the error of the usual 0, 1,
//! -1, 2, -2 and infinity, at the same number of operations, since pairs of both signs share half of them. VGG16's codes
//! come out within 2e-6 of ONNX Runtime's.
//!
//! # In memory
//!
//! Between such convolutions, tensors are (N, C/16, H, W, 16): what lies side by side are 16
//! channels of one pixel, which is a vector of AVX-512, and the transforms work on whole vectors.
//! A block of 56 tiles is transformed, multiplied and transformed back while it is in the cache:
//! nothing but the input and the output of a convolution goes through memory, but for the filters,
//! which take four times what they took (235 MB for VGG16). The products keep sums of 14 tiles and
//! 32 output channels in registers.
//!
//! Each sum is over all input channels in their order, so the numbers depend neither on the batch
//! nor on the number of threads; and each set of instructions rounds alike, so neither on these. A
//! number that is none, or infinite, spoils its whole tile.
//!
//! # In ONNX Runtime
//!
//! [`Replacement`] rewrites a graph when it is loaded: convolutions that fit, with the Relu and the
//! pooling after them, become operators of this program, layouts change where they meet others,
//! and everything else stays as it was. ONNX Runtime runs the graph, owns the memory between the
//! operators, and lends them its threads.

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
