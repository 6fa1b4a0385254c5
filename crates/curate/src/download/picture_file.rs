//! A downloaded and decoded picture, and the file name derived from its bytes.

use cnn_codes::dataset::EXTENSIONS;
use serde::{Deserialize, Serialize};

/// A decoded picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PictureFile {
    /// BLAKE3 of the file, as 64 hexadecimal digits.
    pub(super) blake3: String,
    /// Length of the file in bytes.
    pub(super) bytes: u64,
    /// Width of the upright picture in pixels.
    pub(super) width: u32,
    /// Height of the upright picture in pixels.
    pub(super) height: u32,
    /// The extension of the format, one of [`EXTENSIONS`].
    pub(super) extension: String,
}

impl PictureFile {
    /// The name of the file, which depends only on its contents.
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.blake3, self.extension)
    }

    /// Whether the fields form a valid file name.
    pub(super) fn is_sound(&self) -> bool {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_hash = self.blake3.len() == 64 && self.blake3.bytes().all(is_hex);
        is_hash && EXTENSIONS.contains(&self.extension.as_str())
    }
}
