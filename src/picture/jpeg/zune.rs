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
    // The decoder takes Adobe's "no transform" for CMYK. Told that three plain channels are YCbCr
    // and asked for YCbCr, it leaves them as they are: RGB.
    if let Some(at) = header.plain_rgb_marked_at(bytes) {
        let mut bytes = bytes.to_vec();
        bytes[at] = YCBCR;
        return decode_to(&bytes, ColorSpace::YCbCr);
    }
    decode_to(bytes, ColorSpace::RGB)
}

fn decode_to(bytes: &[u8], colors: ColorSpace) -> Result<RgbImage, DecodeError> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(colors);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(from_zune)?;
    let (width, height) = decoder.dimensions().expect("the header was decoded");
    let (width, height) = (width as u32, height as u32); // 16 bits each in the file
    check_size(width, height)?;
    let pixels = decoder.decode().map_err(from_zune)?;
    RgbImage::from_raw(width, height, pixels)
        .ok_or_else(|| DecodeError::damaged(FORMAT, "pixels are missing"))
}

fn from_zune(error: DecodeErrors) -> DecodeError {
    match error {
        DecodeErrors::Unsupported(_) => DecodeError::unsupported(FORMAT, error),
        error => DecodeError::damaged(FORMAT, error),
    }
}
