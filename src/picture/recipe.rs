//! How RGB bytes become the numbers that a trunk was trained on.
//!
//! The recipes are those of `keras.applications.imagenet_utils.preprocess_input`, Keras 3.15 (modes
//! `caffe`, `tf` and `torch`), and `ImageDataGenerator(rescale=1./255)`. All of them work on
//! float32 and round after every step, as NumPy does with a float32 array and a Python float.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::normalization::{Normalization, NotANormalization};
use crate::named;

/// How a byte of a colour channel becomes the trunk's input.
///
/// A wrong recipe raises no error. VGG16 was trained with [`Recipe::Caffe`]; with
/// [`Recipe::Rescale`] it makes ten times as many mistakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Recipe {
    /// BGR, minus the means of ImageNet (103.939, 116.779, 123.68); about -124 to 151.
    Caffe,
    /// RGB times 1/255; 0 to 1. Used by the 2018 tutorial.
    Rescale,
    /// RGB over 255, minus ImageNet's means, divided by its deviations; about -2.1 to 2.6.
    Torch,
    /// RGB over 127.5, minus 1; -1 to 1.
    Tf,
    /// RGB as it is; 0 to 255.
    None,
    /// Any means and deviations, given in a card.
    Normalized(Normalization),
}

impl Recipe {
    /// The names of the recipes that have one. The help of `--recipe` and docs/trunks.md list them too.
    pub const NAMES: &'static [&'static str] = &["caffe", "rescale", "torch", "tf", "none"];

    /// Those that have a name, in the order of the names.
    const NAMED: [Self; Self::NAMES.len()] = [
        Self::Caffe,
        Self::Rescale,
        Self::Torch,
        Self::Tf,
        Self::None,
    ];
}

impl std::fmt::Display for Recipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Normalized(normalization) => normalization.fmt(f),
            named => {
                let place = Self::NAMED.iter().position(|recipe| recipe == named);
                f.pad(Self::NAMES[place.unwrap_or_default()])
            }
        }
    }
}

impl std::str::FromStr for Recipe {
    type Err = NotANormalization;

    fn from_str(given: &str) -> Result<Self, NotANormalization> {
        match Self::NAMES.iter().position(|name| *name == given) {
            Some(place) => Ok(Self::NAMED[place]),
            None => given.parse().map(Self::Normalized),
        }
    }
}

impl From<Recipe> for String {
    fn from(recipe: Recipe) -> Self {
        recipe.to_string()
    }
}

impl TryFrom<String> for Recipe {
    type Error = NotANormalization;

    fn try_from(text: String) -> Result<Self, NotANormalization> {
        text.parse()
    }
}

/// The axis that holds a tensor's colour channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// (H, W, 3), as in Keras.
    ChannelsLast,
    /// (3, H, W), as in PyTorch and most ONNX files.
    ChannelsFirst,
}

named!(Layout, "layout",
    ChannelsLast => "channels_last", ChannelsFirst => "channels_first");

/// ImageNet's mean colour in bytes, in RGB order: Keras' `mean` of mode `caffe`, which is in BGR.
pub(crate) const CAFFE_MEAN: [f32; 3] = [123.68, 116.779, 103.939];
/// ImageNet's mean colour from 0 to 1, in RGB order: Keras' `mean` of mode `torch`.
pub(crate) const TORCH_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// ImageNet's standard deviation, in RGB order: Keras' `std` of mode `torch`.
pub(crate) const TORCH_DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];
/// Keras multiplies by the Python float `1. / 255`, rounded to float32; that differs from a
/// division.
pub(crate) const ONE_255TH: f32 = (1.0_f64 / 255.0) as f32;

