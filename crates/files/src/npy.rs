//! NumPy's .npy files: an incremental writer and a header reader.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. The writer
//! reserves 128 bytes for the header, so that the number of rows can be filled in at the end and
//! the data begin at a 64-byte boundary, as NumPy requires for mapping.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::open_itself;

/// Bytes that the writer reserves for magic, version, length and header text.
const HEADER_BYTES: usize = 128;
/// The most bytes of its text: excluding the magic number, version, length, and newline.
const MAX_TEXT_BYTES: usize = HEADER_BYTES - 11;
const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// No header of ours or NumPy's comes near this; a longer one means damage or an attack.
const MAX_HEADER_BYTES: usize = 65_536;

/// Element types of .npy files that are read and written here, little-endian on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// IEEE half precision, `<f2`.
    F16,
    /// IEEE single precision, `<f4`.
    F32,
    /// Signed 64-bit integers, `<i8`.
    I64,
}

impl ElementType {
    /// Bytes of one element.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
            Self::I64 => 8,
        }
    }

    const fn descr(self) -> &'static str {
        match self {
            Self::F16 => "<f2",
            Self::F32 => "<f4",
            Self::I64 => "<i8",
        }
    }

    fn from_descr(descr: &str) -> Option<Self> {
        [Self::F16, Self::F32, Self::I64]
            .into_iter()
            .find(|dtype| dtype.descr() == descr)
    }
}

impl std::fmt::Display for ElementType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
            Self::I64 => "i64",
        })
    }
}

/// Why a file is not a .npy array that can be read here.
#[derive(Debug, thiserror::Error)]
pub enum NpyError {
    /// The file could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file does not begin like a .npy file.
    #[error("this is not a .npy file (its first bytes are not \\x93NUMPY)")]
    NotNpy,
    /// The header is damaged, or of a kind that stores do not use.
    #[error("the .npy header cannot be used: {reason}")]
    Header {
        /// What is wrong.
        reason: String,
    },
    /// The data are shorter or longer than the header states.
    #[error("{actual} bytes where the header {shape:?} means {expected}: the file is {}", if actual < expected { "cut short" } else { "too long" })]
    Length {
        /// Shape that the header states.
        shape: Vec<usize>,
        /// Bytes that the whole file should have.
        expected: u64,
        /// Actual bytes.
        actual: u64,
    },
}

/// The contents of a .npy file's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NpyHeader {
    /// Element type.
    pub dtype: ElementType,
    /// Shape; the last axis varies fastest (C order).
    pub shape: Vec<usize>,
    /// Where the data begin, in bytes from the start of the file.
    pub data_offset: usize,
}

impl NpyHeader {
    /// Reads and checks the header of `file`, and the file's length against it.
    ///
    /// # Errors
    /// [`NpyError`] if this is not a complete C-order array of f16, f32 or i64.
    pub fn read(file: &mut File) -> Result<Self, NpyError> {
        file.seek(SeekFrom::Start(0))?;
        let actual = file.metadata()?.len();
        let header = Self::parse(file)?;
        let expected = header
            .data_bytes()
            .and_then(|bytes| bytes.checked_add(header.data_offset as u64))
            .ok_or_else(|| header_error("its shape is larger than any file"))?;
        if actual == expected {
            Ok(header)
        } else {
            Err(NpyError::Length {
                shape: header.shape,
                expected,
                actual,
            })
        }
    }

    /// Parses a header from the start of a stream, leaving the stream at the first element.
    ///
    /// # Errors
    /// [`NpyError::NotNpy`] or [`NpyError::Header`].
    pub fn parse(stream: &mut impl Read) -> Result<Self, NpyError> {
        let mut start = [0; 8];
        read_exact(stream, &mut start)?;
        if &start[..6] != MAGIC {
            return Err(NpyError::NotNpy);
        }
        let length_bytes = match start[6] {
            1 => 2,
            2 | 3 => 4,
            version => return Err(header_error(format!("unknown version {version}"))),
        };
        let mut length = [0; 4];
        read_exact(stream, &mut length[..length_bytes])?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_HEADER_BYTES {
            return Err(header_error(format!("{length} bytes long")));
        }
        let mut text = vec![0; length];
        read_exact(stream, &mut text)?;
        let text = std::str::from_utf8(&text).map_err(|_| header_error("it is not text"))?;
        let (dtype, shape) = parse_dictionary(text)?;
        Ok(Self {
            dtype,
            shape,
            data_offset: 8 + length_bytes + length,
        })
    }

