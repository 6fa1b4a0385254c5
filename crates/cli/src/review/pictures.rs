//! A picture for the page.

use cnn_codes::picture::memory::Budget;
use cnn_codes::picture::{self, DecodeLimits};
use image::codecs::jpeg::JpegEncoder;

use super::parts::Part;
use crate::page::{reduced, same_bytes};

/// Longest side of a picture that is looked at, in pixels.
pub const LARGE: u32 = 1600;
/// Longest side of one among others.
pub const SMALL: u32 = 320;
/// Quality of the JPEG that is shown.
const QUALITY: u8 = 85;

/// The picture of a row as a JPEG, upright, its longer side at most `longest` pixels; otherwise why there is none. It
/// waits until there is memory to decode it, so it is for threads that may wait.
pub fn jpeg(part: &Part, row: usize, longest: u32, budget: &Budget) -> Result<Vec<u8>, String> {
    let Some(pictures) = &part.pictures else {
        return Err("the folder of the pictures is not known; --pictures names it".to_owned());
    };
    let blake3 = part.store.pictures()[row].blake3;
    let picture = part.picture(row);
    let _file = budget.wait_for(pictures.n_bytes(&picture).unwrap_or(0));
    let bytes = same_bytes(pictures, &picture, blake3)?;
    drop(_file);
    let _memory = budget.wait_for(picture::decoding_bytes(&bytes).unwrap_or(0));
    // Its code was taken, so it is within what was allowed then.
    let limits = DecodeLimits {
        max_pixels: part
            .store
            .manifest()
            .store
            .max_pixels
            .unwrap_or(DecodeLimits::default().max_pixels),
    };
    let picture = picture::decode_within(&bytes, limits).map_err(|error| error.to_string())?;
    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    let small = reduced(&picture, longest);
    encoder
        .encode_image(&small)
        .map_err(|error| error.to_string())?;
    Ok(jpeg)
}
