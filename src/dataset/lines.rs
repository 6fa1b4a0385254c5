//! Readers of text that do not trust it: endless lines are refused before they fill memory.

use std::io::{self, Read};

/// The longest line of a table or a list; a path has 4 KiB at most on Linux.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// Passes bytes on until too many come without one of `separators`.
#[derive(Debug)]
pub(super) struct BoundedLines<R> {
    inner: R,
    separators: &'static [u8],
    /// Lines ended so far.
    n_lines: u64,
    /// Bytes of the line in hand.
    n_bytes: usize,
}

impl<R: Read> BoundedLines<R> {
    pub(super) fn new(inner: R, separators: &'static [u8]) -> Self {
        Self {
            inner,
            separators,
            n_lines: 0,
            n_bytes: 0,
        }
    }

    fn too_long(&self) -> io::Error {
        let line = self.n_lines + 1;
        let limit = MAX_LINE_BYTES >> 10;
        let message = format!("line {line} is longer than {limit} KiB, and no path is");
        io::Error::new(io::ErrorKind::InvalidData, message)
    }
}

impl<R: Read> Read for BoundedLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        for byte in &buffer[..n] {
            if self.separators.contains(byte) {
                self.n_lines += 1;
                self.n_bytes = 0;
                continue;
            }
            self.n_bytes += 1;
            if self.n_bytes > MAX_LINE_BYTES {
                return Err(self.too_long());
            }
        }
        Ok(n)
    }
}

/// Turns every `\r\n` and `\r` into `\n`.
///
/// Why not leave that to the csv crate? It splits such lines, but miscounts them.
#[derive(Debug)]
pub(super) struct UniversalNewlines<R> {
    inner: R,
    after_return: bool,
}

impl<R: Read> UniversalNewlines<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            after_return: false,
        }
    }

    /// Converts `bytes` in place; returns how many are left.
    fn convert(&mut self, bytes: &mut [u8]) -> usize {
        let mut kept = 0;
        for i in 0..bytes.len() {
            let byte = bytes[i];
            let ends_return = self.after_return && byte == b'\n';
            self.after_return = byte == b'\r';
            if !ends_return {
                bytes[kept] = if byte == b'\r' { b'\n' } else { byte };
                kept += 1;
            }
        }
        kept
    }
}

impl<R: Read> Read for UniversalNewlines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.inner.read(buffer)?;
            let kept = self.convert(&mut buffer[..n]);
            // Nothing kept of something read is not the end.
            if kept > 0 || n == 0 {
                return Ok(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, so that every pair is cut.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = buffer.len().min(1);
            self.0.read(&mut buffer[..n])
        }
    }

    #[test]
    fn line_ends_of_every_kind_become_one() {
        let text = b"a\r\nb\rc\n\r\n\r\rd\n\n";
        let expected = "a\nb\nc\n\n\n\nd\n\n";
        let mut whole = String::new();
        let mut reader = UniversalNewlines::new(&text[..]);
        reader.read_to_string(&mut whole).unwrap();
        assert_eq!(whole, expected);
        let mut trickled = String::new();
        let mut reader = UniversalNewlines::new(Trickle(text));
        reader.read_to_string(&mut trickled).unwrap();
        assert_eq!(trickled, expected);
    }

    #[test]
    fn an_endless_line_is_refused_by_its_number() {
        let text = [b"a\n".as_slice(), &[b'x'; MAX_LINE_BYTES], b"\n"].concat();
        let read = |text: &[u8]| BoundedLines::new(text, b"\n").read_to_end(&mut Vec::new());
        assert_eq!(read(&text).unwrap(), text.len());
        let endless = io::Read::chain(&b"a\n"[..], io::repeat(b'x'));
        let refused = BoundedLines::new(endless, b"\n").read_to_end(&mut Vec::new());
        assert_eq!(
            refused.unwrap_err().to_string(),
            "line 2 is longer than 64 KiB, and no path is"
        );
    }
}
