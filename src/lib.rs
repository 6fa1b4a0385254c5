//! Transfer learning with a frozen ConvNet.
//!
//! A pretrained **trunk** (an ONNX file without its classifier) runs once over labelled pictures
//! and leaves its **codes** in a **store** on disk; small **heads** train on those codes in
//! seconds. The modules follow the data:
//!
//! ```text
//! dataset -> picture -> model -> codes -> head -> evaluate -> report
//! folders    (H, W, 3)  (N, 7,   codes   (N, K)   errors of N  text
//!            u8 RGB     7, 512)  .npy    proba-
//!                       f32              bilities
//! ```
//!
//! Shapes used everywhere: N pictures (rows, in sorted path order), H x W pixels, C = 3 channels
//! in RGB order, D features in a flattened code (7 * 7 * 512 = 25,088 for VGG16 at 224 x 224),
//! K classes. Arrays are in C order; codes have their channels last, as Keras has them.

pub mod codes;
pub mod dataset;
pub mod draft;
pub mod evaluate;
pub mod export;
pub mod extract;
pub mod head;
pub mod model;
pub mod names;
pub mod picture;
mod quiet;
pub mod report;
pub mod train;
