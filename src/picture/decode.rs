//! Decodes a file's bytes into an upright RGB picture.

use std::io::{self, Cursor, ErrorKind};

use image::metadata::Orientation;
use image::{
    ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage,
};

use serde::{Deserialize, Serialize};

use super::resize::Margins;
use super::{ColorMode, DecodeError, DecodeLimits, Resize, jpeg};
use crate::{named, quiet};

/// The most memory for data beside the pixels: a colour profile of 2 MB can unpack to a GiB.
const MAX_HEADER_BYTES: u64 = 64 * 1024 * 1024;

/// The size at which large pictures are decoded before they are resized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decoding {
    /// Camera JPEGs are decoded at a half, a quarter or an eighth of their size, as long as that is
    /// at least twice the size that resizing needs and the filter is not
    /// [`Filter::Nearest`](super::Filter::Nearest).
    Scaled,
    /// All pixels are decoded.
    #[default]
    Full,
}

impl Decoding {
    /// The default for older stores and heads, whose files do not have this field.
    pub(crate) fn full() -> Self {
        Self::Full
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    pub(super) fn is_full(&self) -> bool {
        *self == Self::Full
    }
}

named!(Decoding, "way of decoding", Scaled => "scaled", Full => "full");

/// A decoded picture, possibly reduced.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The upright picture.
    pub picture: RgbImage,
    /// Width of the upright picture in the file, in pixels.
    pub width: u32,
    /// Height of the upright picture in the file, in pixels.
    pub height: u32,
    pub(super) margins: Margins,
}

/// Decodes a picture in JPEG, PNG, GIF (first frame), BMP, TIFF or WebP (first frame).
///
/// The result is what a viewer shows: turned as its EXIF data says, transparent parts over white,
/// 16-bit channels scaled to 8, and grey, palettes and CMYK as RGB. Colour profiles are ignored, as
/// Pillow and Keras do. The format is found from the bytes, not from the file's name.
///
/// # Errors
///
/// See [`DecodeError`]. A truncated file is an error as soon as one pixel is missing, although
/// viewers may show the rest in grey. Sizes are checked against the default limits before memory is
/// taken.
pub fn decode(bytes: &[u8]) -> Result<RgbImage, DecodeError> {
    decode_within(bytes, DecodeLimits::default())
}

/// As [`decode`], within the given limits.
///
/// # Errors
///
/// See [`DecodeError`].
pub fn decode_within(bytes: &[u8], limits: DecodeLimits) -> Result<RgbImage, DecodeError> {
    let format = sniff(bytes)?;
    let decoded = caught(format, || decode_as(bytes, format, limits, None))?;
    Ok(decoded.picture)
}

/// As [`decode_within`], for a picture that will be resized. If `resize` allows it, large JPEGs are
/// returned reduced, at least twice as large as `resize` needs them.
///
/// # Errors
///
/// See [`DecodeError`].
pub fn decode_for(
    bytes: &[u8],
    limits: DecodeLimits,
    resize: &Resize,
) -> Result<Decoded, DecodeError> {
    let format = sniff(bytes)?;
    caught(format, || decode_as(bytes, format, limits, Some(resize)))
}

/// The result of `read`. A file that makes a decoder panic is one bad picture, not the end of a
/// job.
fn caught<T>(
    format: ImageFormat,
    read: impl FnOnce() -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    if cfg!(fuzzing) {
        return read();
    }
    quiet::catch(read).unwrap_or_else(|panic| Err(DecodeError::damaged(name(format), panic)))
}

fn decode_as(
    bytes: &[u8],
    format: ImageFormat,
    limits: DecodeLimits,
    resize: Option<&Resize>,
) -> Result<Decoded, DecodeError> {
    let (picture, orientation, reduced) = match format {
        ImageFormat::Jpeg => {
            let jpeg = jpeg::decode(bytes, limits, resize)?;
            (jpeg.picture.into(), jpeg.orientation, jpeg.reduced)
        }
        format => {
            let (picture, orientation) = decode_with_image(bytes, format, limits)?;
            (picture, orientation, None)
        }
    };
    // Turning copies the picture, and the copy is smaller in 8 bits and three channels.
    let mut picture = DynamicImage::from(over_white(picture));
    let (size, margins) = match reduced {
        Some(reduced) => (reduced.size, reduced.margins),
        None => ((picture.width(), picture.height()), Margins::default()),
    };
    picture.apply_orientation(orientation);
    let is_turned = turns_sides(orientation);
    Ok(Decoded {
        picture: picture.into_rgb8(),
        width: if is_turned { size.1 } else { size.0 },
        height: if is_turned { size.0 } else { size.1 },
        margins: margins.turned(orientation),
    })
}

