//! Readers of untrusted text: endless lines and lists are refused before they fill memory.

use std::io::{self, Read};

use csv::ByteRecord;

/// The longest line of a table or a list; on Linux a path has at most 4 KiB.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// The most lines of a table or a list. ImageNet's whole list has 14 million.
const MAX_LINES: u64 = 20_000_000;

/// The most bytes of a table or a list.
const MAX_BYTES: u64 = 2 << 30;

/// Passes bytes on until a line is too long (without one of `separators`), or there are too many
/// lines.
#[derive(Debug)]
pub struct BoundedLines<R> {
    inner: R,
    separators: &'static [u8],
    max_lines: u64,
    max_bytes: u64,
    /// Lines ended so far.
    n_lines: u64,
    /// Bytes so far.
    n_bytes: u64,
    /// Bytes of the current line.
    n_bytes_of_line: usize,
    /// Whether the last byte was a `\r` that ended a line: `\r\n` ends one line, not two.
    after_return: bool,
}

impl<R: Read> BoundedLines<R> {
    /// Reads fail for a line of more than 64 KiB, and beyond 20 million lines or 2 GiB in total.
    pub fn new(inner: R, separators: &'static [u8]) -> Self {
        Self {
            inner,
            separators,
            max_lines: MAX_LINES,
            max_bytes: MAX_BYTES,
            n_lines: 0,
            n_bytes: 0,
            n_bytes_of_line: 0,
            after_return: false,
        }
    }

    /// Counts a byte; an error beyond a limit.
    fn count(&mut self, byte: u8) -> io::Result<()> {
        self.n_bytes += 1;
        if self.n_bytes > self.max_bytes {
            return Err(refused(format!(
                "it is longer than {} MiB; split it",
                self.max_bytes >> 20
            )));
        }
        if !self.separators.contains(&byte) {
            self.after_return = false;
            self.n_bytes_of_line += 1;
            return if self.n_bytes_of_line > MAX_LINE_BYTES {
                Err(self.too_long())
            } else {
                Ok(())
            };
        }
        let ends_return = self.after_return && byte == b'\n';
        self.after_return = byte == b'\r';
        self.n_bytes_of_line = 0;
        self.n_lines += u64::from(!ends_return);
        if self.n_lines > self.max_lines {
            return Err(refused(format!(
                "it has more than {} lines; split it",
                self.max_lines
            )));
        }
        Ok(())
    }

    fn too_long(&self) -> io::Error {
        let line = self.n_lines + 1;
        let limit = MAX_LINE_BYTES >> 10;
        refused(format!(
            "line {line} is longer than {limit} KiB, and no path is"
        ))
    }
}

fn refused(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

impl<R: Read> Read for BoundedLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        buffer[..n].iter().try_for_each(|&byte| self.count(byte))?;
        Ok(n)
    }
}

/// Turns every `\r\n` and `\r` into `\n`.
///
/// Why not leave this to the csv crate? It splits such lines, but miscounts them.
#[derive(Debug)]
pub struct UniversalNewlines<R> {
    inner: R,
    after_return: bool,
}

impl<R: Read> UniversalNewlines<R> {
    /// Reads from `inner`.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            after_return: false,
        }
    }

    /// Converts `bytes` in place; returns how many remain.
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
            // An empty result after a nonempty read does not mean the end.
            if kept > 0 || n == 0 {
                return Ok(kept);
            }
        }
    }
}

/// The line on which the record just read begins; `after` is the reader's current position.
///
/// Why not `record.position()`? It is where the reader was before the record, which comes before
/// any empty lines. Every record ends with a line end from which lines can be counted back, except
/// one with an open quote. For that one, the position before it is still a bound.
pub fn line_of(record: &ByteRecord, after: &csv::Position) -> u64 {
    let line_ends = record.as_slice().iter().filter(|&&byte| byte == b'\n');
    let line = (after.line()).saturating_sub(line_ends.count() as u64 + 1);
    let before = record.position().map_or(1, csv::Position::line);
    line.max(before)
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

    #[test]
    fn an_endless_list_is_refused_by_its_lines_or_bytes() {
        let read = |text: &[u8], max_lines, max_bytes| {
            let mut reader = BoundedLines::new(text, b"\r\n");
            (reader.max_lines, reader.max_bytes) = (max_lines, max_bytes);
            let read = reader.read_to_end(&mut Vec::new());
            read.map_err(|error| error.to_string())
        };
        assert_eq!(read(b"a\r\n\nb\rc", 3, 7), Ok(7));
        let problem = "it has more than 2 lines; split it";
        assert_eq!(read(b"a\r\n\nb\rc", 2, 7).unwrap_err(), problem);
        let million = vec![b'\n'; (1 << 20) + 1];
        let problem = "it is longer than 1 MiB; split it";
        assert_eq!(read(&million, u64::MAX, 1 << 20).unwrap_err(), problem);
    }
}