    fn data_bytes(&self) -> Option<u64> {
        self.shape
            .iter()
            .try_fold(self.dtype.size() as u64, |bytes, &axis| {
                bytes.checked_mul(axis as u64)
            })
    }
}

/// A .npy file written row by row; the number of rows is filled in at the end.
#[derive(Debug)]
pub struct NpyWriter {
    file: File,
    dtype: ElementType,
    row_shape: Vec<usize>,
    rows: usize,
}

impl NpyWriter {
    /// Creates the file, which must not exist, for rows of `row_shape`.
    ///
    /// # Errors
    /// `InvalidInput` for rows with too many axes for the header, about ten; otherwise the file
    /// system's error.
    pub fn create(path: &Path, dtype: ElementType, row_shape: &[usize]) -> io::Result<Self> {
        check_header(dtype, row_shape)?;
        // Readable too, for `copy_row`.
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create_new(true);
        let mut file = options.open(path)?;
        // Not yet a header: until `finish`, readers do not take this for an array.
        file.write_all(&[0; HEADER_BYTES])?;
        Ok(Self {
            file,
            dtype,
            row_shape: row_shape.to_vec(),
            rows: 0,
        })
    }

    /// Opens a file made by [`NpyWriter::create`], to append after its first `rows` rows.
    ///
    /// Anything after them is cut off, and the header is reset.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file has fewer rows; else as [`NpyWriter::create`].
    pub fn reopen(
        path: &Path,
        dtype: ElementType,
        row_shape: &[usize],
        rows: usize,
    ) -> io::Result<Self> {
        check_header(dtype, row_shape)?;
        let mut writer = Self {
            file: open_itself(path, File::options().read(true).write(true))?,
            dtype,
            row_shape: row_shape.to_vec(),
            rows,
        };
        let end = writer.row_offset(rows);
        let actual = writer.file.metadata()?.len();
        if actual < end {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("it has {actual} bytes, and {rows} rows take {end}"),
            ));
        }
        writer.file.set_len(end)?;
        writer.file.write_all(&[0; HEADER_BYTES])?;
        writer.file.seek(SeekFrom::Start(end))?;
        Ok(writer)
    }

    /// Bytes of one row.
    #[must_use]
    pub fn row_bytes(&self) -> usize {
        self.dtype.size() * self.row_shape.iter().product::<usize>()
    }

    /// Rows written so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Where a row begins, in bytes from the start of the file.
    fn row_offset(&self, row: usize) -> u64 {
        HEADER_BYTES as u64 + row as u64 * self.row_bytes() as u64
    }

    /// Appends whole rows, given as little-endian bytes.
    ///
    /// # Errors
    /// The file system's error.
    ///
    /// # Panics
    /// If `bytes` is not a whole number of rows.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        assert!(bytes.len().is_multiple_of(self.row_bytes()), "whole rows");
        self.file.write_all(bytes)?;
        self.rows += bytes.len() / self.row_bytes();
        Ok(())
    }

    /// Appends the bytes of an earlier row to `bytes`.
    ///
    /// # Errors
    /// The file system's error.
    ///
    /// # Panics
    /// If the row does not exist yet.
    pub fn copy_row(&mut self, row: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let start = bytes.len();
        bytes.resize(start + self.row_bytes(), 0);
        self.file.seek(SeekFrom::Start(self.row_offset(row)))?;
        self.file.read_exact(&mut bytes[start..])?;
        self.file
            .seek(SeekFrom::Start(self.row_offset(self.rows)))?;
        Ok(())
    }

    /// Syncs all rows to the disk.
    ///
    /// # Errors
    /// The file system's error.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Writes the header, syncs the file and returns the number of rows.
    ///
    /// # Errors
    /// The file system's error.
    pub fn finish(mut self) -> io::Result<usize> {
        let mut shape = vec![self.rows];
        shape.extend(&self.row_shape);
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header_bytes(self.dtype, &shape))?;
        self.file.sync_all()?;
        Ok(self.rows)
    }
}

