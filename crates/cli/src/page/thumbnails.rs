//! Small pictures inside a page.

use std::io::ErrorKind;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::codecs::jpeg::JpegEncoder;

use cnn_codes::codes::PictureRow;
use cnn_codes::dataset::{Picture, Pictures, Place, ReadError};
use cnn_codes::picture::memory::{Budget, Later, Room, side_by_side};
use cnn_codes::picture::{self, DecodeLimits, Decoding, Filter, Fit, Resize, RgbImage};

/// The longer side of a thumbnail, in pixels.
const SIDE: u32 = 160;

/// The largest thumbnail, in bytes: 200 of them are 5.3 MB of text, and photographs take a third.
const MAX_BYTES: usize = 20_000;

/// Qualities that are tried until a thumbnail is small enough; the last one is taken anyway.
const QUALITIES: [u8; 4] = [80, 60, 40, 15];

/// A picture to be shown.
pub(super) struct Wanted<'a> {
    /// Path relative to the folder of the pictures.
    pub(super) path: &'a str,
    /// BLAKE3 of the file that was judged.
    pub(super) blake3: blake3::Hash,
}

/// What is shown of a picture.
pub(super) enum Thumbnail {
    /// A small picture.
    Shown(Inline),
    /// There is nothing to be shown, for this reason.
    Absent(String),
}

/// A JPEG inside a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inline {
    /// Data URI (RFC 2397).
    pub uri: String,
    /// Width and height, in pixels.
    pub size: (u32, u32),
}

/// Thumbnails of pictures below `root`, in their order. One that is not there, or not the one that
/// was judged, is absent.
pub(super) fn thumbnails(root: Option<&Path>, wanted: &[Wanted]) -> Vec<Thumbnail> {
    let Some(root) = root else {
        let reason = "folder not known; give --pictures";
        return wanted
            .iter()
            .map(|_| Thumbnail::Absent(reason.to_owned()))
            .collect();
    };
    let pictures = Pictures {
        root: root.to_owned(),
        ..Pictures::default()
    };
    side_by_side(wanted, |wanted, room| thumbnail(&pictures, wanted, room))
}

fn thumbnail(pictures: &Pictures, wanted: &Wanted, room: Room) -> Result<Thumbnail, Later> {
    let absent = |reason: String| Ok(Thumbnail::Absent(reason));
    let picture = Picture {
        path: wanted.path.into(),
        label: None,
        group: None,
        place: Place::File,
    };
    // A file that cannot be looked at will fail soon enough.
    room.for_file(pictures.n_bytes(&picture).unwrap_or(0))?;
    let bytes = match same_bytes(pictures, &picture, wanted.blake3) {
        Ok(bytes) => bytes,
        Err(reason) => return absent(reason),
    };
    // What has no sound header takes no memory.
    let _memory = room.for_decoding(picture::decoding_bytes(&bytes).unwrap_or(0))?;
    match picture::decode(&bytes) {
        Ok(picture) => Ok(Thumbnail::Shown(inline(&picture))),
        Err(error) => absent(error.to_string()),
    }
}

/// Longest side of a picture that is looked at, in pixels.
pub const LARGE: u32 = 1600;
/// Longest side of one among others.
pub const SMALL: u32 = 320;
/// Quality of a JPEG that a server shows.
const QUALITY: u8 = 85;

/// The picture of a store's row as a JPEG, upright, its longer side at most `longest` pixels; otherwise why there is
/// none. It waits until there is memory to decode it, so it is for threads that may wait. `max_pixels` is what its
/// store allowed.
pub fn jpeg_of_row(
    pictures: &Pictures,
    row: &PictureRow,
    max_pixels: Option<u64>,
    longest: u32,
    budget: &Budget,
) -> Result<Vec<u8>, String> {
    let picture = Picture {
        path: row.path.clone(),
        label: None,
        place: Place::File,
        group: None,
    };
    let bytes = {
        let _memory = budget.wait_for(pictures.n_bytes(&picture).unwrap_or(0));
        same_bytes(pictures, &picture, row.blake3)?
    };
    let _memory = budget.wait_for(picture::decoding_bytes(&bytes).unwrap_or(0));
    let usual = DecodeLimits::default().max_pixels;
    let limits = DecodeLimits {
        max_pixels: max_pixels.unwrap_or(usual),
    };
    let picture = picture::decode_within(&bytes, limits).map_err(|error| error.to_string())?;
    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    let encoded = encoder.encode_image(&reduced(&picture, longest));
    encoded.map_err(|error| error.to_string())?;
    Ok(jpeg)
}

/// The bytes of a picture file, where they are those whose code was taken; otherwise why there are none.
pub fn same_bytes(
    pictures: &Pictures,
    picture: &Picture,
    blake3: blake3::Hash,
) -> Result<Vec<u8>, String> {
    let max_bytes = DecodeLimits::default().max_file_bytes();
    let bytes = match pictures.read_up_to(picture, max_bytes) {
        Ok(bytes) => bytes,
        // Alone, or with its folder.
        Err(ReadError::Read(error) | ReadError::OutOfReach(error))
            if error.kind() == ErrorKind::NotFound =>
        {
            return Err("not there any more".to_owned());
        }
        Err(error) => return Err(error.to_string()),
    };
    if blake3::hash(&bytes) != blake3 {
        return Err("changed since its code was taken".to_owned());
    }
    Ok(bytes)
}

/// The picture with its longer side at most `longest` pixels.
fn reduced(picture: &RgbImage, longest: u32) -> RgbImage {
    let (width, height) = picture.dimensions();
    let scale = (f64::from(longest) / f64::from(width.max(height))).min(1.0);
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    let resize = Resize {
        width: side(width),
        height: side(height),
        fit: Fit::Stretch,
        filter: Filter::Lanczos,
        decoding: Decoding::Full,
    };
    resize.apply(picture)
}

/// The picture for a page, at most 160 pixels wide and high.
pub fn inline(picture: &RgbImage) -> Inline {
    let small = reduced(picture, SIDE);
    let size = small.dimensions();
    let mut jpeg = Vec::new();
    for quality in QUALITIES {
        jpeg.clear();
        JpegEncoder::new_with_quality(&mut jpeg, quality)
            .encode_image(&small)
            .expect("memory takes any thumbnail");
        if jpeg.len() <= MAX_BYTES {
            break;
        }
    }
    let uri = format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(&jpeg));
    Inline { uri, size }
}
