//! The example of the README, which is the one of examples/: compiled here, and run.

#[path = "../../examples/tiny_model.rs"]
mod tiny_model;

use ort::session::Session;
use tiny_model::{SIDE, model, open, run};

use crate::support::environment;

/// The lines of a function, its first and last among them, without `pub`.
fn function<'a>(text: &'a str, first: &str) -> &'a str {
    let text = &text[text.find(first).unwrap()..];
    &text[..text.find("\n}\n").unwrap() + 2]
}

#[test]
fn the_readme_shows_the_example_that_is_run_here() {
    let readme = include_str!("../../README.md");
    let example = include_str!("../../examples/tiny_model.rs");
    assert_eq!(function(readme, "fn open("), function(example, "fn open("));
}

#[test]
fn the_example_gives_what_onnx_runtime_gives() {
    let onnx = model().unwrap().to_bytes();
    let rewritten = ort_winograd::rewrite(&onnx, 2).unwrap().unwrap();
    assert_eq!((rewritten.n_winograd(), rewritten.n_direct()), (1, 1));
    let Some(environment) = environment() else {
        return;
    };
    let picture: Vec<f32> = (0..3 * SIDE * SIDE)
        .map(|i| (i % 11) as f32 - 5.0)
        .collect();
    let mut session = open(environment, &onnx, 2).unwrap();
    let features = run(&mut session, &picture).unwrap();
    let mut builder = Session::builder(environment).unwrap();
    let mut bare = builder.commit_from_memory(&onnx).unwrap();
    let expected = run(&mut bare, &picture).unwrap();
    assert_eq!(features.len(), 16 * SIDE * SIDE);
    let size = expected.iter().fold(0.0_f32, |size, x| size.max(x.abs()));
    assert!(size > 0.1, "{size}");
    for (feature, expected) in features.iter().zip(&expected) {
        assert!((feature - expected).abs() < 1e-5 * size);
    }
}
