//! One picture: its bytes, its size and colours, its thumbnail.

use super::ColorMode;
use crate::copies::Thumbnail;
use cnn_codes::dataset::{Picture, Pictures};
use cnn_codes::picture::{self, DecodeError, DecodeLimits, LARGE_BYTES, LARGE_FILE_BYTES};

/// What to do with a large picture.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Large {
    Defer,
    Decode,
}

/// A picture that was looked at.
pub(super) struct Look {
    /// BLAKE3 of its bytes, if they could be read.
    pub(super) digest: Option<blake3::Hash>,
    /// What was seen, or why nothing.
    pub(super) looked: Result<Looked, String>,
}

/// What was seen of a picture.
pub(super) struct Looked {
    /// Width and height, upright.
    pub(super) dimensions: (u32, u32),
    pub(super) color_mode: ColorMode,
    pub(super) thumbnail: Thumbnail,
}

/// Looks at a picture; nothing comes of a large one that is to be deferred.
pub(super) fn look(
    pictures: &Pictures,
    picture: &Picture,
    limits: DecodeLimits,
    large: Large,
) -> Option<Look> {
    let is_deferred = large == Large::Defer;
    let n_bytes = pictures.n_bytes(picture);
    if is_deferred && n_bytes.is_ok_and(|n_bytes| n_bytes > LARGE_FILE_BYTES) {
        return None;
    }
    let bytes = match pictures.read(picture) {
        Ok(bytes) => bytes,
        Err(error) => {
            return Some(Look {
                digest: None,
                looked: Err(error.to_string()),
            });
        }
    };
    if is_deferred && picture::decoding_bytes(&bytes).is_ok_and(|n| n > LARGE_BYTES) {
        return None;
    }
    Some(Look {
        digest: Some(blake3::hash(&bytes)),
        looked: decode(&bytes, limits).map_err(|error| error.to_string()),
    })
}

fn decode(bytes: &[u8], limits: DecodeLimits) -> Result<Looked, DecodeError> {
    let decoded = picture::decode_within(bytes, limits)?;
    Ok(Looked {
        dimensions: decoded.dimensions(),
        color_mode: picture::color_mode(bytes)?,
        thumbnail: Thumbnail::new(&decoded),
    })
}
