//! From a file's bytes to the trunk's input tensor.
//!
//! ```text
//! bytes -> decode -> RgbImage -> Resize -> RgbImage -> Recipe -> tensor
//! file     upright   (h, w, 3)   Pillow    (H, W, 3)   Keras     f32 (H, W, 3) or (3, H, W)
//! ```
//!
//! Codes are comparable with Python's only if every step gives the same numbers. Resizing and the
//! recipes do, to the last bit. JPEG decoders differ: [`DECODER`] names the one in this build.
//!
//! ```
//! use cnn_codes::picture::{Decoding, Filter, Fit, Layout, Preparation, Recipe, Resize, RgbImage, Views};
//!
//! let preparation = Preparation {
//!     resize: Resize { width: 224, height: 224, fit: Fit::Stretch, filter: Filter::Bilinear,
//!         decoding: Decoding::Full },
//!     recipe: Recipe::Caffe,
//!     layout: Layout::ChannelsLast,
//!     views: Views::None,
//! };
//! let mut tensor = vec![0.0; preparation.tensor_len()];
//! preparation.prepare(&RgbImage::new(500, 375), &mut tensor);
//! assert_eq!(tensor[..3], [-103.939, -116.779, -123.68]); // black, blue first
//! ```

mod color_mode;
mod decode;
mod error;
mod jpeg;
mod limits;
pub mod memory;
mod normalization;
pub(crate) mod recipe;
mod resize;
mod views;

use std::borrow::Cow;

use self::resize::Margins;
pub use image::RgbImage;
use image::imageops;
use serde::{Deserialize, Serialize};

pub use self::color_mode::ColorMode;
pub use self::decode::sniff;
pub use self::decode::{
    Decoded, Decoding, color_mode, decode, decode_for, decode_within, decoding_bytes, n_pixels,
};
pub use self::error::DecodeError;
pub use self::jpeg::DECODER;
pub use self::limits::{DEFAULT_MAX_PIXELS, DecodeLimits, MAX_SIDE};
pub use self::normalization::{Normalization, NotANormalization};
pub use self::recipe::{Layout, Recipe};
pub use self::resize::{Filter, Fit, NotAFit, Resize};
pub use self::views::{NotViews, View, Views};

/// The most memory for a picture that is decoded while others are: that of a JPEG of 2^25 pixels. A
/// larger picture is decoded alone, and may take [`DecodeLimits::max_bytes`].
const LARGE_BYTES: u64 = 192 << 20;

/// The largest file that is read while others are being read.
const LARGE_FILE_BYTES: u64 = 1 << 26;

/// All settings that turn a decoded picture into a trunk's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Preparation {
    /// The input's size, and how a picture is brought to it.
    pub resize: Resize,
    /// How colours become numbers.
    pub recipe: Recipe,
    /// The order of the input's axes.
    pub layout: Layout,
    /// Which views of a picture become tensors.
    #[serde(default, skip_serializing_if = "Views::is_none")]
    pub views: Views,
}

impl Preparation {
    /// How many numbers one picture's tensors have: V * H * W * 3 with V views.
    pub fn tensor_len(&self) -> usize {
        self.views.n() * self.view_len()
    }

    /// How many numbers the tensor of a view has.
    fn view_len(&self) -> usize {
        self.resize.width as usize * self.resize.height as usize * 3
    }

    /// Writes the input tensors of `picture` into `tensor`: one row of a batch per view.
    ///
    /// # Panics
    ///
    /// When `tensor` is not [`Preparation::tensor_len`] long, or a side of the picture or of the
    /// target is 0.
    pub fn prepare(&self, picture: &RgbImage, tensor: &mut [f32]) {
        self.prepare_within(picture, Margins::default(), tensor);
    }

    /// As [`Preparation::prepare`], for a picture that [`decode_for`] may have reduced.
    ///
    /// # Panics
    ///
    /// As [`Preparation::prepare`].
    pub fn prepare_decoded(&self, decoded: &Decoded, tensor: &mut [f32]) {
        self.prepare_within(&decoded.picture, decoded.margins, tensor);
    }

    fn prepare_within(&self, picture: &RgbImage, margins: Margins, tensor: &mut [f32]) {
        assert_eq!(tensor.len(), self.tensor_len(), "a picture's tensors");
        for (view, tensor) in self
            .views
            .iter()
            .zip(tensor.chunks_exact_mut(self.view_len()))
        {
            let shown = self.resize.shown(picture, margins, view.part());
            let shown = match view.is_mirrored {
                true => Cow::Owned(imageops::flip_horizontal(&*shown)),
                false => shown,
            };
            self.recipe.apply(&shown, self.layout, tensor);
        }
    }
}