/// Whether turning upright swaps width and height.
pub(super) fn turns_sides(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(
        orientation,
        Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH
    )
}

/// How many bytes of memory it takes to decode a picture, including its own pixels. Only the header
/// is read.
///
/// # Errors
///
/// See [`DecodeError`]. A picture with a readable header may still be damaged after it.
pub fn decoding_bytes(bytes: &[u8]) -> Result<u64, DecodeError> {
    let format = sniff(bytes)?;
    caught(format, || match format {
        ImageFormat::Jpeg => jpeg::decoding_bytes(bytes),
        format => Ok(reckoned_bytes(&open(bytes, format)?, format)),
    })
}

/// The decoder's pixels and own copies, and the 8-bit RGB that is made once the copies are freed.
fn reckoned_bytes(decoder: &impl ImageDecoder, format: ImageFormat) -> u64 {
    let (width, height) = decoder.dimensions();
    let n_pixels = u64::from(width).saturating_mul(height.into());
    let color = decoder.color_type();
    let own_copy = match format {
        ImageFormat::Gif | ImageFormat::WebP => 4,
        // As they are stored: four inks become three colours.
        ImageFormat::Tiff => {
            let stored = decoder.original_color_type().bits_per_pixel().div_ceil(8);
            u64::from(stored).max(color.bytes_per_pixel().into())
        }
        _ => 0,
    };
    let converted = match color {
        ColorType::Rgb8 => 0,
        ColorType::La8 | ColorType::La16 => 7, // by way of RGBA
        _ => 3,
    };
    let per_pixel = u64::from(color.bytes_per_pixel()) + converted.max(own_copy);
    n_pixels.saturating_mul(per_pixel)
}

/// How many pixels a picture has. Only the header is read.
///
/// # Errors
///
/// See [`DecodeError`]. A picture with a readable header may still be damaged after it.
pub fn n_pixels(bytes: &[u8]) -> Result<u64, DecodeError> {
    let format = sniff(bytes)?;
    let (width, height) = caught(format, || match format {
        ImageFormat::Jpeg => jpeg::dimensions(bytes),
        format => Ok(open(bytes, format)?.dimensions()),
    })?;
    Ok(u64::from(width) * u64::from(height))
}

/// Which colours a picture's file holds. Only the header is read.
///
/// # Errors
///
/// See [`DecodeError`].
pub fn color_mode(bytes: &[u8]) -> Result<ColorMode, DecodeError> {
    let format = sniff(bytes)?;
    caught(format, || match format {
        ImageFormat::Jpeg => jpeg::color_mode(bytes),
        format if has_color_list(bytes, format) => Ok(ColorMode::Palette),
        format => Ok(open(bytes, format)?.original_color_type().into()),
    })
}

/// Whether pixels are indices into a list of colours. Decoders turn them into RGB or RGBA and do
/// not report this.
fn has_color_list(bytes: &[u8], format: ImageFormat) -> bool {
    let byte = |place: usize| bytes.get(place).copied();
    match format {
        ImageFormat::Gif => true,
        // The colour type, behind the sizes and the depth.
        ImageFormat::Png => byte(25) == Some(3),
        // Bits of a pixel; the first kind of header, of 12 bytes, has short numbers before.
        ImageFormat::Bmp => {
            let bits = byte(if byte(14) == Some(12) { 24 } else { 28 });
            bits.is_some_and(|bits| (1..=8).contains(&bits))
        }
        _ => false,
    }
}

/// The format that the first bytes announce, if it is one that is decoded here.
pub fn sniff(bytes: &[u8]) -> Result<ImageFormat, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    match image::guess_format(bytes) {
        Ok(format) if format_name(format).is_some() => Ok(format),
        Ok(format) => {
            let name = format.extensions_str().first().unwrap_or(&"other");
            Err(DecodeError::unsupported(
                "a picture",
                format!("the format is {name}"),
            ))
        }
        Err(_) => Err(not_a_picture(bytes)),
    }
}

/// The name of a format in messages; `None` if it is not decoded here.
fn format_name(format: ImageFormat) -> Option<&'static str> {
    match format {
        ImageFormat::Jpeg => Some("JPEG"),
        ImageFormat::Png => Some("PNG"),
        ImageFormat::Gif => Some("GIF"),
        ImageFormat::Bmp => Some("BMP"),
        ImageFormat::Tiff => Some("TIFF"),
        ImageFormat::WebP => Some("WebP"),
        _ => None,
    }
}

