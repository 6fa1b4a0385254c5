//! Decoding, against Pillow's pixels: see `tests/fixtures/make_picture_fixtures.py`.

use crate::support;

use std::fs;
use std::path::PathBuf;

use cnn_codes::picture::{
    DECODER, DecodeError, DecodeLimits, Decoding, Filter, Fit, Layout, Preparation, Recipe, Resize,
    RgbImage, color_mode, decode, decode_for,
};
use proptest::prelude::*;
use support::damage::{damage, damaged};

/// libjpeg-turbo is Pillow's own decoder. jpeg-decoder rounds its inverse cosine transform and its
/// colour conversion otherwise; on 750 photographs the largest difference was 4 levels, and CMYK
/// multiplies two of them.
const JPEG_TOLERANCE: u8 = if cfg!(feature = "turbojpeg") { 0 } else { 5 };

fn fixtures() -> PathBuf {
    support::root().join("tests/fixtures/picture")
}

fn read(name: &str) -> Vec<u8> {
    fs::read(fixtures().join(name)).unwrap()
}

/// The names of the files that have their pixels beside them.
fn decodable() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(fixtures())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".rgb.png").map(str::to_owned))
        .collect();
    names.sort();
    assert!(names.len() > 40, "fixtures are missing");
    names
}

fn tolerance(name: &str) -> u8 {
    match name {
        "a_png_named.jpg" => 0,
        name if name.ends_with(".jpg") => JPEG_TOLERANCE,
        _ => 0,
    }
}

/// The largest difference between two pictures of the same size, in levels.
fn largest_difference(a: &RgbImage, b: &RgbImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    let differences = a
        .as_raw()
        .iter()
        .zip(b.as_raw())
        .map(|(a, b)| a.abs_diff(*b));
    differences.max().unwrap()
}