/// Refuses rows with so many axes that they do not fit into the header.
fn check_header(dtype: ElementType, row_shape: &[usize]) -> io::Result<()> {
    let mut shape = vec![usize::MAX];
    shape.extend(row_shape);
    if header_text(dtype, &shape).len() <= MAX_TEXT_BYTES {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!(
            "codes of shape {row_shape:?} have more axes than its header of {HEADER_BYTES} bytes \
             holds; take an output of fewer axes"
        ),
    ))
}

/// The Python dictionary of a header.
fn header_text(dtype: ElementType, shape: &[usize]) -> String {
    let axes: Vec<_> = shape.iter().map(ToString::to_string).collect();
    // Python requires a comma in a tuple of one element.
    let comma = if axes.len() == 1 { "," } else { "" };
    format!(
        "{{'descr': '{}', 'fortran_order': False, 'shape': ({}{comma}), }}",
        dtype.descr(),
        axes.join(", ")
    )
}

/// The first 128 bytes of a version 1.0 file: text padded with spaces, closed by a newline.
fn header_bytes(dtype: ElementType, shape: &[usize]) -> [u8; HEADER_BYTES] {
    let text = header_text(dtype, shape);
    let mut bytes = [b' '; HEADER_BYTES];
    bytes[..6].copy_from_slice(MAGIC);
    bytes[6..8].copy_from_slice(&[1, 0]);
    let length = u16::try_from(HEADER_BYTES - 10).expect("118 fits");
    bytes[8..10].copy_from_slice(&length.to_le_bytes());
    bytes[10..10 + text.len()].copy_from_slice(text.as_bytes());
    bytes[HEADER_BYTES - 1] = b'\n';
    bytes
}

/// Parses the Python dictionary literal that NumPy writes, in any order of its three keys.
fn parse_dictionary(text: &str) -> Result<(ElementType, Vec<usize>), NpyError> {
    let descr = value_of(text, "descr")?;
    let descr = descr
        .strip_prefix(['\'', '"'])
        .and_then(|rest| rest.split(['\'', '"']).next())
        .ok_or_else(|| header_error("'descr' is no simple type"))?;
    let dtype = ElementType::from_descr(descr)
        .ok_or_else(|| header_error(format!("type '{descr}' is none of <f2, <f4, <i8")))?;
    if !value_of(text, "fortran_order")?.starts_with("False") {
        return Err(header_error("the array is in Fortran order, not C order"));
    }
    let shape = value_of(text, "shape")?
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'))
        .ok_or_else(|| header_error("'shape' is no tuple"))?
        .0;
    let shape = shape
        .split(',')
        .map(str::trim)
        .filter(|axis| !axis.is_empty())
        .map(|axis| {
            axis.parse()
                .map_err(|_| header_error(format!("axis '{axis}'")))
        })
        .collect::<Result<_, _>>()?;
    Ok((dtype, shape))
}

/// The text that follows `'key':`.
fn value_of<'t>(text: &'t str, key: &str) -> Result<&'t str, NpyError> {
    [format!("'{key}'"), format!("\"{key}\"")]
        .iter()
        .find_map(|quoted| text.split_once(quoted.as_str()))
        .and_then(|(_, rest)| rest.trim_start().strip_prefix(':'))
        .map(str::trim_start)
        .ok_or_else(|| header_error(format!("it has no '{key}'")))
}

fn read_exact(stream: &mut impl Read, buffer: &mut [u8]) -> Result<(), NpyError> {
    stream
        .read_exact(buffer)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => header_error("the file ends inside it"),
            _ => NpyError::Io(error),
        })
}

