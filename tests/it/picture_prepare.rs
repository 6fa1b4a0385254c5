//! Resizing against Pillow's and torchvision's bytes and recipes against NumPy's floats: see
//! `tests/fixtures/make_picture_fixtures.py` and `make_torchvision_fixtures.py`. Nothing may differ.

use crate::support;

use std::fs;
use std::path::PathBuf;

use cnn_codes::picture::{
    Decoding, Filter, Fit, Layout, Preparation, Recipe, Resize, RgbImage, Views,
};
use image::imageops;

fn fixture(name: &str) -> PathBuf {
    support::root().join("tests/fixtures/picture").join(name)
}

fn picture(name: &str) -> RgbImage {
    image::open(fixture(name)).unwrap().into_rgb8()
}

/// The sizes in every strip, from top to bottom; the source is 23 x 17.
const SIZES: [(u32, u32); 5] = [(9, 7), (31, 37), (6, 29), (23, 8), (40, 17)];

#[test]
fn every_filter_and_fit_gives_pillows_bytes() {
    let source = picture("source.png");
    assert_eq!(source.dimensions(), (23, 17));
    for fit in Fit::NAMES {
        for filter in Filter::NAMES {
            let strip = picture(&format!("resized_{fit}_{filter}.png"));
            let mut top = 0;
            for (width, height) in SIZES {
                let (fit, filter) = (fit.parse().unwrap(), filter.parse().unwrap());
                let resize = Resize {
                    width,
                    height,
                    fit,
                    filter,
                    decoding: Decoding::Full,
                };
                let expected = imageops::crop_imm(&strip, 0, top, width, height).to_image();
                assert!(resize.apply(&source) == expected, "{resize:?}");
                top += height;
            }
            assert_eq!(top, strip.height());
        }
    }
}

/// The shorter side, and the width and height that are cut out of the middle, in every strip.
const CROPS: [(u32, u32, u32); 7] = [
    (12, 9, 7),
    (40, 31, 37),
    (29, 6, 29),
    (24, 23, 8),
    (41, 40, 17),
    (17, 17, 17),
    (16, 7, 9),
];

#[test]
fn a_shorter_side_and_a_centre_crop_give_torchvisions_bytes() {
    let source = picture("source.png");
    let sources = [source.clone(), imageops::rotate90(&source)];
    for filter in Filter::NAMES {
        let strip = picture(&format!("cropped_at_{filter}.png"));
        let mut top = 0;
        for source in &sources {
            for (shorter_side, width, height) in CROPS {
                let resize = Resize {
                    width,
                    height,
                    fit: Fit::CropAt { shorter_side },
                    filter: filter.parse().unwrap(),
                    decoding: Decoding::Full,
                };
                let expected = imageops::crop_imm(&strip, 0, top, width, height).to_image();
                assert!(resize.apply(source) == expected, "{resize:?}");
                top += height;
            }
        }
        assert_eq!(top, strip.height());
    }
}

#[test]
fn a_target_larger_than_the_shorter_side_is_filled() {
    let source = picture("source.png");
    let at = |shorter_side| Resize {
        width: 31,
        height: 37,
        fit: Fit::CropAt { shorter_side },
        filter: Filter::Bilinear,
        decoding: Decoding::Full,
    };
    assert_eq!(at(20).apply(&source), at(37).apply(&source));
}

#[test]
fn of_a_line_of_a_million_pixels_only_the_middle_is_made() {
    // Scaled whole, it had 256 million columns.
    let line = RgbImage::from_fn(1_000_000, 1, |x, _| {
        image::Rgb([if x < 500_000 { 10 } else { 200 }; 3])
    });
    for filter in Filter::NAMES {
        let resize = Resize {
            width: 224,
            height: 224,
            fit: Fit::CropAt { shorter_side: 256 },
            filter: filter.parse().unwrap(),
            decoding: Decoding::Full,
        };
        let middle = resize.apply(&line);
        // A pixel of the line is 256 columns wide, and the middle lies between two of them.
        assert!(middle.get_pixel(0, 100).0[0] < 100, "{filter}");
        assert!(middle.get_pixel(223, 100).0[0] > 100, "{filter}");
        let standing = imageops::rotate90(&line);
        assert_eq!(
            resize.apply(&standing),
            imageops::rotate90(&middle),
            "{filter}"
        );
    }
}