#[test]
fn every_fixture_decodes_to_pillows_pixels() {
    for name in decodable() {
        let picture = decode(&read(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected = image::open(fixtures().join(format!("{name}.rgb.png"))).unwrap();
        let difference = largest_difference(&picture, &expected.into_rgb8());
        assert!(
            difference <= tolerance(&name),
            "{name} differs by {difference} levels"
        );
    }
}

/// JPEGs that are reduced straight from their coefficients; the others are decoded as a whole.
const REDUCED: [&str; 12] = [
    "420.jpg",
    "422.jpg",
    "444.jpg",
    "exif_1.jpg",
    "exif_2.jpg",
    "exif_3.jpg",
    "exif_4.jpg",
    "exif_5.jpg",
    "exif_6.jpg",
    "exif_7.jpg",
    "exif_8.jpg",
    "grey.jpg",
];

#[test]
fn reduced_jpegs_become_what_pillows_pixels_become() {
    let mut n_reduced = 0;
    for name in decodable()
        .into_iter()
        .filter(|name| name.ends_with(".jpg"))
    {
        let expected = image::open(fixtures().join(format!("{name}.rgb.png")))
            .unwrap()
            .into_rgb8();
        let (width, height) = expected.dimensions();
        for (by, fit) in [2, 4, 8].into_iter().flat_map(|by| {
            let at = Fit::CropAt {
                shorter_side: width.min(height) / by / 2,
            };
            [Fit::Stretch, Fit::Crop, Fit::Pad, at].map(|fit| (by, fit))
        }) {
            let resize = Resize {
                width: (width / by / 2).max(1),
                height: (height / by / 2).max(1),
                fit,
                filter: Filter::Bilinear,
                decoding: Decoding::Scaled,
            };
            let decoded = decode_for(&read(&name), DecodeLimits::default(), &resize).unwrap();
            assert_eq!((decoded.width, decoded.height), (width, height), "{name}");
            let is_reduced = decoded.picture.dimensions() != (width, height);
            let is_expected = REDUCED.contains(&name.as_str())
                || name == "restarts.jpg"
                || name == "trailing_bytes.jpg";
            assert_eq!(is_reduced, is_expected, "{name} by {by}");
            n_reduced += usize::from(is_reduced);
            // By 8, the fixtures are a few pixels.
            if is_reduced && by < 8 {
                let preparation = Preparation {
                    resize,
                    recipe: Recipe::None,
                    layout: Layout::ChannelsLast,
                    views: cnn_codes::picture::Views::None,
                };
                let mut tensors = [
                    vec![0.0; preparation.tensor_len()],
                    vec![0.0; preparation.tensor_len()],
                ];
                preparation.prepare(&expected, &mut tensors[0]);
                preparation.prepare_decoded(&decoded, &mut tensors[1]);
                let differences = tensors[0]
                    .iter()
                    .zip(&tensors[1])
                    .map(|(a, b)| (a - b).abs());
                let largest = differences.clone().fold(0.0_f32, f32::max);
                let mean = differences.sum::<f32>() / tensors[0].len() as f32;
                println!("{name} by {by} {fit:?}: mean {mean:.2}, largest {largest}");
                // A block of a drawing shows more of what is left out than one of a photograph.
                assert!(
                    mean < by as f32 && largest <= 5.0 * by as f32,
                    "{name} by {by} {fit:?}: {mean}, {largest}"
                );
            }
        }
    }
    assert!(n_reduced > 50);
    // Where single pixels are picked, all of them are needed.
    let resize = Resize {
        width: 4,
        height: 4,
        fit: Fit::Stretch,
        filter: Filter::Nearest,
        decoding: Decoding::Scaled,
    };
    let whole = decode_for(&read("420.jpg"), DecodeLimits::default(), &resize).unwrap();
    assert_eq!(whole.picture, decode(&read("420.jpg")).unwrap());
}

#[test]
fn orientations_five_to_eight_swap_the_sides() {
    for orientation in 1..=8 {
        let picture = decode(&read(&format!("exif_{orientation}.jpg"))).unwrap();
        let expected = if orientation < 5 { (20, 12) } else { (12, 20) };
        assert_eq!(picture.dimensions(), expected, "orientation {orientation}");
    }
}

#[test]
fn half_transparent_black_is_grey_over_white() {
    let rgba = image::RgbaImage::from_pixel(1, 1, image::Rgba([0, 0, 0, 128]));
    let mut png = std::io::Cursor::new(Vec::new());
    rgba.write_to(&mut png, image::ImageFormat::Png).unwrap();
    assert_eq!(decode(png.get_ref()).unwrap().get_pixel(0, 0).0, [127; 3]);
}

#[test]
fn a_cut_file_is_an_error_unless_every_pixel_is_there() {
    for name in decodable() {
        let whole = read(&name);
        let expected = decode(&whole).unwrap();
        let mut n_errors = 0;
        for length in 0..whole.len() {
            match decode(&whole[..length]) {
                Err(_) => n_errors += 1,
                Ok(picture) => {
                    assert_eq!(
                        picture,
                        expected,
                        "{name} cut to {length} of {}",
                        whole.len()
                    );
                }
            }
        }
        assert!(n_errors > whole.len() / 4, "{name}: only {n_errors} errors");
    }
}

#[test]
fn half_a_jpeg_is_damaged() {
    for name in [
        "420.jpg",
        "444.jpg",
        "progressive.jpg",
        "grey.jpg",
        "restarts.jpg",
    ] {
        let whole = read(name);
        for length in [whole.len() / 2, whole.len() - 40, whole.len() - 2] {
            let error = decode(&whole[..length]).unwrap_err();
            assert_eq!(error.kind(), "damaged", "{name}: {error}");
        }
    }
}

/// jpeg-decoder fills up what is missing before an end-of-image marker, and does not tell.
#[cfg(feature = "turbojpeg")]
#[test]
fn an_end_marker_does_not_make_half_a_jpeg_whole() {
    for name in ["420.jpg", "444.jpg", "grey.jpg", "restarts.jpg"] {
        let whole = read(name);
        let mut capped = whole[..whole.len() - compressed_len(&whole) / 2].to_vec();
        capped.extend([0xFF, 0xD9]);
        let error = decode(&capped).unwrap_err();
        assert_eq!(error.kind(), "damaged", "{name}: {error}");
    }
}

/// How much of a JPEG comes after the header.
#[cfg(feature = "turbojpeg")]
fn compressed_len(jpeg: &[u8]) -> usize {
    jpeg.len()
        - jpeg
            .windows(2)
            .position(|pair| pair == [0xFF, 0xDA])
            .unwrap()
}

#[test]
fn a_header_that_promises_too_many_pixels_is_refused() {
    for (name, width, height) in [
        ("bomb.png", 60_000, 60_000),
        ("bomb.jpg", 65_000, 65_000),
        ("bomb.gif", 65_535, 65_535),
        ("bomb.bmp", 30_000, 30_000),
        ("bomb.webp", 60_000, 60_000),
        ("bomb.tiff", 60_000, 60_000),
    ] {
        let error = decode(&read(name)).unwrap_err();
        let expected = DecodeError::TooLarge {
            width,
            height,
            max_pixels: 50_000_000,
        };
        assert_eq!(error, expected, "{name}");
    }
}

#[test]
fn unusual_jpegs_are_unsupported_rather_than_damaged() {
    let mut jpeg = read("444.jpg");
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xFF, 0xC0])
        .unwrap();
    jpeg[frame + 4] = 12;
    let error = decode(&jpeg).unwrap_err();
    assert_eq!(error.kind(), "unsupported");
    assert!(error.to_string().contains("12 bits"), "{error}");
}

