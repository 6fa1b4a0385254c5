//! Stores: what NumPy reads of them, and what is refused.

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};

use cnn_codes::codes::{Dtype, Failure, Pool, Shard, Store, StoreError, StoreWriter};
use cnn_codes::files::{DraftError, Existing};
use cnn_codes::picture::Views;
use proptest::prelude::*;
use proptest::sample::Index;
use support::damage::{damage, files};
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
        let codes = store.read_codes().unwrap();
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

#[test]
fn a_store_with_any_damage_is_a_store_or_an_error_with_the_file() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("store");
    write_store(&out, description(Dtype::F16, Pool::None), &[0, 1, 1]);
    let good = files(&out);
    proptest!(ProptestConfig::with_cases(128), |(file: Index, damage in damage())| {
        let (name, bytes) = good.iter().nth(file.index(good.len())).unwrap();
        fs::write(out.join(name), damage.to(bytes)).unwrap();
        let opened = Store::open(&out);
        fs::write(out.join(name), bytes).unwrap();
        match opened {
            Ok(store) => prop_assert_eq!(store.pictures().len(), 3),
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.contains("/store/"), "{}", message);
            }
        }
    });
}

/// A store of two codes, open, and its codes.npy.
fn open_store(folder: &Path) -> (Store, PathBuf) {
    let out = folder.join("store");
    write_store(&out, description(Dtype::F32, Pool::None), &[0, 1]);
    (Store::open(&out).unwrap(), out.join("codes.npy"))
}

