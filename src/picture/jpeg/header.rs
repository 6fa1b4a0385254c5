//! A JPEG's segments before the compressed data, as far as the decoders do not report them.
//!
//! Markers are those of ITU-T T.81, table B.1.

use super::super::{DecodeError, DecodeLimits};

/// The format, in messages.
pub(super) const FORMAT: &str = "JPEG";

const START_OF_SCAN: u8 = 0xDA;
const END_OF_IMAGE: u8 = 0xD9;
const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP14: u8 = 0xEE;

/// Offset, in an Adobe segment, of the byte that names the colour transform.
const ADOBE_TRANSFORM: usize = 11;

/// The most scans of a picture. Encoders write about ten; a small file can have thousands, each of
/// which costs a pass over the picture. 500 is the limit of libjpeg-turbo's own fuzzers.
pub(super) const MAX_SCANS: u64 = 500;

/// How many times the scans may pass over the largest picture: a few seconds. Smaller pictures may
/// have more scans.
const MAX_PASSES: u64 = 32;

/// How the samples are coded.
#[derive(Clone, Copy, Default)]
enum Process {
    #[default]
    Sequential,
    Progressive,
    Lossless,
}

impl Process {
    fn of_frame(marker: u8) -> Self {
        match marker & 3 {
            2 => Self::Progressive,
            3 => Self::Lossless,
            _ => Self::Sequential,
        }
    }

    /// The most bytes that jpeg-decoder holds per sample; libjpeg-turbo holds fewer.
    fn bytes_per_sample(self) -> u64 {
        match self {
            Self::Sequential => 2,  // decoded, and interleaved
            Self::Progressive => 4, // and a 16-bit coefficient
            Self::Lossless => 6,    // a 32-bit difference and its 16-bit sum
        }
    }
}

/// The segments before the compressed data that matter here.
#[derive(Default)]
pub(super) struct Header<'a> {
    /// Bits per sample: 8, or 12 in some medical pictures.
    precision: u8,
    /// Height and width in pixels, as they are stored.
    pub(super) dimensions: (u16, u16),
    /// Colour channels: 1, 3 or 4.
    pub(super) channels: u8,
    process: Process,
    #[cfg_attr(feature = "turbojpeg", allow(dead_code))]
    is_jfif: bool,
    /// Adobe's colour transform: 0 (none), 1 (YCbCr) or 2 (YCCK).
    #[cfg_attr(feature = "turbojpeg", allow(dead_code))]
    adobe_transform: Option<u8>,
    /// The EXIF data, from its TIFF header on.
    pub(super) exif: Option<&'a [u8]>,
    /// All that follows the header of the first scan.
    compressed: &'a [u8],
}

impl<'a> Header<'a> {
    /// Reads the segments up to the first scan.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut header = Self::default();
        let mut at = 2; // after the start-of-image marker, by which the format was told
        while let Some((marker, body_at, body)) = next_segment(bytes, at) {
            header.take(marker, body);
            at = body_at + body.len();
            if marker == START_OF_SCAN {
                header.compressed = &bytes[at..];
                break;
            }
        }
        if header.channels == 0 {
            return Err(DecodeError::damaged(FORMAT, "the header is incomplete"));
        }
        Ok(header)
    }

    fn take(&mut self, marker: u8, body: &'a [u8]) {
        match marker {
            // SOF0 to SOF15, without DHT, JPG and DAC, whose codes lie between.
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) && body.len() >= 6 => {
                self.precision = body[0];
                let side = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
                self.dimensions = (side(1), side(3));
                self.channels = body[5];
                self.process = Process::of_frame(marker);
            }
            APP0 if body.starts_with(b"JFIF\0") => self.is_jfif = true,
            APP14 if body.starts_with(b"Adobe") => {
                self.adobe_transform = body.get(ADOBE_TRANSFORM).copied();
            }
            APP1 if self.exif.is_none() => self.exif = body.strip_prefix(b"Exif\0\0"),
            _ => {}
        }
    }

    /// Refuses kinds of JPEG that no decoder here reads, with a clearer message than the decoders'.
    pub(super) fn check_supported(&self) -> Result<(), DecodeError> {
        if self.precision != 8 {
            let reason = format!("it has {} bits per channel, not 8", self.precision);
            return Err(DecodeError::unsupported(FORMAT, reason));
        }
        if !matches!(self.channels, 1 | 3 | 4) {
            let reason = format!("it has {} colour channels", self.channels);
            return Err(DecodeError::unsupported(FORMAT, reason));
        }
        Ok(())
    }

    /// Refuses pictures that would take too much memory or time.
    pub(super) fn check_cost(&self, limits: DecodeLimits) -> Result<(), DecodeError> {
        limits.check_memory(FORMAT, self.decoding_bytes(), self.compressed.len())?;
        let n_scans = self.n_scans();
        let max_scanned = limits.max_pixels.saturating_mul(MAX_PASSES);
        if n_scans > MAX_SCANS || n_scans * self.n_pixels() > max_scanned {
            let reason = format!("it has {n_scans} scans, too many for its size");
            return Err(DecodeError::unsupported(FORMAT, reason));
        }
        Ok(())
    }

    fn n_pixels(&self) -> u64 {
        u64::from(self.dimensions.0) * u64::from(self.dimensions.1)
    }

    /// How many bytes of memory decoding takes.
    pub(super) fn decoding_bytes(&self) -> u64 {
        self.n_pixels() * u64::from(self.channels) * self.process.bytes_per_sample()
    }

    /// Whether an end-of-image marker follows the compressed data. Compressed data cannot hold
    /// one by chance.
    pub(super) fn has_end(&self) -> bool {
        let mut pairs = self.compressed.windows(2).rev();
        pairs.any(|pair| pair == [0xFF, END_OF_IMAGE])
    }

    /// How often the decoder passes over the picture.
    fn n_scans(&self) -> u64 {
        let mut n_scans = 1;
        let mut at = 0;
        while let Some((marker, body_at, body)) = next_segment(self.compressed, at) {
            n_scans += u64::from(marker == START_OF_SCAN);
            at = body_at + body.len();
        }
        n_scans
    }

    /// Whether Adobe's segment says that the three channels are plain RGB. libjpeg believes this
    /// segment before the channels' numbers, and JFIF before both.
    #[cfg(not(feature = "turbojpeg"))]
    pub(super) fn is_plain_rgb(&self) -> bool {
        self.channels == 3 && !self.is_jfif && self.adobe_transform == Some(0)
    }
}

/// The marker at or after `at`, where its body starts, and its body.
fn next_segment(bytes: &[u8], mut at: usize) -> Option<(u8, usize, &[u8])> {
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xFF)? + 1;
        match *bytes.get(at)? {
            0x00 | 0xFF => {}        // stuffing and filling
            0x01 | 0xD0..=0xD8 => {} // markers without a body
            END_OF_IMAGE => return None,
            marker => {
                let length = usize::from(u16::from_be_bytes([
                    *bytes.get(at + 1)?,
                    *bytes.get(at + 2)?,
                ]));
                let body = bytes.get(at + 3..at + 1 + length.max(2))?;
                return Some((marker, at + 3, body));
            }
        }
    }
}