fn header_error(reason: impl Into<String>) -> NpyError {
    NpyError::Header {
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_header_is_what_numpy_writes() {
        // np.save of np.zeros((600, 7, 7, 512), '<f4') with NumPy 2, byte for byte.
        let mut expected = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, \
            'shape': (600, 7, 7, 512), }"
            .to_vec();
        expected.resize(127, b' ');
        expected.push(b'\n');
        assert_eq!(
            header_bytes(ElementType::F32, &[600, 7, 7, 512])[..],
            expected
        );
    }

    #[test]
    fn a_file_cut_short_says_so() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.npy");
        let mut writer = NpyWriter::create(&path, ElementType::F32, &[2]).unwrap();
        writer.append(&[0; 24]).unwrap();
        assert_eq!(writer.finish().unwrap(), 3);
        let header = NpyHeader::read(&mut File::open(&path).unwrap()).unwrap();
        assert_eq!((header.shape, header.data_offset), (vec![3, 2], 128));
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(128 + 23).unwrap();
        let error = NpyHeader::read(&mut File::open(&path).unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "151 bytes where the header [3, 2] means 152: the file is cut short"
        );
    }

    /// Found by fuzzing: seeds/npy/many_axes.
    #[test]
    fn more_axes_than_the_header_holds_are_refused_before_a_file_is_made() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.npy");
        let error = NpyWriter::create(&path, ElementType::F16, &[7; 26]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(!path.exists());
        // 42 bytes are left beside the longest number of rows: 14 axes of one digit.
        let most = NpyWriter::create(&path, ElementType::F16, &[1; 14]).unwrap();
        most.finish().unwrap();
        let read = NpyHeader::read(&mut File::open(&path).unwrap()).unwrap();
        assert_eq!(read.shape.len(), 15);
        NpyWriter::create(&path, ElementType::F16, &[1; 15]).unwrap_err();
    }

    #[test]
    fn an_unfinished_file_is_no_array() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.npy");
        let mut writer = NpyWriter::create(&path, ElementType::F32, &[2]).unwrap();
        writer.append(&[0; 8]).unwrap();
        let error = NpyHeader::read(&mut File::open(&path).unwrap()).unwrap_err();
        assert!(matches!(error, NpyError::NotNpy));
    }

    #[test]
    fn headers_that_a_store_does_not_use_are_refused() {
        let reason = |text: &str| parse_dictionary(text).unwrap_err().to_string();
        assert!(
            reason("{'descr': '>f4', 'fortran_order': False, 'shape': (3,), }").contains(">f4")
        );
        assert!(
            reason("{'descr': '<f4', 'fortran_order': True, 'shape': (3,), }").contains("Fortran")
        );
        assert!(reason("{'descr': '<f4', 'shape': (3,), }").contains("fortran_order"));
        assert!(
            reason("{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }").contains("-3")
        );
    }

    #[test]
    fn a_shape_beyond_any_file_is_an_error_and_no_overflow() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&header_bytes(ElementType::F32, &[usize::MAX, usize::MAX]))
            .unwrap();
        assert!(matches!(
            NpyHeader::read(&mut file),
            Err(NpyError::Header { .. })
        ));
    }

    proptest! {
        #[test]
        fn any_shape_comes_back(shape in prop::collection::vec(0usize..100_000, 1..5)) {
            let bytes = header_bytes(ElementType::I64, &shape);
            let header = NpyHeader::parse(&mut &bytes[..]).unwrap();
            prop_assert_eq!(header, NpyHeader { dtype: ElementType::I64, shape, data_offset: 128 });
        }

        #[test]
        fn no_bytes_make_the_parser_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = NpyHeader::parse(&mut &bytes[..]);
            let valid = header_bytes(ElementType::F32, &[3, 2]);
            for (slot, byte) in bytes.iter_mut().zip(valid).take(60) { *slot = byte; }
            let _ = NpyHeader::parse(&mut &bytes[..]);
        }
    }
}
