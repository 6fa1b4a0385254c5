//! Transfer learning with a frozen ConvNet.
//!
//! A pretrained **trunk** (an ONNX file without its classifier) runs once over labelled pictures
//! and leaves its **codes** in a **store** on disk; small **heads** train on those codes in
//! seconds. The modules follow the data:
//!
//! ```text
//! dataset -> picture -> model -> codes -> head -> evaluate -> train
//! folders    (H, W, 3)  (N, 7,   codes   (N, K)   errors of N  text
//!            u8 RGB     7, 512)  .npy    proba-
//!                       f32              bilities
//! ```
//!
//! [`extract`](mod@extract) turns pictures into a store, [`train`](mod@train) turns stores into
//! evaluated heads, and [`predict`] turns a HEAD and pictures into probabilities.
//!
//! Shapes used everywhere: N pictures (rows, in the order of the input; folders are sorted by path),
//! V views of a picture, H x W pixels, C = 3 channels in RGB order, D features in a flattened code (7 * 7 * 512 = 25,088 for VGG16 at 224 x 224), K
//! classes. Arrays are in C order; codes have their channels last, as in Keras.
//!
//! # Example
//! From pictures to codes, from codes to a head, and the head's predictions for new pictures. The
//! example needs the files that `cnn-codes fetch --models models` downloads. ONNX Runtime is only
//! loaded with its telemetry off. A program that starts threads earlier must switch the telemetry
//! off first in `main`: see [`model::telemetry::disable`].
//!
//! ```no_run
//! use std::path::Path;
//!
//! use cnn_codes::codes::Store;
//! use cnn_codes::dataset;
//! use cnn_codes::extract::Extractor;
//! use cnn_codes::files::Existing;
//! use cnn_codes::model::{Library, ModelCard, Runtime, Trunk, TrunkOptions};
//! use cnn_codes::predict::{Classifier, PredictOptions, Predictor};
//! use cnn_codes::train::{TrainOptions, train};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::load(&Library::find(None, Path::new("models"))?)?;
//! let (card, model) = (ModelCard::vgg16(), Path::new("models/vgg16_notop.onnx"));
//! let on = TrunkOptions::default().with_threads(2);
//! let mut trunk = Trunk::load(&runtime, card, model, on)?;
//!
//! for (pictures, codes) in [("pictures/train", "train"), ("pictures/validation", "validation")] {
//!     let pictures = dataset::find(Path::new(pictures))?;
//!     Extractor::new(&mut trunk).run(pictures, Path::new(codes))?;
//! }
//! let (codes, validation) = (Store::open(Path::new("train"))?, Store::open(Path::new("validation"))?);
//! let trained = train(&codes, Some(&validation), &TrainOptions::default(), &())?;
//! println!("{}", trained.comparison.to_text());
//! trained.heads.save(Path::new("head"), Existing::Keep)?;
//!
//! let (head, at_a_time) = (Classifier::load(Path::new("head"), None)?, PredictOptions::for_trunk(&trunk));
//! let mut predictor = Predictor::new(head, trunk)?;
//! for outcomes in predictor.predict(dataset::find_unlabelled(&["new.jpg".into()])?, at_a_time) {
//!     outcomes?.iter().for_each(|outcome| println!("{outcome:?}"));
//! }
//! # Ok(())
//! # }
//! ```

pub use cnn_codes_files as files;

pub mod codes;
pub mod dataset;
pub mod evaluate;
pub mod export;
pub mod extract;
pub mod head;
pub mod messages;
pub mod model;
pub mod names;
pub mod picture;
pub mod predict;
pub mod progress;
pub mod quiet;
pub mod train;
pub mod tune;
