//! SHA-256 of files, as hexadecimal text.

use std::fmt::Write as _;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Hashes the rest of a reader.
///
/// # Errors
/// The reader's error.
pub fn of_reader(reader: &mut impl Read) -> io::Result<String> {
    let mut sha = Sha256::new();
    io::copy(reader, &mut sha)?;
    Ok(hex(&sha.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_the_standard_does() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_reader(&mut &b"abc"[..]).unwrap(), expected);
    }
}
