//! A growing file of JSON documents, one per line: a journal.
//!
//! A kill or a power failure may leave half a line at the end. To append, first cut it off, so that
//! no line is joined to an incomplete one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use serde::Serialize;

use super::open::open_itself;

/// An open file of JSON lines.
#[derive(Debug)]
pub struct JsonLines {
    file: File,
}

impl JsonLines {
    /// Creates the file, which must not exist.
    ///
    /// # Errors
    /// The system's error.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::create_new(path)?;
        Ok(Self { file })
    }

    /// Opens the file unchanged; `None` if it does not exist. Call [`JsonLines::cut`] before
    /// appending.
    ///
    /// # Errors
    /// The system's error; a link or a pipe is refused.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        match open_itself(path, File::options().read(true).write(true)) {
            Ok(file) => Ok(Some(Self { file })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the file after its last whole line, and cuts off the rest. Creates it if it does not
    /// exist.
    ///
    /// # Errors
    /// As [`JsonLines::open`].
    pub fn open_at_end(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut lines = Self {
            file: open_itself(path, options)?,
        };
        let mut whole = lines.whole();
        while whole.next_line()?.is_some() {}
        let end = whole.n_bytes();
        lines.cut(end)?;
        Ok(lines)
    }

    /// The whole lines from the current position; after opening, all of them.
    pub fn whole(&self) -> WholeLines<BufReader<&File>> {
        WholeLines::new(BufReader::new(&self.file))
    }

    /// Truncates the file to `n_bytes`, and seeks to its end.
    ///
    /// # Errors
    /// The system's error.
    pub fn cut(&mut self, n_bytes: u64) -> io::Result<()> {
        self.file.set_len(n_bytes)?;
        self.file.seek(SeekFrom::Start(n_bytes))?;
        Ok(())
    }

    /// Appends a line. It survives the end of this process, and a power failure once it is synced.
    ///
    /// # Errors
    /// The system's error; half a line may then be in the file.
    ///
    /// # Panics
    /// If `entry` cannot be JSON, for example a map whose keys are not strings.
    pub fn append(&mut self, entry: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry).expect("an entry is plain data");
        line.push(b'\n');
        self.file.write_all(&line)
    }

    /// Syncs all lines to the disk.
    ///
    /// # Errors
    /// The system's error.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Reads the whole lines at the start of a file of JSON lines.
#[derive(Debug)]
pub struct WholeLines<R> {
    reader: R,
    line: Vec<u8>,
    n_bytes: u64,
}

impl<R: BufRead> WholeLines<R> {
    /// Reads from the current position of `reader`.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            line: Vec::new(),
            n_bytes: 0,
        }
    }

    /// The next line, with its end; `None` after the last whole line.
    ///
    /// # Errors
    /// The reader's error.
    pub fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        self.reader.read_until(b'\n', &mut self.line)?;
        if self.line.last() != Some(&b'\n') {
            return Ok(None);
        }
        self.n_bytes += self.line.len() as u64;
        Ok(Some(&self.line))
    }

    /// Number of bytes in the lines read so far.
    #[must_use]
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_torn_line_is_cut_off_before_the_next_is_appended() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("journal.jsonl");
        let mut lines = JsonLines::create(&path).unwrap();
        lines.append(&1).unwrap();
        lines.append(&"two\n").unwrap();
        let whole = fs::read(&path).unwrap();
        assert_eq!(whole, b"1\n\"two\\n\"\n");
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let mut lines = JsonLines::open_at_end(&path).unwrap();
            lines.append(&3).unwrap();
            lines.sync().unwrap();
            let ends = whole[..length].iter().rposition(|&byte| byte == b'\n');
            let kept = &whole[..ends.map_or(0, |end| end + 1)];
            assert_eq!(fs::read(&path).unwrap(), [kept, b"3\n"].concat());
        }
    }

    #[test]
    fn whole_lines_are_read_with_their_bytes() {
        let mut lines = WholeLines::new(&b"1\n\n[2]\n{"[..]);
        let mut read = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            read.push(line.to_vec());
        }
        assert_eq!(read, [&b"1\n"[..], b"\n", b"[2]\n"]);
        assert_eq!(lines.n_bytes(), 7);
    }

    #[test]
    fn a_file_that_is_not_there_is_none() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("journal.jsonl");
        assert!(JsonLines::open(&path).unwrap().is_none());
        JsonLines::open_at_end(&path).unwrap();
        assert!(JsonLines::open(&path).unwrap().is_some());
    }
}
