//! Files of weights: read right, and refused by name where they are cut, lie or attack.

use cnn_codes_trunks::pytorch::{PytorchError, Tensor, read};
use proptest::prelude::*;
use proptest::sample::Index;

const TINY: &[u8] = include_bytes!("fixtures/tiny.pth");
const MALICIOUS: &[u8] = include_bytes!("fixtures/malicious.pth");

/// TINY with `from` in place of `to`, which it has once.
fn replaced(from: &[u8], to: &[u8]) -> Vec<u8> {
    let places: Vec<_> = (0..TINY.len())
        .filter(|&place| TINY[place..].starts_with(from))
        .collect();
    let [place] = places[..] else {
        panic!("{from:?} is at {places:?}");
    };
    let mut bytes = TINY.to_vec();
    bytes.splice(place..place + from.len(), to.iter().copied());
    bytes
}

#[test]
fn tensors_are_read_in_c_order_whatever_their_strides_and_counts_are_left_out() {
    let tensors = read(TINY).unwrap();
    let tensor = |shape: &[usize], values: &[f32]| Tensor {
        shape: shape.to_vec(),
        values: values.to_vec(),
    };
    let expected = [
        ("a".to_owned(), tensor(&[2, 3], &[1., 2., 3., 4., 5., 6.])),
        (
            "b".to_owned(),
            tensor(&[3, 2], &[10., 11., 20., 21., 30., 31.]),
        ),
    ];
    assert_eq!(tensors, expected.into());
}

#[test]
fn a_pickle_that_calls_python_is_refused_by_the_name_that_it_calls() {
    let error = read(MALICIOUS).unwrap_err();
    assert!(
        matches!(&error, PytorchError::Name { name, .. } if name == "posix.system"),
        "{error}"
    );
    assert!(error.to_string().contains("nothing was run"));
}

#[test]
fn instructions_that_weights_do_not_need_are_refused() {
    // NEWOBJ, INST, OBJ, EXT1, STACK_GLOBAL, DUP, FRAME.
    for code in [0x81, b'i', b'o', 0x82, 0x93, b'2', 0x95] {
        let error = read(&[0x80, 2, code, b'.']).unwrap_err();
        assert!(
            matches!(error, PytorchError::Instruction { code: refused, place: 2 } if refused == code),
            "{error}"
        );
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    for len in 0..TINY.len() {
        let error = read(&TINY[..len]).unwrap_err();
        assert!(!error.to_string().is_empty(), "{len}");
    }
    let longer = [TINY, b"x"].concat();
    assert!(matches!(read(&longer), Err(PytorchError::Damaged { .. })));
}

#[test]
fn shapes_and_strides_that_leave_the_storage_are_refused() {
    // (3, 2) of strides (1, 3) from 1 on, of 7 numbers.
    let (shape, strides) = (b"K\x03K\x02\x86", b"K\x01K\x03\x86");
    for (from, to) in [
        (shape, b"K\x04K\x02\x86"),
        (shape, b"K\xffK\xff\x86"),
        (strides, b"K\x01K\x05\x86"),
        (strides, b"K\xffK\xff\x86"),
    ] {
        let error = read(&replaced(from, to)).unwrap_err();
        assert!(
            matches!(&error, PytorchError::Tensor { name, .. } if name == "b"),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn damaged_bytes_never_make_it_panic(
        damages in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = TINY.to_vec();
        for (place, value) in damages {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let _ = read(&bytes);
    }
}

#[test]
fn little_does_not_become_much() {
    let error = read(include_bytes!("fixtures/much_of_little.pth")).unwrap_err();
    assert!(
        error.to_string().contains("larger than the file"),
        "{error}"
    );
    let error = read(include_bytes!("fixtures/nine_axes.pth")).unwrap_err();
    assert!(error.to_string().contains("more than 8 axes"), "{error}");
}