/// Messages for the two kinds of file most often found among pictures.
fn not_a_picture(bytes: &[u8]) -> DecodeError {
    let head = bytes.trim_ascii_start();
    let starts_with = |tag: &str| {
        head.get(..tag.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(tag.as_bytes()))
    };
    let is_heif = bytes.get(4..8) == Some(b"ftyp")
        && matches!(bytes.get(8..11), Some(b"hei" | b"hev" | b"mif" | b"msf"));
    if starts_with("<!doctype html") || starts_with("<html") {
        DecodeError::WebPage
    } else if is_heif {
        DecodeError::unsupported("a picture", "the format is HEIF; save it as JPEG or PNG")
    } else {
        DecodeError::UnknownFormat
    }
}

/// The name of a format that `sniff` accepted.
fn name(format: ImageFormat) -> &'static str {
    format_name(format).expect("sniffing lets only known formats through")
}

fn allocation_limit(max_bytes: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(max_bytes);
    limits
}

/// A decoder that has read the header.
fn open(bytes: &[u8], format: ImageFormat) -> Result<impl ImageDecoder + '_, DecodeError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(allocation_limit(MAX_HEADER_BYTES));
    reader
        .into_decoder()
        .map_err(|error| from_image_error(name(format), error))
}

/// The pixels as they are stored, and how to turn them upright.
fn decode_with_image(
    bytes: &[u8],
    format: ImageFormat,
    limits: DecodeLimits,
) -> Result<(DynamicImage, Orientation), DecodeError> {
    let failed = |error: ImageError| from_image_error(name(format), error);
    let mut decoder = open(bytes, format)?;
    let (width, height) = decoder.dimensions();
    limits.check_size(width, height)?;
    if width == 0 || height == 0 {
        return Err(DecodeError::damaged(name(format), "it has no pixels"));
    }
    let reckoned = reckoned_bytes(&decoder, format);
    limits.check_memory(name(format), reckoned, bytes.len())?;
    // The memory beside the pixels: even small pictures need a table or two.
    let allocations = allocation_limit(limits.max_bytes().max(MAX_HEADER_BYTES));
    decoder.set_limits(allocations).map_err(failed)?;
    let orientation = orientation(&mut decoder, bytes, format).map_err(failed)?;
    let picture = DynamicImage::from_decoder(decoder).map_err(failed)?;
    Ok((picture, orientation))
}

/// How to turn the picture upright.
fn orientation(
    decoder: &mut impl ImageDecoder,
    bytes: &[u8],
    format: ImageFormat,
) -> Result<Orientation, ImageError> {
    if format == ImageFormat::WebP {
        return Ok(webp_exif(bytes)?.map_or(Orientation::NoTransforms, exif_orientation));
    }
    match decoder.exif_metadata()? {
        Some(exif) => Ok(exif_orientation(&exif)),
        None => decoder.orientation(),
    }
}

/// The orientation in EXIF data. Some writers of WebP and PNG keep JPEG's prefix before it.
fn exif_orientation(exif: &[u8]) -> Orientation {
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    Orientation::from_exif_chunk(exif).unwrap_or(Orientation::NoTransforms)
}

/// The EXIF data of a WebP. Its decoder would allocate the memory that a chunk claims, up to 4 GiB,
/// before it checks how long the file is.
fn webp_exif(bytes: &[u8]) -> io::Result<Option<&[u8]>> {
    let mut chunks = bytes.get(12..).unwrap_or_default(); // after "RIFF", a length and "WEBP"
    while let Some((tag, rest)) = chunks.split_first_chunk::<4>()
        && let Some((length, rest)) = rest.split_first_chunk::<4>()
    {
        let length = u32::from_le_bytes(*length) as usize;
        let body = rest.get(..length);
        if tag == b"EXIF" {
            return body.map(Some).ok_or(ErrorKind::UnexpectedEof.into());
        }
        let next = body.and_then(|_| rest.get(length + length % 2..));
        chunks = next.unwrap_or_default();
    }
    Ok(None)
}

fn from_image_error(format: &'static str, error: ImageError) -> DecodeError {
    match error {
        ImageError::Unsupported(error) => DecodeError::unsupported(format, error),
        ImageError::Limits(_) => DecodeError::BeyondDecoder { format },
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::damaged(format, "the file ends too early")
        }
        error => DecodeError::damaged(format, error),
    }
}

/// Any kind of pixel as 8-bit RGB, with transparent parts over white.
fn over_white(picture: DynamicImage) -> RgbImage {
    let (width, height) = (picture.width(), picture.height());
    let bytes = match picture {
        picture if !picture.color().has_alpha() => return picture.into_rgb8(),
        // This avoids an 8-bit copy in between.
        DynamicImage::ImageRgba16(rgba) => blended(rgba.as_raw().iter().map(|&level| eight(level))),
        picture => blended(picture.into_rgba8().as_raw().iter().copied()),
    };
    RgbImage::from_raw(width, height, bytes).expect("3 bytes for every pixel")
}

