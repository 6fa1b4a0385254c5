//! A program in `examples/`, run on made-up codes, and the example that docs and front page show.

use crate::support;

use std::path::PathBuf;

use cnn_codes::codes::{Dtype, Pool};

#[test]
fn train_on_codes_tells_how_often_the_heads_are_right_and_where_they_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    let write = |name: &str, rows: &[(usize, f32)]| {
        let code = |first| vec![first, 0.5, 0.5, 0.5, 0.5, 0.5];
        let rows: Vec<_> = rows
            .iter()
            .map(|&(label, first)| (label, code(first)))
            .collect();
        let description = support::description(Dtype::F32, Pool::None);
        support::write_codes(&at(name), description, &rows);
    };
    let train: Vec<_> = (0..100)
        .map(|row| (row % 2, 20.0 * (row % 2) as f32))
        .collect();
    write("train", &train);
    // The last picture has the code of the other class.
    let validation = [(0, 0.0), (1, 20.0), (0, 0.0), (1, 0.0)];
    write("validation", &validation);
    let mut command = support::example("train_on_codes");
    let printed = support::stdout(command.args([at("train"), at("validation"), at("head")]));
    assert!(printed.contains("logistic: 75.0% right\n"), "{printed}");
    assert!(
        printed.contains("\n3.jpg: b c, taken for a by "),
        "{printed}"
    );
    assert!(at("head/head.json").exists());
}

#[test]
fn the_page_of_the_library_shows_the_front_pages_example() {
    let between = |text: &str, opening: &str| -> Vec<String> {
        let lines = text.lines().skip_while(|line| *line != opening).skip(1);
        let code = lines.take_while(|line| !line.ends_with("```"));
        code.map(str::to_owned).collect()
    };
    let page = between(include_str!("../../docs/reference/library.md"), "```rust");
    // rustdoc hides lines that begin with a # of their own.
    let mut front_page = between(include_str!("../../src/lib.rs"), "//! ```no_run");
    front_page.retain(|line| !line.starts_with("//! # "));
    let front_page: Vec<_> = front_page
        .iter()
        .map(|line| {
            line.trim_start_matches("//!")
                .strip_prefix(' ')
                .unwrap_or("")
        })
        .collect();
    assert_eq!(page, front_page);
    let n_lines = page.iter().filter(|line| !line.is_empty()).count();
    assert!(n_lines <= 25, "{n_lines} lines");
}
