//! One picture: its bytes, its size and colours, its thumbnail.

use super::ColorMode;
use crate::copies::Thumbnail;
use cnn_codes::dataset::{Picture, Pictures};
use cnn_codes::picture::memory::{Later, Room};
use cnn_codes::picture::{self, DecodeError, DecodeLimits};

/// A picture that was checked.
pub(super) struct Look {
    /// BLAKE3 of its bytes, if they could be read.
    pub(super) digest: Option<blake3::Hash>,
    /// The measurements, or why there are none.
    pub(super) looked: Result<Looked, String>,
}

/// Measurements of a picture.
pub(super) struct Looked {
    /// Width and height, upright.
    pub(super) dimensions: (u32, u32),
    pub(super) color_mode: ColorMode,
    pub(super) thumbnail: Thumbnail,
}

/// Checks a picture, if there is memory for it.
pub(super) fn look(
    pictures: &Pictures,
    picture: &Picture,
    limits: DecodeLimits,
    room: Room,
) -> Result<Look, Later> {
    // A file without metadata will fail soon anyway.
    room.for_file(pictures.n_bytes(picture).unwrap_or(0))?;
    let bytes = match pictures.read_up_to(picture, limits.max_file_bytes()) {
        Ok(bytes) => bytes,
        Err(error) => {
            return Ok(Look {
                digest: None,
                looked: Err(error.to_string()),
            });
        }
    };
    // A picture without a valid header takes no memory.
    let _memory = room.for_decoding(picture::decoding_bytes(&bytes).unwrap_or(0))?;
    Ok(Look {
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