/// RGB over white, from RGBA channels in sequence.
fn blended(mut channels: impl ExactSizeIterator<Item = u8>) -> Vec<u8> {
    let n_pixels = channels.len() / 4;
    let mut bytes = Vec::with_capacity(3 * n_pixels);
    let mut next = || channels.next().unwrap_or_default();
    for _ in 0..n_pixels {
        let [red, green, blue, alpha] = [next(), next(), next(), next()];
        bytes.extend([red, green, blue].map(|byte| blend(byte, 255, alpha)));
    }
    bytes
}

/// The nearest of 256 levels to one of 65,536, as the `image` crate rounds it.
fn eight(level: u16) -> u8 {
    ((u32::from(level) + 128) / 257) as u8
}

/// `over` at `alpha` 255, `under` at 0, and the nearest level in between.
fn blend(over: u8, under: u8, alpha: u8) -> u8 {
    let [over, under, alpha] = [over, under, alpha].map(u32::from);
    ((over * alpha + under * (255 - alpha) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_become_the_levels_that_the_image_crate_makes_of_them() {
        let levels: Vec<u16> = (0..=u16::MAX).collect();
        let grey = image::ImageBuffer::from_raw(256, 256, levels.clone()).unwrap();
        let expected = DynamicImage::ImageLuma16(grey).into_luma8().into_raw();
        assert_eq!(levels.into_iter().map(eight).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_picture_is_refused_by_what_decoding_it_takes_and_not_by_its_pixels_alone() {
        let encoded = |picture: DynamicImage| {
            let mut png = Cursor::new(Vec::new());
            picture.write_to(&mut png, ImageFormat::Png).unwrap();
            png.into_inner()
        };
        let limits = DecodeLimits { max_pixels: 100 };
        let kind = |picture| decode_within(&encoded(picture), limits).map_err(|e| e.kind());
        assert!(kind(DynamicImage::new_rgb8(10, 10)).is_ok());
        assert!(kind(DynamicImage::new_rgba8(10, 10)).is_ok()); // 7 bytes a pixel
        assert_eq!(kind(DynamicImage::new_rgb8(10, 11)), Err("too_large"));
        assert_eq!(kind(DynamicImage::new_rgba16(10, 10)), Err("too_large")); // 11
        assert!(kind(DynamicImage::new_rgba16(9, 8)).is_ok()); // 792 of 800
    }

    #[test]
    fn the_number_of_pixels_is_told_by_the_header_alone() {
        let mut png = Vec::new();
        let picture = RgbImage::new(300, 7);
        let mut to = Cursor::new(&mut png);
        picture.write_to(&mut to, ImageFormat::Png).unwrap();
        assert_eq!(n_pixels(&png), Ok(2100));
        // Frame header (ITU-T T.81, B.2.2): 8 bits, 7 high, 300 wide, one channel; then a scan.
        let frame = b"\xff\xd8\xff\xc0\0\x0b\x08\0\x07\x01\x2c\x01\x01\x11\0";
        let scan = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0";
        let jpeg = [&frame[..], scan].concat();
        assert_eq!(n_pixels(&jpeg), Ok(2100));
        assert!(n_pixels(b"hello").is_err());
    }

    #[test]
    fn what_is_no_picture_is_told_apart() {
        let kind = |bytes: &[u8]| decode(bytes).unwrap_err().kind();
        assert_eq!(kind(b""), "empty");
        assert_eq!(kind(b"hello"), "unknown_format");
        assert_eq!(kind(&[0; 64]), "unknown_format");
        assert_eq!(kind(b"\n <!DOCTYPE HTML>404"), "web_page");
        assert_eq!(kind(b"\0\0\0\x18ftypheic\0\0\0\0"), "unsupported");
        assert_eq!(kind(b"\0\0\x01\0\x01\0"), "unsupported"); // an icon
        assert_eq!(kind(b"\x89PNG\r\n\x1a\n"), "damaged");
    }

    #[test]
    fn blending_rounds_to_the_nearest_level() {
        assert_eq!(blend(0, 255, 128), 127); // 255 * 127 / 255
        assert_eq!(blend(100, 255, 255), 100);
        assert_eq!(blend(100, 255, 0), 255);
        assert_eq!(blend(10, 255, 77), 181); // (770 + 45,390) / 255 = 181.02
        assert_eq!(blend(200, 255, 3), 254); // (600 + 64,260) / 255 = 254.35
    }
}
