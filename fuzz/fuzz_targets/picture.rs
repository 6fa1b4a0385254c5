//! Any bytes are a picture or an error, and a picture can be prepared.
#![no_main]

use cnn_codes::picture::{self, Filter, Fit, Layout, Preparation, Recipe, Resize};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(picture) = picture::decode(bytes) else {
        return;
    };
    let n_pixels = u64::from(picture.width()) * u64::from(picture.height());
    assert!((1..=picture::MAX_PIXELS).contains(&n_pixels));
    // The first byte chooses; which one it is does not matter to the decoders.
    let fit = [Fit::Stretch, Fit::Crop, Fit::Pad][usize::from(bytes[0]) % 3];
    let preparation = Preparation {
        resize: Resize {
            width: 12,
            height: 7,
            fit,
            filter: Filter::Bilinear,
        },
        recipe: Recipe::Caffe,
        layout: Layout::ChannelsLast,
    };
    let mut tensor = vec![f32::NAN; preparation.tensor_len()];
    preparation.prepare(&picture, &mut tensor);
    assert!(tensor.iter().all(|value| (-124.0..=152.0).contains(value)));
});
