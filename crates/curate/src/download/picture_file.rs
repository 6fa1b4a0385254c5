//! A picture that was downloaded and decoded, and the name that its bytes give it.

use cnn_codes::dataset::EXTENSIONS;
use serde::{Deserialize, Serialize};

/// A picture that was decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PictureFile {
    /// BLAKE3 of the file, in 64 hexadecimal digits.
    pub(super) blake3: String,
    /// Length of the file.
    pub(super) bytes: u64,
    /// Pixels, upright.
    pub(super) width: u32,
    /// Pixels, upright.
    pub(super) height: u32,
    /// The ending that goes with the format, one of [`EXTENSIONS`].
    pub(super) extension: String,
}

impl PictureFile {
    /// The name of the file, which its contents alone decide.
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.blake3, self.extension)
    }

    /// Whether the name can be trusted to be a name.
    pub(super) fn is_sound(&self) -> bool {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_hash = self.blake3.len() == 64 && self.blake3.bytes().all(is_hex);
        is_hash && EXTENSIONS.contains(&self.extension.as_str())
    }
}
