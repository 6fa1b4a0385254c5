//! How large a picture may be.

use super::{DecodeError, LARGE_FILE_BYTES};

/// The default for the most pixels of a picture. A process that decoded such pictures, and ran
/// VGG16 on 2 threads, stayed below a gigabyte (measured with PNGs and JPEGs).
pub const DEFAULT_MAX_PIXELS: u64 = 50_000_000;

/// The longest side that a picture may have: the maximum in JPEG and GIF. A PNG a million pixels
/// wide and one high would cost the resampler more memory than its pixels do.
pub const MAX_SIDE: u32 = 65_535;

/// Bytes of memory per pixel of the largest picture. This is enough for a JPEG that is not
/// progressive (6 bytes per pixel, with inks 8), and for 8 bits with transparency (7). Pictures
/// that take more per pixel may have fewer pixels.
const BYTES_PER_PIXEL: u64 = 8;

/// Limits on the size of a picture. Pictures beyond them are refused before their pixels are
/// decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// The most pixels that a picture may have.
    pub max_pixels: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            max_pixels: DEFAULT_MAX_PIXELS,
        }
    }
}

impl DecodeLimits {
    /// The most memory in bytes that decoding a picture may take: 8 for each of
    /// [`DecodeLimits::max_pixels`].
    #[must_use]
    pub(crate) fn max_bytes(self) -> u64 {
        self.max_pixels.saturating_mul(BYTES_PER_PIXEL)
    }

    /// The largest file in bytes that is read for decoding: as much as decoding may take, and at
    /// least 64 MiB. A larger file is refused by its length.
    #[must_use]
    pub fn max_file_bytes(self) -> u64 {
        self.max_bytes().max(LARGE_FILE_BYTES)
    }

    /// Refuses a picture of too many pixels, or with a side of more than [`MAX_SIDE`].
    pub(super) fn check_size(self, width: u32, height: u32) -> Result<(), DecodeError> {
        let n_pixels = u64::from(width) * u64::from(height);
        if width.max(height) > MAX_SIDE {
            return Err(DecodeError::SideTooLong {
                width,
                height,
                max_side: MAX_SIDE,
            });
        }
        if n_pixels > self.max_pixels {
            return Err(DecodeError::TooLarge {
                width,
                height,
                max_pixels: self.max_pixels,
            });
        }
        Ok(())
    }

    /// Refuses a picture if decoding would take `n_bytes` of memory and that is too much. A large
    /// file, which is in memory too, counts as well.
    pub(super) fn check_memory(
        self,
        format: &'static str,
        n_bytes: u64,
        file_len: usize,
    ) -> Result<(), DecodeError> {
        let file_bytes = (file_len as u64).saturating_sub(LARGE_FILE_BYTES);
        let n_bytes = n_bytes.saturating_add(file_bytes);
        if n_bytes > self.max_bytes() {
            return Err(DecodeError::TooMuchMemory {
                format,
                n_bytes,
                max_bytes: self.max_bytes(),
                max_pixels: self.max_pixels,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_capped_by_area_and_by_side() {
        let limits = DecodeLimits {
            max_pixels: 100_000,
        };
        assert_eq!(limits.check_size(1000, 100), Ok(()));
        assert_eq!(limits.check_size(MAX_SIDE, 1), Ok(()));
        let kind = |width, height| limits.check_size(width, height).unwrap_err();
        let too_large = kind(1001, 100);
        assert!(matches!(too_large, DecodeError::TooLarge { .. }));
        let said = too_large.to_string();
        assert!(said.contains("100000"), "{said}");
        for (width, height) in [(65_536, 1), (1, u32::MAX), (u32::MAX, u32::MAX)] {
            let too_long = DecodeError::SideTooLong {
                width,
                height,
                max_side: 65_535,
            };
            assert_eq!(kind(width, height), too_long);
        }
    }

    #[test]
    fn a_file_may_take_what_decoding_may_and_64_mib_at_least() {
        let limit = |max_pixels| DecodeLimits { max_pixels }.max_file_bytes();
        assert_eq!(limit(DEFAULT_MAX_PIXELS), 400_000_000);
        assert_eq!(limit(64), 1 << 26);
        assert_eq!(limit(u64::MAX), u64::MAX);
    }

    #[test]
    fn memory_is_capped_by_eight_bytes_for_each_pixel() {
        let limits = DecodeLimits { max_pixels: 1000 };
        assert_eq!(limits.check_memory("PNG", 8000, 1 << 26), Ok(()));
        let refused =
            |n_bytes, file_len| limits.check_memory("PNG", n_bytes, file_len).unwrap_err();
        let said = refused(8001, 0).to_string();
        assert_eq!(refused(8000, (1 << 26) + 1).to_string(), said);
        assert!(said.contains("for each of 1000 pixels"), "{said}");
        let all = DecodeLimits {
            max_pixels: u64::MAX,
        };
        assert_eq!(all.check_memory("PNG", u64::MAX, 1), Ok(()));
    }
}
