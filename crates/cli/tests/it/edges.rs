//! What the library may not depend on, as cargo sees it.

use crate::support;

use std::process::Command;

/// What belongs to the program, to downloads and to pages, and not into the library's dependencies.
const NOT_OF_THE_LIBRARY: [&str; 10] = [
    "clap",
    "indicatif",
    "signal-hook",
    "ureq",
    "rustls",
    "httpdate",
    "maud",
    "base64",
    "zip",
    "regex",
];

/// The packages that bring anyhow into the library's tree: those that linfa-logistic solves with, and
/// the macro of prost.
const HAVE_ANYHOW: [&str; 3] = ["argmin", "argmin-math", "prost-derive"];

/// The names of packages that `cargo tree` prints for the library with these arguments.
fn tree(arguments: &[&str]) -> Vec<String> {
    tree_of("cnn-codes", arguments)
}

/// The same for another package.
fn tree_of(package: &str, arguments: &[&str]) -> Vec<String> {
    let mut tree = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    tree.current_dir(support::root())
        .args(["tree", "--package", package, "--edges", "normal"])
        .args(["--prefix", "none", "--format", "{p}"])
        .args(["--locked", "--offline"])
        .args(arguments);
    let tree = support::stdout(&mut tree);
    tree.lines()
        .filter_map(|line| Some(line.split(' ').next()?.to_owned()))
        .collect()
}

#[test]
fn the_library_depends_on_nothing_of_the_program_of_downloads_and_of_pages() {
    let names = tree(&[]);
    assert_eq!(names[0], "cnn-codes");
    assert!(names.iter().any(|name| name == "ndarray"), "{names:?}");
    let found: Vec<_> = names
        .iter()
        .filter(|name| NOT_OF_THE_LIBRARY.contains(&name.as_str()))
        .collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_library_has_anyhow_by_its_solver_and_a_macro_alone() {
    let users = tree(&["--invert", "anyhow", "--depth", "1"]);
    assert_eq!(users[0], "anyhow");
    for user in &users[1..] {
        assert!(HAVE_ANYHOW.contains(&user.as_str()), "{users:?}");
    }
}

#[test]
fn the_packages_at_the_bottom_know_nothing_of_ours() {
    for package in ["ort-winograd", "cnn-codes-files", "cnn-codes-onnxruntime"] {
        let names = tree_of(package, &[]);
        assert_eq!(names[0], package);
        let is_ours = |name: &&String| name.starts_with("cnn-codes") || *name == "ort-winograd";
        let ours: Vec<_> = names[1..].iter().filter(is_ours).collect();
        assert!(ours.is_empty(), "{package}: {ours:?}");
    }
    let of_files = tree_of("cnn-codes-files", &[]);
    assert!(!of_files.iter().any(|name| name == "ort"), "{of_files:?}");
}
