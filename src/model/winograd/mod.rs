//! 3 x 3 convolutions with a quarter of the multiplications.

mod convolution;
mod direct;
mod lanes;
mod layout;
mod operator;
mod products;
mod rewrite;
mod tiles;
mod transform;

pub use convolution::{Busy, Convolution, Scratch, Weights};
pub use direct::DirectConvolution;
pub use operator::Replacement;
pub use tiles::{Ending, Shape};

#[cfg(test)]
mod tests;
