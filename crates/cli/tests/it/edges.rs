//! What the library may not depend on, as cargo sees it.

use crate::support;

use std::process::Command;

/// What belongs to the program, to downloads and to pages, and not into the library's dependencies.
const NOT_OF_THE_LIBRARY: [&str; 11] = [
    "clap",
    "anyhow",
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

// Until downloads, assets and pages have left the library.
#[ignore = "downloads, assets and pages are in the library yet"]
#[test]
fn the_library_depends_on_nothing_of_the_program_of_downloads_and_of_pages() {
    let mut tree = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    tree.current_dir(support::root())
        .args(["tree", "--package", "cnn-codes", "--edges", "normal"])
        .args(["--target", "all", "--prefix", "none", "--format", "{p}"])
        .args(["--locked", "--offline"]);
    let tree = support::stdout(&mut tree);
    let names: Vec<_> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(names[0], "cnn-codes");
    assert!(names.contains(&"ndarray"), "{tree}");
    let found: Vec<_> = names
        .iter()
        .filter(|name| NOT_OF_THE_LIBRARY.contains(name))
        .collect();
    assert!(found.is_empty(), "{found:?}");
}
