//! Any bytes are a picture that can be prepared, or an error that fits a cell of a table.
#![no_main]

use cnn_codes::picture::{self, DecodeError, DecodeLimits, Decoding, Filter, Fit, Layout, Preparation, Recipe, Resize};
use libfuzzer_sys::{Corpus, fuzz_target};

/// Larger pictures are decoded and left at that: they are slow and no different, so they are neither
/// resized nor kept, lest the corpus fills up with them.
const LARGE_PIXELS: u64 = 1 << 18;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let n_pixels = picture::n_pixels(bytes);
    if let Err(error) = picture::decode_for(bytes, DecodeLimits::default(), &resize(Fit::Stretch)) {
        check_error(&error);
    }
    let is_large = matches!(n_pixels, Ok(LARGE_PIXELS..));
    match picture::decode(bytes) {
        Ok(picture) => {
            let (width, height) = (u64::from(picture.width()), u64::from(picture.height()));
            assert!((1..=picture::DEFAULT_MAX_PIXELS).contains(&(width * height)));
            assert_eq!(n_pixels, Ok(width * height));
            if !is_large {
                for fit in [Fit::Stretch, Fit::Crop, Fit::Pad] {
                    prepare(&picture, bytes, fit);
                }
            }
        }
        Err(error) => check_error(&error),
    }
    if is_large {
        Corpus::Reject
    } else {
        Corpus::Keep
    }
});

fn check_error(error: &DecodeError) {
    assert!(DecodeError::KINDS.contains(&error.kind()));
    let message = error.to_string();
    assert!(message.len() < 1024 && !message.contains(char::is_control));
}

fn resize(fit: Fit) -> Resize {
    Resize {
        width: 12,
        height: 7,
        fit,
        filter: Filter::Bilinear,
        decoding: Decoding::Scaled,
    }
}

fn prepare(picture: &picture::RgbImage, bytes: &[u8], fit: Fit) {
    let preparation = Preparation {
        resize: resize(fit),
        recipe: Recipe::Caffe,
        layout: Layout::ChannelsLast,
    };
    let mut tensor = vec![f32::NAN; preparation.tensor_len()];
    let check = |tensor: &[f32]| assert!(tensor.iter().all(|value| (-124.0..=152.0).contains(value)));
    preparation.prepare(picture, &mut tensor);
    check(&tensor);
    let reduced = picture::decode_for(bytes, DecodeLimits::default(), &preparation.resize);
    let reduced = reduced.expect("what is decoded as a whole is decoded reduced");
    assert_eq!((reduced.width, reduced.height), picture.dimensions());
    let (width, height) = reduced.picture.dimensions();
    assert!(width <= reduced.width && height <= reduced.height);
    tensor.fill(f32::NAN);
    preparation.prepare_decoded(&reduced, &mut tensor);
    check(&tensor);
}
