//! Stores: what NumPy reads of them, and what is refused.

mod support;

use std::fs;
use std::path::Path;

use cnn_codes::codes::{Dtype, Pool, Store, StoreError, StoreWriter};
use cnn_codes::dataset::Failure;
use cnn_codes::files::{DraftError, Existing};
use support::{description, python, run_python, write_store};

/// Maps both arrays as a user would, and prints what is in them.
const NUMPY: &str = "
import sys, numpy as np
codes = np.load(sys.argv[1] + '/codes.npy', mmap_mode='r')
labels = np.load(sys.argv[1] + '/labels.npy', mmap_mode='r')
print(type(codes).__name__, codes.dtype.str, codes.shape, codes.flags.c_contiguous, codes.ravel().tolist())
print(labels.dtype.str, labels.shape, labels.tolist())
";

#[test]
fn numpy_maps_codes_and_labels() {
    let Some(python) = python() else { return };
    let place = tempfile::tempdir().unwrap();
    for (dtype, descr) in [(Dtype::F32, "<f4"), (Dtype::F16, "<f2")] {
        let out = place.path().join(dtype.to_string());
        write_store(&out, description(dtype, Pool::None), &[0, 1]);
        assert_eq!(
            run_python(&python, NUMPY, &[&out]),
            format!(
                "memmap {descr} (2, 2, 1, 3) True [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, \
                 2.0, 2.25, 2.5, 2.75]\n<i8 (2,) [0, 1]\n"
            )
        );
    }
    let out = place.path().join("pooled");
    write_store(&out, description(Dtype::F32, Pool::Avg), &[1]);
    assert_eq!(
        run_python(&python, NUMPY, &[&out]),
        "memmap <f4 (1, 3) True [0.0, 0.25, 0.5]\n<i8 (1,) [1]\n"
    );
}

#[test]
fn a_store_comes_back_as_it_was_written() {
    let place = tempfile::tempdir().unwrap();
    for dtype in [Dtype::F32, Dtype::F16] {
        let out = place.path().join(dtype.to_string());
        write_store(&out, description(dtype, Pool::None), &[0, 1, 1]);
        let store = Store::open(&out).unwrap();
        assert_eq!(store.labels().unwrap(), [0, 1, 1]);
        assert_eq!(store.manifest().counts.per_class, [1, 2]);
        assert_eq!(&*store.pictures()[2].path, "a/2, \"é\".jpg");
        assert_eq!(store.pictures()[2].label, Some(1));
        let codes = store.read_codes();
        assert_eq!(codes.dim(), (3, 6));
        // Quarters below 4.5 are exact in half precision.
        assert_eq!(codes[[2, 5]], 17.0 / 4.0);
    }
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let place = tempfile::tempdir().unwrap();
    let (a, b) = (place.path().join("a"), place.path().join("b"));
    for out in [&a, &b] {
        write_store(out, description(Dtype::F32, Pool::None), &[0, 1]);
    }
    for name in [
        "codes.npy",
        "labels.npy",
        "images.csv",
        "failures.csv",
        "store.json",
    ] {
        let bytes = fs::read(a.join(name)).unwrap();
        assert!(!bytes.is_empty());
        assert_eq!(bytes, fs::read(b.join(name)).unwrap(), "{name}");
    }
    assert_eq!(
        fs::read_to_string(a.join("failures.csv")).unwrap(),
        "path,error\n"
    );
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("store");
    let description = description(Dtype::F32, Pool::None);
    let mut writer = StoreWriter::create(&out, Existing::Keep, description).unwrap();
    let failure = Failure {
        path: "a/x.jpg".to_owned(),
        error: "empty".to_owned(),
        kind: "unknown_format",
    };
    writer.fail(&failure).unwrap();
    drop(writer);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_store_that_is_there_already_is_kept() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("store");
    write_store(&out, description(Dtype::F32, Pool::None), &[0, 1]);
    let refused = StoreWriter::create(&out, Existing::Keep, description(Dtype::F32, Pool::None));
    assert!(matches!(
        refused,
        Err(StoreError::Draft(DraftError::Exists { .. }))
    ));
    assert_eq!(Store::open(&out).unwrap().labels().unwrap(), [0, 1]);
}

/// Writes a store, spoils it, and returns what opening it says.
fn message_after(spoil: impl FnOnce(&Path)) -> String {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("store");
    write_store(&out, description(Dtype::F32, Pool::None), &[0, 1]);
    spoil(&out);
    let message = Store::open(&out).unwrap_err().to_string();
    message.replace(out.to_str().unwrap(), "STORE")
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn cut(path: &Path, bytes: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - bytes)
        .unwrap();
}

#[test]
fn damaged_stores_are_refused_with_the_file_and_the_reason() {
    type Spoil = Box<dyn FnOnce(&Path)>;
    let cases: [(&str, Spoil); 9] = [
        (
            "STORE is not a store: it has no store.json",
            Box::new(|store| fs::remove_file(store.join("store.json")).unwrap()),
        ),
        (
            "STORE/codes.npy cannot be used: 175 bytes where the header [2, 2, 1, 3] means 176: the file is cut short",
            Box::new(|store| cut(&store.join("codes.npy"), 1)),
        ),
        (
            "STORE/labels.npy cannot be used: 143 bytes where the header [2] means 144",
            Box::new(|store| cut(&store.join("labels.npy"), 1)),
        ),
        (
            "STORE/store.json cannot be used: it has format 2, and this version reads format 1",
            Box::new(|store| edit(&store.join("store.json"), "\"format\": 1", "\"format\": 2")),
        ),
        (
            "STORE/codes.npy cannot be used: it holds f32 [2, 2, 1, 3] where store.json says f16",
            Box::new(|store| edit(&store.join("store.json"), "\"f32\"", "\"f16\"")),
        ),
        (
            "STORE/store.json cannot be used: EOF while parsing",
            Box::new(|store| cut(&store.join("store.json"), 20)),
        ),
        (
            "STORE/images.csv cannot be used: row 1 does not agree with labels.npy",
            Box::new(|store| edit(&store.join("images.csv"), "b c", "a")),
        ),
        (
            "STORE/labels.npy cannot be used: row 1 has label 7, and there are 2 classes",
            Box::new(|store| {
                let path = store.join("labels.npy");
                let mut bytes = fs::read(&path).unwrap();
                bytes[136] = 7;
                fs::write(path, bytes).unwrap();
            }),
        ),
        (
            "cannot read STORE/codes.npy: ",
            Box::new(|store| fs::remove_file(store.join("codes.npy")).unwrap()),
        ),
    ];
    for (expected, spoil) in cases {
        let message = message_after(spoil);
        assert!(
            message.starts_with(expected),
            "{message}\nis not\n{expected}"
        );
    }
}
