//! Any bytes are a picture that can be prepared, or an error that fits a cell of a table.
#![no_main]

use cnn_codes::picture::{self, DecodeError, Filter, Fit, Layout, Preparation, Recipe, Resize};
use libfuzzer_sys::fuzz_target;

/// Larger pictures are decoded and left at that: resizing them is slow, and no different.
const MAX_PREPARED_PIXELS: u64 = 1 << 22;

fuzz_target!(|bytes: &[u8]| {
    let picture = match picture::decode(bytes) {
        Ok(picture) => picture,
        Err(error) => {
            check_error(&error);
            return;
        }
    };
    let n_pixels = u64::from(picture.width()) * u64::from(picture.height());
    assert!((1..=picture::MAX_PIXELS).contains(&n_pixels));
    assert_eq!(picture::n_pixels(bytes).unwrap(), n_pixels);
    if n_pixels <= MAX_PREPARED_PIXELS {
        for fit in [Fit::Stretch, Fit::Crop, Fit::Pad] {
            prepare(&picture, fit);
        }
    }
});

fn check_error(error: &DecodeError) {
    assert!(DecodeError::KINDS.contains(&error.kind()));
    let message = error.to_string();
    assert!(message.len() < 1024 && !message.contains(char::is_control));
}

fn prepare(picture: &picture::RgbImage, fit: Fit) {
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
    preparation.prepare(picture, &mut tensor);
    assert!(tensor.iter().all(|value| (-124.0..=152.0).contains(value)));
}
