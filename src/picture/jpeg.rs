//! JPEG: two decoders behind one function, the checks that both lack, and a third decoder for large
//! pictures that are wanted small.
//!
//! The `image` crate's JPEG decoder is not used, because it accepts half a JPEG without an error.
//! Here a file without its end marker is an error. If the end marker exists but data before it is
//! missing, jpeg-decoder fills the gap silently; libjpeg-turbo (the feature `turbojpeg`) reports
//! it.

mod header;
#[cfg(not(feature = "turbojpeg"))]
mod pure_rust;
mod scaled;
#[cfg(feature = "turbojpeg")]
mod turbo;

use image::RgbImage;
use image::metadata::Orientation;

use self::header::{FORMAT, Header};
#[cfg(not(feature = "turbojpeg"))]
use self::pure_rust as decoder;
use self::scaled::Reduction;
#[cfg(feature = "turbojpeg")]
use self::turbo as decoder;
use super::decode::turns_sides;
use super::resize::Margins;
use super::{ColorMode, DecodeError, DecodeLimits, Resize};

/// The JPEG decoder of this build, with its version.
///
/// It is recorded in a store's manifest: the format leaves decoders some freedom, and the two
/// decoders' codes of the same file differ by 0.2 to 0.8 %.
pub const DECODER: &str = decoder::NAME;

/// Width and height of the picture as it is stored, from its header alone.
pub(super) fn dimensions(bytes: &[u8]) -> Result<(u32, u32), DecodeError> {
    let (height, width) = Header::read(bytes)?.dimensions;
    Ok((width.into(), height.into()))
}

/// How many bytes of memory decoding takes, from the header alone.
pub(super) fn decoding_bytes(bytes: &[u8]) -> Result<u64, DecodeError> {
    Ok(Header::read(bytes)?.decoding_bytes())
}

/// What colours the picture has, from its header alone.
pub(super) fn color_mode(bytes: &[u8]) -> Result<ColorMode, DecodeError> {
    Ok(match Header::read(bytes)?.channels {
        1 => ColorMode::Grey,
        4 => ColorMode::Cmyk,
        _ => ColorMode::Rgb,
    })
}

/// A JPEG's pixels as they are stored.
pub(super) struct Jpeg {
    pub(super) picture: RgbImage,
    /// How to turn them upright.
    pub(super) orientation: Orientation,
    /// How the picture was reduced; `None` if all of its pixels were decoded.
    pub(super) reduced: Option<Reduced>,
}

/// How a picture was reduced.
pub(super) struct Reduced {
    /// Width and height in the file.
    pub(super) size: (u32, u32),
    /// How far the last pixels reach beyond the picture.
    pub(super) margins: Margins,
}

/// The pixels as they are stored, as RGB; fewer of them if that is enough for `resize`.
pub(super) fn decode(
    bytes: &[u8],
    limits: DecodeLimits,
    resize: Option<&Resize>,
) -> Result<Jpeg, DecodeError> {
    let header = Header::read(bytes)?;
    header.check_supported()?;
    let (height, width) = header.dimensions;
    limits.check_size(width.into(), height.into())?;
    header.check_cost(limits)?;
    if !header.has_end() {
        return Err(DecodeError::damaged(
            FORMAT,
            "the end of the picture is missing",
        ));
    }
    let orientation = header.exif.and_then(Orientation::from_exif_chunk);
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    let size = (u32::from(width), u32::from(height));
    if let Some(reduction) = resize.and_then(|resize| reduction(size, orientation, resize))
        && let Some(picture) = scaled::decode(bytes, reduction)
    {
        let margins = reduction.margins(size);
        return Ok(Jpeg {
            picture,
            orientation,
            reduced: Some(Reduced { size, margins }),
        });
    }
    Ok(Jpeg {
        picture: decoder::decode(bytes, &header, limits)?,
        orientation,
        reduced: None,
    })
}

/// How much a picture of `size` may be reduced before it is turned and resized.
fn reduction(size: (u32, u32), orientation: Orientation, resize: &Resize) -> Option<Reduction> {
    let (width, height) = resize.reducible_to()?;
    Reduction::down_to(
        size,
        match turns_sides(orientation) {
            true => (height, width),
            false => (width, height),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decoders_name_has_the_version_that_is_locked() {
        let lock = include_str!("../../Cargo.lock");
        let (_, entry) = lock
            .split_once(&format!("name = \"{}\"\n", decoder::CRATE))
            .unwrap();
        let version = entry.lines().next().unwrap().split('"').nth(1).unwrap();
        assert!(
            DECODER.contains(&format!("{} {version}", decoder::CRATE)),
            "{DECODER}, {version}"
        );
    }
}
