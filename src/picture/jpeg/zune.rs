//! JPEG by zune-jpeg: pure Rust, at most a few levels from libjpeg-turbo's pixels.

use image::RgbImage;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::super::DecodeError;
use super::super::decode::check_size;
use super::FORMAT;
use super::header::Header;

#[cfg(test)]
pub(super) const CRATE: &str = "zune-jpeg";
pub(super) const NAME: &str = "zune-jpeg 0.5.15";

/// What Adobe's colour transform says of YCbCr.
const YCBCR: u8 = 1;

/// The pixels as RGB. CMYK is taken as inverted, as Adobe writes it and as Pillow takes it.
pub(super) fn decode(bytes: &[u8], header: &Header) -> Result<RgbImage, DecodeError> {
    let Some(at) = header.plain_rgb_marked_at(bytes) else {
        return decode_to(bytes, |_| ColorSpace::RGB);
    };
    // The decoder takes Adobe's "no transform" for CMYK, and three channels of it for an error.
    // Told that they are YCbCr, and asked for what they are, it leaves them as they are: RGB.
    let mut bytes = bytes.to_vec();
    bytes[at] = YCBCR;
    decode_to(&bytes, |stored| stored)
}

/// Decodes to the colours that `wanted` makes of the stored ones.
fn decode_to(
    bytes: &[u8],
    wanted: impl Fn(ColorSpace) -> ColorSpace,
) -> Result<RgbImage, DecodeError> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(from_zune)?;
    let (width, height) = decoder.dimensions().expect("the header was decoded");
    let (width, height) = (width as u32, height as u32); // 16 bits each in the file
    check_size(width, height)?;
    let stored = decoder.input_colorspace().expect("the header was decoded");
    decoder.set_options(options.jpeg_set_out_colorspace(wanted(stored)));
    let pixels = decoder.decode().map_err(from_zune)?;
    RgbImage::from_raw(width, height, pixels)
        .ok_or_else(|| DecodeError::damaged(FORMAT, "pixels are missing"))
}

fn from_zune(error: DecodeErrors) -> DecodeError {
    let message = error.to_string();
    let message = message.trim_matches('"');
    match error {
        DecodeErrors::Unsupported(_) => DecodeError::unsupported(FORMAT, message),
        _ => DecodeError::damaged(FORMAT, message),
    }
}
