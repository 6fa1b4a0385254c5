//! Weights as safetensors, and between tails.

use cnn_codes_tail::{Tail, TailError};

use crate::networks::Network;
use crate::support::tune;

fn tail() -> Tail {
    let mut network = Network::new(1);
    network
        .conv("x", "c", [4, 3, 3, 3], [1; 4])
        .plain("Relu", &["c"], "r")
        .conv("r", "y", [2, 4, 1, 1], [0; 4]);
    Tail::read(&network.model(), "x", "y").unwrap()
}

#[test]
fn weights_come_back_from_safetensors() {
    let mut tuned = tail();
    tune(&mut tuned, 1);
    let bytes = tuned.to_safetensors().unwrap();
    assert_eq!(bytes, tuned.clone().to_safetensors().unwrap());
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("c/w").unwrap().shape(), [4, 3, 3, 3]);
    assert_eq!(file.tensor("y/b").unwrap().shape(), [2]);
    assert_eq!(file.len(), 4);
    let mut other = tail();
    assert_ne!(other.tensors(), tuned.tensors());
    other.load_safetensors(&bytes).unwrap();
    assert_eq!(other.tensors(), tuned.tensors());
}

#[test]
fn weights_of_another_tail_are_refused_and_change_nothing() {
    let mut network = Network::new(2);
    network
        .conv("x", "c", [4, 3, 1, 1], [0; 4])
        .plain("Relu", &["c"], "r");
    network.conv("r", "y", [2, 4, 1, 1], [0; 4]);
    let other = Tail::read(&network.model(), "x", "y").unwrap();
    let part = Tail::read(&network.model(), "r", "y").unwrap();
    let mut tail = tail();
    let before = tail.clone();
    for (bytes, reason) in [
        (
            other.to_safetensors().unwrap(),
            "\"c/w\" is F32 [4, 3, 1, 1], and must be F32 [4, 3, 3, 3]",
        ),
        (part.to_safetensors().unwrap(), "there is no \"c/w\""),
    ] {
        let error = tail.load_safetensors(&bytes).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("this does not belong to the tail: {reason}")
        );
    }
    let mut small = part.clone();
    let error = small
        .load_safetensors(&tail.to_safetensors().unwrap())
        .unwrap_err();
    assert!(matches!(error, TailError::Foreign { .. }), "{error}");
    let error = tail.load_safetensors(b"no safetensors").unwrap_err();
    assert!(matches!(error, TailError::Safetensors(_)), "{error}");
    assert_eq!(tail.tensors(), before.tensors());
}

#[test]
fn a_blend_lies_between_two_tails() {
    let old = tail();
    let mut tuned = old.clone();
    for weight in tuned.weights_mut().flatten() {
        *weight += 4.0;
    }
    let between = old.interpolate(&tuned, 0.25).unwrap();
    for (between, old) in between.tensors()[1]
        .values()
        .iter()
        .zip(old.tensors()[1].values())
    {
        assert!((between - old - 1.0).abs() < 1e-6);
    }
    assert_eq!(
        old.interpolate(&tuned, 0.0).unwrap().tensors(),
        old.tensors()
    );
    assert_eq!(
        old.interpolate(&tuned, 1.0).unwrap().tensors(),
        tuned.tensors()
    );
    let mut network = Network::new(1);
    network.conv("x", "y", [4, 3, 3, 3], [1; 4]);
    let other = Tail::read(&network.model(), "x", "y").unwrap();
    assert!(matches!(
        old.interpolate(&other, 0.5),
        Err(TailError::Foreign { .. })
    ));
}
