//! The .npy reader: lengths never overflow, and what is read is what the writer writes.

#![no_main]

use std::fs::File;
use std::io::{Seek, Write};

use cnn_codes_files::npy::{NpyError, NpyHeader, NpyWriter};
use libfuzzer_sys::fuzz_target;

/// Writing a header back costs a file; it holds up to this many bytes of data.
const MAX_WRITTEN_BYTES: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    let Ok(header) = NpyHeader::parse(&mut &bytes[..]) else {
        return;
    };
    assert!(header.data_offset <= bytes.len());
    check_length(&header, bytes);
    write_back(&header);
});

/// The length in the header, counted without a limit, against what `NpyHeader::read` makes of it.
fn check_length(header: &NpyHeader, bytes: &[u8]) {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("room for it");
    file.rewind().expect("a file");
    let axes = header.shape.iter().map(|&axis| axis as u128);
    let data_bytes = axes.fold(header.dtype.size() as u128, u128::saturating_mul);
    let expected = data_bytes.saturating_add(header.data_offset as u128);
    match NpyHeader::read(&mut file) {
        Ok(read) => {
            assert_eq!(&read, header);
            assert_eq!(expected, bytes.len() as u128);
        }
        Err(NpyError::Length { .. }) => assert_ne!(expected, bytes.len() as u128),
        // An axis of 0 makes no file of the others, which are counted all the same.
        Err(error) => {
            let others = header.shape.iter().filter(|&&axis| axis > 0);
            let counted = others.fold(header.dtype.size() as u128, |bytes, &axis| {
                bytes.saturating_mul(axis as u128)
            });
            assert!(
                counted.saturating_add(expected) > u128::from(u64::MAX),
                "{error}"
            );
        }
    }
}

/// A header of ours for the same rows, which must say the same.
fn write_back(header: &NpyHeader) {
    let Some((&rows, row_shape)) = header.shape.split_first() else {
        return;
    };
    let mut axes = row_shape.iter();
    let row_bytes = axes.try_fold(header.dtype.size(), |bytes, &axis| bytes.checked_mul(axis));
    let data_bytes = row_bytes.and_then(|bytes| bytes.checked_mul(rows));
    let (Some(1..), Some(data_bytes @ ..=MAX_WRITTEN_BYTES)) = (row_bytes, data_bytes) else {
        return;
    };
    let place = tempfile::tempdir().expect("a temporary directory");
    let path = place.path().join("a.npy");
    let mut writer = match NpyWriter::create(&path, header.dtype, row_shape) {
        Ok(writer) => writer,
        // The writer's header has a fixed size.
        Err(error) => return assert!(row_shape.len() > 3, "{error}"),
    };
    writer.append(&vec![0; data_bytes]).expect("room for it");
    assert_eq!(writer.finish().expect("room for it"), rows);
    let mut file = File::open(&path).expect("it was written");
    let written = NpyHeader::read(&mut file).expect("it is whole");
    assert_eq!(
        (written.dtype, &written.shape),
        (header.dtype, &header.shape)
    );
}