#[test]
fn a_fit_with_a_side_is_a_word() {
    let fit = Fit::CropAt { shorter_side: 256 };
    assert_eq!(fit.to_string(), "crop:256");
    assert_eq!("crop:256".parse(), Ok(fit));
    let json = serde_json::to_string(&fit).unwrap();
    assert_eq!(json, r#""crop:256""#);
    assert_eq!(serde_json::from_str::<Fit>(&json).unwrap(), fit);
    for word in [
        "crop:",
        "crop:0",
        "crop:-1",
        "crop:+256",
        "crop:8193",
        "crop:99999999999",
        "crop: 256",
        "Crop",
        "",
    ] {
        assert!(word.parse::<Fit>().is_err(), "{word}");
    }
}

#[test]
fn every_byte_becomes_numpys_float_in_every_recipe_and_layout() {
    let levels = picture("levels.png");
    assert_eq!(levels.dimensions(), (256, 1));
    for name in Recipe::NAMES {
        let path = fixture(&format!("levels_{name}.f32"));
        let bytes = fs::read(&path).unwrap_or_else(|error| {
            let path = path.display();
            panic!("{path}: {error}; `recipes` in tests/fixtures/make_picture_fixtures.py makes it")
        });
        let (bytes, _) = bytes.as_chunks::<4>();
        let expected: Vec<f32> = bytes
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect();
        let recipe: Recipe = name.parse().unwrap();
        let mut tensor = vec![f32::NAN; 768];
        recipe.apply(&levels, Layout::ChannelsLast, &mut tensor);
        assert!(tensor == expected, "{name}");
        recipe.apply(&levels, Layout::ChannelsFirst, &mut tensor);
        let planes = (0..3).flat_map(|channel| expected[channel..].iter().step_by(3));
        assert!(tensor.iter().eq(planes), "{name}");
    }
}

#[test]
fn preparing_is_resizing_and_then_the_recipe() {
    let source = picture("source.png");
    let resize = Resize {
        width: 9,
        height: 7,
        fit: Fit::Stretch,
        filter: Filter::Bicubic,
        decoding: Decoding::Full,
    };
    for (recipe, layout) in [
        (Recipe::Caffe, Layout::ChannelsLast),
        (Recipe::Torch, Layout::ChannelsFirst),
    ] {
        let preparation = Preparation {
            resize,
            recipe,
            layout,
            views: Views::None,
        };
        assert_eq!(preparation.tensor_len(), 9 * 7 * 3);
        let mut tensor = vec![f32::NAN; preparation.tensor_len()];
        preparation.prepare(&source, &mut tensor);
        let mut expected = vec![f32::NAN; preparation.tensor_len()];
        recipe.apply(&resize.apply(&source), layout, &mut expected);
        assert_eq!(tensor, expected);
    }
}

#[test]
fn a_preparation_survives_json() {
    let preparation = Preparation {
        resize: Resize {
            width: 224,
            height: 160,
            fit: Fit::Pad,
            filter: Filter::Lanczos,
            decoding: Decoding::Full,
        },
        recipe: Recipe::Caffe,
        layout: Layout::ChannelsLast,
        views: Views::None,
    };
    let json = serde_json::to_string(&preparation).unwrap();
    assert_eq!(
        json,
        r#"{"resize":{"width":224,"height":160,"fit":"pad","filter":"lanczos"},"recipe":"caffe","layout":"channels_last"}"#
    );
    assert_eq!(
        serde_json::from_str::<Preparation>(&json).unwrap(),
        preparation
    );
}

#[test]
fn views_are_pillows_boxes_and_mirror_images() {
    let source = picture("source.png");
    for filter in Filter::NAMES {
        let strip = picture(&format!("views_{filter}.png"));
        let preparation = Preparation {
            resize: Resize {
                width: 19,
                height: 11,
                fit: Fit::Stretch,
                filter: filter.parse().unwrap(),
                decoding: Decoding::Full,
            },
            recipe: Recipe::None,
            layout: Layout::ChannelsLast,
            views: "flips+crops:4".parse().unwrap(),
        };
        let mut tensors = vec![0.0; preparation.tensor_len()];
        preparation.prepare(&source, &mut tensors);
        // The views lie one below the other in the strip, as their tensors do in memory.
        let expected: Vec<_> = strip.as_raw().iter().map(|&byte| f32::from(byte)).collect();
        assert_eq!(tensors.len(), expected.len());
        let view_len = 19 * 11 * 3;
        for (view, (tensor, expected)) in
            (tensors.chunks(view_len).zip(expected.chunks(view_len))).enumerate()
        {
            assert!(tensor == expected, "{filter}, view {view}");
        }
    }
}

#[test]
fn a_part_of_a_picture_of_the_target_size_is_scaled_up_in_every_fit() {
    let source = picture("source.png");
    for fit in [
        Fit::Stretch,
        Fit::Crop,
        Fit::Pad,
        Fit::CropAt { shorter_side: 17 },
    ] {
        let preparation = Preparation {
            resize: Resize {
                width: source.width(),
                height: source.height(),
                fit,
                filter: Filter::Bilinear,
                decoding: Decoding::Full,
            },
            recipe: Recipe::None,
            layout: Layout::ChannelsLast,
            views: "flips+crops:3".parse().unwrap(),
        };
        let mut tensors = vec![0.0; preparation.tensor_len()];
        preparation.prepare(&source, &mut tensors);
        let views: Vec<_> = tensors.chunks(tensors.len() / 3).collect();
        assert!(views[0] != views[1] && views[2] != views[0], "{fit}");
        let mirrored = imageops::flip_horizontal(&source);
        let whole = Preparation {
            views: Views::None,
            ..preparation
        };
        let mut tensor = vec![0.0; whole.tensor_len()];
        whole.prepare(&mirrored, &mut tensor);
        assert!(
            views[1] == tensor,
            "{fit}: nothing is scaled, so both ways give the same"
        );
        whole.prepare(&source, &mut tensor);
        assert!(views[0] == tensor, "{fit}");
    }
}