#[test]
fn the_decoder_is_the_one_that_the_feature_asks_for() {
    assert_eq!(
        DECODER.contains("libjpeg-turbo"),
        cfg!(feature = "turbojpeg"),
        "{DECODER}"
    );
}

/// 2,000 cases, or as many as `PROPTEST_CASES` says.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() {
        default.cases
    } else {
        2000
    };
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn damaged_bytes_never_panic(
        file in prop::sample::select(decodable()),
        damages in prop::collection::vec(damage(), 1..8),
    ) {
        if let Err(error) = decode(&damaged(read(&file), &damages)) {
            prop_assert!(DecodeError::KINDS.contains(&error.kind()));
            prop_assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn noise_after_a_signature_never_panics(
        signature in prop::sample::select(vec![
            &b"\xff\xd8\xff"[..], b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0*",
            b"RIFF\xff\xff\0\0WEBPVP8 ", b"RIFF\xff\xff\0\0WEBPVP8L", b"RIFF\xff\xff\0\0WEBPVP8X",
        ]),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = decode(&[signature, &noise[..]].concat());
    }
}

#[test]
fn colour_modes_are_those_that_pillow_says() {
    // Pillow's `mode`, where that is not RGB; it calls a BMP's list of greys L.
    let others = [
        (
            "palette",
            "animated.gif interlaced.gif still.gif transparent.gif",
        ),
        (
            "palette",
            "grey.bmp palette.bmp palette.png palette_transparent.png",
        ),
        ("cmyk", "cmyk_adobe.jpg cmyk_unmarked.jpg ycck_adobe.jpg"),
        (
            "grey",
            "grey.jpg grey.png grey.tiff grey_16.png one_bit.png",
        ),
        ("grey_alpha", "grey_alpha.png"),
        (
            "rgba",
            "deflate_rgba.tiff lossless_alpha.webp lossy_alpha.webp rgba.png rgba_16.png",
        ),
    ];
    for name in decodable() {
        let other = others
            .iter()
            .find(|(_, names)| names.split(' ').any(|other| other == name));
        let expected = other.map_or("rgb", |(mode, _)| mode);
        assert_eq!(color_mode(&read(&name)).unwrap().name(), expected, "{name}");
    }
}
