//! 3 x 3 convolutions with a quarter of the multiplications.

mod convolution;
mod lanes;
mod products;
mod tiles;
mod transform;

pub use convolution::{Convolution, Scratch, Weights};
pub use tiles::{Ending, Shape};
