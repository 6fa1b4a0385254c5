//! Why a file could not become a picture.

use crate::messages::one_line;

/// Why a file could not become a picture.
///
/// Every message is one line of plain English without the file's name, and fits into a table cell.
/// Programs can use [`DecodeError::kind`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The file is empty.
    #[error("the file is empty")]
    Empty,
    /// The first bytes belong to no known picture format.
    #[error("this is not a picture (JPEG, PNG, GIF, BMP, TIFF and WebP are read)")]
    UnknownFormat,
    /// The first bytes are those of a web page, which a dead link often leaves behind.
    #[error("this is a web page, not a picture")]
    WebPage,
    /// The data ends early or contradicts itself.
    #[error("the {format} data is damaged or cut short: {reason}")]
    Damaged {
        /// The format that the first bytes announce.
        format: &'static str,
        /// The decoder's own message.
        reason: String,
    },
    /// More pixels than [`DecodeLimits::max_pixels`](super::DecodeLimits::max_pixels). This is
    /// found in the header, before memory is taken.
    #[error("{width} x {height} pixels are too many: up to {max_pixels} are read")]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The largest number of pixels that is read.
        max_pixels: u64,
    },
    /// A side is longer than [`MAX_SIDE`](super::MAX_SIDE).
    #[error("a side of {} pixels is too long: up to {max_side} are read", width.max(height))]
    SideTooLong {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The longest side that is read.
        max_side: u32,
    },
    /// Decoding would take more than `DecodeLimits::max_bytes`.
    #[error(
        "decoding this {format} would take {} MB of memory: up to {} MB are taken, 8 bytes for \
         each of {max_pixels} pixels",
        n_bytes.div_ceil(1_000_000),
        max_bytes / 1_000_000
    )]
    TooMuchMemory {
        /// The format that the first bytes announce.
        format: &'static str,
        /// The memory that decoding would take, in bytes.
        n_bytes: u64,
        /// The most memory that decoding may take, in bytes.
        max_bytes: u64,
        /// The largest number of pixels for pictures that take less memory per pixel.
        max_pixels: u64,
    },
    /// The decoder would take more memory than such a picture should need.
    #[error("decoding this {format} would take too much memory for its size")]
    BeyondDecoder {
        /// The format that the first bytes announce.
        format: &'static str,
    },
    /// The file may be sound, but its format or one of its features is not supported.
    #[error("{format} of this kind is not supported: {reason}")]
    Unsupported {
        /// The format that the first bytes announce.
        format: &'static str,
        /// The missing feature.
        reason: String,
    },
}

impl DecodeError {
    /// Every word that [`DecodeError::kind`] may return.
    pub const KINDS: &'static [&'static str] = &[
        "empty",
        "unknown_format",
        "web_page",
        "damaged",
        "too_large",
        "unsupported",
    ];

    /// The kind of failure, in one stable word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::UnknownFormat => "unknown_format",
            Self::WebPage => "web_page",
            Self::Damaged { .. } => "damaged",
            Self::TooLarge { .. }
            | Self::SideTooLong { .. }
            | Self::TooMuchMemory { .. }
            | Self::BeyondDecoder { .. } => "too_large",
            Self::Unsupported { .. } => "unsupported",
        }
    }

    pub(super) fn damaged(format: &'static str, reason: impl ToString) -> Self {
        let reason = one_line(&reason.to_string());
        Self::Damaged { format, reason }
    }

    pub(super) fn unsupported(format: &'static str, reason: impl ToString) -> Self {
        let reason = one_line(&reason.to_string());
        Self::Unsupported { format, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoders_message_becomes_one_short_line() {
        let error = DecodeError::damaged("PNG", format!("bad\n\tchunk \0{}", "x".repeat(999)));
        let message = error.to_string();
        assert!(message.starts_with("the PNG data is damaged or cut short: bad chunk xxx"));
        assert!(message.len() < 260 && !message.contains(char::is_control));
    }
}