#[test]
fn codes_that_are_cut_short_while_the_store_is_open_are_an_error_with_the_file() {
    let place = tempfile::tempdir().unwrap();
    let (store, path) = open_store(place.path());
    assert_eq!(store.read_codes().unwrap()[[1, 5]], 11.0 / 4.0);
    cut(&path, 30);
    let changed = |error: StoreError| {
        assert!(matches!(error, StoreError::Changed { .. }), "{error}");
        let expected = format!("{} was changed while it was in use", path.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    };
    changed(store.read_codes().unwrap_err());
    // The row that is cut, and the one before it: nobody knows who wrote what.
    for row in [1, 0] {
        changed(store.read_code(row, 0..6, &mut [0.0; 6]).unwrap_err());
        changed(store.read_code_bytes(row, &mut Vec::new()).unwrap_err());
    }
    changed(store.check_unchanged().unwrap_err());
}

#[test]
fn codes_that_are_written_over_while_the_store_is_open_are_an_error() {
    let place = tempfile::tempdir().unwrap();
    let (store, path) = open_store(place.path());
    let bytes = fs::read(&path).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    std::io::Write::write_all(&mut &file, &bytes).unwrap();
    // Whatever the clock of the file system is good for.
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    file.set_modified(later).unwrap();
    let error = store.read_code(0, 0..1, &mut [0.0]).unwrap_err();
    assert!(matches!(error, StoreError::Changed { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn a_store_that_is_replaced_by_renaming_is_read_as_it_was() {
    let place = tempfile::tempdir().unwrap();
    let (store, _) = open_store(place.path());
    let out = place.path().join("store");
    fs::rename(&out, place.path().join("old")).unwrap();
    write_store(&out, description(Dtype::F32, Pool::None), &[1]);
    assert_eq!(store.read_codes().unwrap().nrows(), 2);
    fs::remove_dir_all(place.path().join("old")).unwrap();
    assert_eq!(store.read_codes().unwrap()[[1, 5]], 11.0 / 4.0);
    store.check_unchanged().unwrap();
}

/// Makes a FIFO, at which an open would wait.
#[cfg(unix)]
fn replace_by_fifo(path: &Path) {
    fs::remove_file(path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

#[cfg(unix)]
#[test]
fn fifos_and_folders_in_place_of_files_are_refused_and_not_waited_for() {
    for name in ["store.json", "codes.npy", "labels.npy", "images.csv"] {
        let expected = format!("cannot read STORE/{name}: it is not a regular file");
        assert_eq!(
            message_after(|store| replace_by_fifo(&store.join(name))),
            expected
        );
        let folder = message_after(|store| {
            fs::remove_file(store.join(name)).unwrap();
            fs::create_dir(store.join(name)).unwrap();
        });
        assert_eq!(folder, expected);
    }
}

#[test]
fn a_part_is_the_one_that_its_folder_is_named_for() {
    let place = tempfile::tempdir().unwrap();
    let part = |index: u32, part: Option<Shard>| {
        let mut description = description(Dtype::F32, Pool::None);
        (description.part, description.listing) = (part, Some("1".repeat(64)));
        let out = place.path().join(format!("part-{index:05}-of-00002"));
        let _ = fs::remove_dir_all(&out);
        write_store(&out, description, &[0, 1]);
    };
    let reason = || Store::open(place.path()).unwrap_err().to_string();
    let [first, second] = [0, 1].map(|index| Some(Shard::new(index, 2).unwrap()));
    part(0, first);
    part(1, second);
    assert_eq!(Store::open(place.path()).unwrap().pictures().len(), 4);
    part(0, second);
    let expected = "the folder part-00000-of-00002 holds part-00001-of-00002;";
    assert!(reason().contains(expected), "{}", reason());
    part(0, None);
    let expected = "the folder part-00000-of-00002 holds a whole store;";
    assert!(reason().contains(expected), "{}", reason());
    part(0, Some(Shard::new(0, 3).unwrap()));
    let expected = "the folder part-00000-of-00002 holds part-00000-of-00003;";
    assert!(reason().contains(expected), "{}", reason());
}

#[test]
fn a_folder_named_for_billions_of_parts_is_refused_at_once() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("part-00000-of-4294967295")).unwrap();
    let message = Store::open(place.path()).unwrap_err().to_string();
    let expected = "4294967295 of its 4294967295 parts are missing or unfinished: 0/4294967295, ";
    assert!(message.contains(expected), "{message}");
    assert!(message.contains(" and 4294967285 more"), "{message}");
}

#[test]
fn a_pooled_store_gives_means_or_maxima_over_height_and_width() {
    let place = tempfile::tempdir().unwrap();
    for dtype in [Dtype::F32, Dtype::F16] {
        let out = place.path().join(dtype.to_string());
        write_store(&out, description(dtype, Pool::None), &[0, 1]);
        let store = Store::open(&out).unwrap();
        // Two positions of three channels: 0, 1/4, 1/2 and 3/4, 1, 5/4; then each 3/2 more.
        for (pool, first) in [
            (Pool::Avg, [0.375, 0.625, 0.875]),
            (Pool::Max, [0.75, 1.0, 1.25]),
        ] {
            let pooled = store.pooled(pool).unwrap();
            let second = first.map(|value| value + 1.5);
            let codes = pooled.read_codes().unwrap();
            assert_eq!(codes.as_slice().unwrap(), [first, second].concat());
            assert_eq!(pooled.manifest().store.code_shape(), [3]);
            let mut bytes = Vec::new();
            pooled.read_code_bytes(1, &mut bytes).unwrap();
            let expected: Vec<u8> = second
                .iter()
                .flat_map(|value: &f32| value.to_le_bytes())
                .collect();
            assert_eq!(bytes, expected);
            let mut part = [0.0];
            pooled.read_code(1, 2..3, &mut part).unwrap();
            assert_eq!(part, second[2..]);
            assert_eq!(
                (pooled.pictures(), pooled.labels()),
                (store.pictures(), store.labels())
            );
            let other = if pool == Pool::Avg {
                Pool::Max
            } else {
                Pool::Avg
            };
            for wanted in [other, Pool::None] {
                let error = pooled.pooled(wanted).unwrap_err();
                assert!(matches!(error, StoreError::Pooled { .. }), "{error}");
                assert!(error.to_string().contains("--pool none"), "{error}");
            }
        }
    }
}

/// A store of three pictures with three views each; view `v` of picture `n` has the code 100 n + 10 v + place.
fn write_views(out: &Path, dtype: Dtype) -> Vec<Vec<f32>> {
    let mut description = description(dtype, Pool::None);
    description.views = Views::FlipsAndCrops { n: 3 };
    let row = |n: usize| -> Vec<f32> {
        let views = (0..3).flat_map(|view| (0..6).map(move |place| 10 * view + place));
        views.map(|value| (100 * n + value) as f32).collect()
    };
    let rows: Vec<_> = (0..3).map(|n| (n % 2, row(n))).collect();
    support::write_codes(out, description, &rows);
    rows.into_iter().map(|(_, row)| row).collect()
}

#[test]
fn a_row_has_the_codes_of_all_views_and_is_one_picture() {
    let place = tempfile::tempdir().unwrap();
    for dtype in [Dtype::F32, Dtype::F16] {
        let out = place.path().join(dtype.to_string());
        let rows = write_views(&out, dtype);
        let store = Store::open(&out).unwrap();
        assert_eq!(store.manifest().shape(), [3, 3, 2, 1, 3]);
        assert_eq!(store.views().to_string(), "flips+crops:3");
        assert_eq!(store.pictures().len(), 3);
        let view = |store: &Store, row, view| {
            let mut code = [0.0; 6];
            store.read_view(row, view, 0..6, &mut code).unwrap();
            code
        };
        for (row, codes) in rows.iter().enumerate() {
            for index in 0..3 {
                assert_eq!(view(&store, row, index), codes[6 * index..][..6]);
            }
            let mut some = [0.0; 2];
            store.read_view(row, 2, 3..5, &mut some).unwrap();
            assert_eq!(some, codes[15..17]);
            // The picture itself is what everyone reads who knows nothing of views.
            assert_eq!(store.read_codes().unwrap().row(row).to_vec(), codes[..6]);
            let mut bytes = Vec::new();
            store.read_code_bytes(row, &mut bytes).unwrap();
            let size = if dtype == Dtype::F32 { 4 } else { 2 };
            assert_eq!(bytes.len(), 18 * size);
        }
        let pooled = store.pooled(Pool::Max).unwrap();
        let mut code = [0.0; 3];
        pooled.read_view(2, 1, 0..3, &mut code).unwrap();
        assert_eq!(code, [213.0, 214.0, 215.0]);
        let alone = pooled.without_views();
        assert_eq!(alone.views(), Views::None);
        assert_eq!(
            alone.read_codes().unwrap().row(2).to_vec(),
            [203.0, 204.0, 205.0]
        );
        let alone = store.without_views();
        assert_eq!(alone.read_codes().unwrap(), store.read_codes().unwrap());
        assert_eq!(
            alone.pooled(Pool::Max).unwrap().read_codes().unwrap(),
            pooled.read_codes().unwrap()
        );
        let refused = store.with(&alone).unwrap_err().to_string();
        assert!(refused.contains("--views"), "{refused}");
        let twice = store.with(&store).unwrap();
        assert_eq!(view(&twice, 4, 2), rows[1][12..18]);
    }
}

#[test]
fn views_that_codes_npy_does_not_have_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("store");
    write_views(&out, Dtype::F32);
    let manifest = out.join("store.json");
    edit(&manifest, "flips+crops:3", "flip");
    let refused = Store::open(&out).unwrap_err().to_string();
    assert!(
        refused.contains("its shape [3, 3, 2, 1, 3] is not 3 pictures of [2, 2, 1, 3]"),
        "{refused}"
    );
    edit(&manifest, "flip", "flips+crops:99");
    let refused = Store::open(&out).unwrap_err().to_string();
    assert!(refused.contains("names no views"), "{refused}");
}