impl Recipe {
    /// Writes the input tensor of `picture` (H, W, 3) into `tensor`: H * W * 3 numbers in C order,
    /// as `layout` orders them.
    ///
    /// # Panics
    ///
    /// When `tensor` is not H * W * 3 long.
    pub fn apply(self, picture: &RgbImage, layout: Layout, tensor: &mut [f32]) {
        let bytes = picture.as_raw();
        assert_eq!(
            tensor.len(),
            bytes.len(),
            "a tensor of another size than its picture"
        );
        let tables = [0, 1, 2].map(|channel| self.table(channel));
        match layout {
            Layout::ChannelsLast => {
                for (pixel, out) in bytes.chunks_exact(3).zip(tensor.chunks_exact_mut(3)) {
                    for channel in 0..3 {
                        out[self.place(channel)] = tables[channel][usize::from(pixel[channel])];
                    }
                }
            }
            Layout::ChannelsFirst => {
                let n_pixels = bytes.len() / 3;
                for (channel, table) in tables.iter().enumerate() {
                    let plane = &mut tensor[self.place(channel) * n_pixels..][..n_pixels];
                    for (pixel, out) in bytes.chunks_exact(3).zip(plane) {
                        *out = table[usize::from(pixel[channel])];
                    }
                }
            }
        }
    }

    /// What each of the 256 bytes becomes in `channel` (0 is red).
    fn table(self, channel: usize) -> [f32; 256] {
        std::array::from_fn(|byte| self.value(channel, byte as f32))
    }

    fn value(self, channel: usize, x: f32) -> f32 {
        match self {
            Self::Caffe => x - CAFFE_MEAN[channel],
            Self::Rescale => x * ONE_255TH,
            Self::Torch => (x / 255.0 - TORCH_MEAN[channel]) / TORCH_DEVIATION[channel],
            Self::Tf => x / 127.5 - 1.0,
            Self::None => x,
            Self::Normalized(normalization) => normalization.value(channel, x),
        }
    }

    /// The index of `channel` (0 is red) in the tensor.
    fn place(self, channel: usize) -> usize {
        match self {
            Self::Caffe => 2 - channel,
            Self::Rescale | Self::Torch | Self::Tf | Self::None => channel,
            Self::Normalized(normalization) => normalization.place(channel),
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    /// A picture 2 wide and 1 high: (0, 128, 255) and (10, 20, 30).
    fn two_pixels() -> RgbImage {
        RgbImage::from_raw(2, 1, vec![0, 128, 255, 10, 20, 30]).unwrap()
    }

    fn tensor(recipe: Recipe, layout: Layout) -> Vec<f32> {
        let mut tensor = vec![f32::NAN; 6];
        recipe.apply(&two_pixels(), layout, &mut tensor);
        tensor
    }

    #[test]
    fn channels_last_keeps_the_pixels_together_and_channels_first_the_planes() {
        assert_eq!(
            tensor(Recipe::None, Layout::ChannelsLast),
            [0., 128., 255., 10., 20., 30.]
        );
        assert_eq!(
            tensor(Recipe::None, Layout::ChannelsFirst),
            [0., 10., 128., 20., 255., 30.]
        );
    }

    #[test]
    fn caffe_is_blue_first_in_both_layouts() {
        let (b, g, r) = (103.939_f32, 116.779_f32, 123.68_f32);
        assert_eq!(
            tensor(Recipe::Caffe, Layout::ChannelsLast),
            [255. - b, 128. - g, 0. - r, 30. - b, 20. - g, 10. - r]
        );
        assert_eq!(
            tensor(Recipe::Caffe, Layout::ChannelsFirst),
            [255. - b, 30. - b, 128. - g, 20. - g, 0. - r, 10. - r]
        );
    }

    #[test]
    fn black_and_white_reach_the_ends_of_the_range() {
        let ends = RgbImage::from_fn(1, 2, |_, y| Rgb([if y == 0 { 0 } else { 255 }; 3]));
        for (recipe, low, high) in [
            (Recipe::Rescale, 0.0, 1.0),
            (Recipe::Tf, -1.0, 1.0),
            (Recipe::None, 0.0, 255.0),
        ] {
            let mut tensor = [f32::NAN; 6];
            recipe.apply(&ends, Layout::ChannelsLast, &mut tensor);
            assert_eq!(tensor, [low, low, low, high, high, high], "{recipe}");
        }
    }

    #[test]
    #[should_panic(expected = "another size")]
    fn a_tensor_of_another_size_panics() {
        Recipe::Tf.apply(&two_pixels(), Layout::ChannelsLast, &mut [0.0; 5]);
    }
}
