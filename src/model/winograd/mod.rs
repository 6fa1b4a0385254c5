//! 3 x 3 convolutions with a quarter of the multiplications.

mod convolution;
mod direct;
mod lanes;
mod layout;
mod products;
mod tiles;
mod transform;

pub use convolution::{Convolution, Scratch, Weights};
pub use direct::DirectConvolution;
pub use tiles::{Ending, Shape};

#[cfg(test)]
mod tests;
