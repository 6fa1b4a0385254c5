//! JPEG by libjpeg-turbo: Pillow's pixels to the byte.

use image::RgbImage;
use turbojpeg::{Colorspace, Decompressor, Error, Image, PixelFormat};

use super::super::{DecodeError, DecodeLimits};
use super::header::{FORMAT, Header, MAX_SCANS};

#[cfg(test)]
pub(super) const CRATE: &str = "turbojpeg";
/// turbojpeg 1.5.1 builds turbojpeg-sys 1.2.0, which brings libjpeg-turbo 3.1.0.
pub(super) const NAME: &str = "turbojpeg 1.5.1 (libjpeg-turbo 3.1.0)";

/// The pixels as RGB. CMYK is taken as inverted, as Adobe writes it and as Pillow takes it.
pub(super) fn decode(
    bytes: &[u8],
    _header: &Header,
    limits: DecodeLimits,
) -> Result<RgbImage, DecodeError> {
    let mut decompressor = Decompressor::new().map_err(from_turbo)?;
    decompressor
        .set_scan_limit(MAX_SCANS as u32)
        .map_err(from_turbo)?;
    let header = decompressor.read_header(bytes).map_err(from_turbo)?;
    let (width, height) = (header.width as u32, header.height as u32); // 16 bits each in the file
    limits.check_size(width, height)?;
    let is_cmyk = matches!(header.colorspace, Colorspace::CMYK | Colorspace::YCCK);
    let format = if is_cmyk {
        PixelFormat::CMYK
    } else {
        PixelFormat::RGB
    };
    let pitch = header.width * format.size();
    let mut pixels = vec![0; pitch * header.height];
    let output = Image {
        pixels: &mut pixels[..],
        width: header.width,
        pitch,
        height: header.height,
        format,
    };
    decompressor.decompress(bytes, output).map_err(from_turbo)?;
    let rgb = if is_cmyk {
        rgb_of_cmyk(&pixels)
    } else {
        pixels
    };
    RgbImage::from_raw(width, height, rgb)
        .ok_or_else(|| DecodeError::damaged(FORMAT, "pixels are missing"))
}

/// Inverted CMYK as RGB: the product of ink and black, rounded to the nearest level as Pillow does.
fn rgb_of_cmyk(pixels: &[u8]) -> Vec<u8> {
    let (pixels, _) = pixels.as_chunks::<4>();
    pixels
        .iter()
        .flat_map(|&[cyan, magenta, yellow, black]| {
            [cyan, magenta, yellow]
                .map(|ink| ((u32::from(ink) * u32::from(black) + 127) / 255) as u8)
        })
        .collect()
}

fn from_turbo(error: Error) -> DecodeError {
    let message = error.to_string();
    DecodeError::damaged(FORMAT, message.trim_start_matches("TurboJPEG error: "))
}
