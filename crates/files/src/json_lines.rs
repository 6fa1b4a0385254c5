//! A file of JSON documents, one in each line, that grows: a journal.
//!
//! A kill or a power failure may leave half a line at the end. Whoever opens the file to append cuts
//! that off first, so that no line is ever glued to a torn one.

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
    /// What the system answers.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::create_new(path)?;
        Ok(Self { file })
    }

    /// Opens the file as it is; nothing if there is none. Before anything is appended,
    /// [`JsonLines::cut`] is to be called.
    ///
    /// # Errors
    /// What the system answers; a link or a pipe is refused.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        match open_itself(path, File::options().read(true).write(true)) {
            Ok(file) => Ok(Some(Self { file })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the file behind its last whole line, and cuts off what comes after that. Creates it where
    /// there is none.
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

    /// The whole lines, from where the file stands: of a file that was just opened, all.
    pub fn whole(&self) -> WholeLines<BufReader<&File>> {
        WholeLines::new(BufReader::new(&self.file))
    }

    /// Cuts the file off after `n_bytes`, and stands at its end.
    ///
    /// # Errors
    /// What the system answers.
    pub fn cut(&mut self, n_bytes: u64) -> io::Result<()> {
        self.file.set_len(n_bytes)?;
        self.file.seek(SeekFrom::Start(n_bytes))?;
        Ok(())
    }

    /// Appends a line, which outlives this process, and a power failure once it is synced.
    ///
    /// # Errors
    /// What the system answers; half a line may then be in the file.
    ///
    /// # Panics
    /// If `entry` cannot be JSON, as a map whose keys are no strings.
    pub fn append(&mut self, entry: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry).expect("an entry is plain data");
        line.push(b'\n');
        self.file.write_all(&line)
    }

    /// Brings all lines to the disk.
    ///
    /// # Errors
    /// What the system answers.
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
    /// Reads from where `reader` stands.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            line: Vec::new(),
            n_bytes: 0,
        }
    }

    /// The next line, with its end; nothing behind the last whole one.
    ///
    /// # Errors
    /// What the reader answers.
    pub fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        self.reader.read_until(b'\n', &mut self.line)?;
        if self.line.last() != Some(&b'\n') {
            return Ok(None);
        }
        self.n_bytes += self.line.len() as u64;
        Ok(Some(&self.line))
    }

    /// Bytes of the lines that were read so far.
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
