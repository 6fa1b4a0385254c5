//! Every verb with names that would steer a terminal or forge lines.
#![cfg(unix)]

use crate::support;

use std::fs;
use std::path::Path;

use support::cnn_codes;
use support::http_server::Server;
use support::place::{Place, quarters};

/// Ends a line and begins a forged one; clears the screen, with ESC and with C1's short form; sets
/// the title; turns the text around; deletes.
const HOSTILE: &str =
    "\nforged 100.0%\x1b[2J\u{9b}2J\x1b]0;owned\x07\u{202e}\u{2066}\u{2028}\r\x7f";

fn hostile(name: &str) -> String {
    format!("{name}{HOSTILE}")
}

/// Runs a command in `folder`; what it printed must be harmless. Exit code, stdout, stderr.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = cnn_codes()
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let is_exact = arguments.contains(&"csv");
    for text in [&stdout, &stderr].into_iter().skip(usize::from(is_exact)) {
        let is_harmful = |c: char| {
            (c.is_control() && !"\n\t".contains(c))
                || ('\u{202a}'..='\u{202e}').contains(&c)
                || ('\u{2066}'..='\u{2069}').contains(&c)
                || "\u{2028}\u{2029}".contains(c)
        };
        assert!(!text.contains(is_harmful), "{arguments:?}: {text:?}");
        assert!(
            !text
                .lines()
                .any(|line| line.trim_start().starts_with("forged")),
            "{arguments:?}: {text}"
        );
    }
    (output.status.code().unwrap(), stdout, stderr)
}

/// Runs a command that must succeed; its stdout.
fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = run(folder, arguments);
    assert_eq!(code, 0, "{arguments:?}: {stderr}");
    stdout
}

/// A place with pictures of two classes, and one that is broken, all with hostile names.
fn place() -> Option<Place> {
    let place = Place::new()?;
    for class in ["a", "b"] {
        for picture in 0..6 {
            let name = format!(
                "bad/{}/{}.png",
                hostile(class),
                hostile(&picture.to_string())
            );
            place.save(&name, &quarters([40 * picture, 250 - 40 * picture, 9]));
        }
    }
    place.write(
        &format!("bad/{}/{}.jpg", hostile("a"), hostile("broken")),
        b"no picture",
    );
    Some(place)
}

#[test]
fn no_verb_lets_names_steer_the_terminal_or_forge_lines() {
    let Some(place) = place() else { return };
    let folder = place.path();
    let store = hostile("store");
    let extract = [
        "extract-features",
        "bad",
        "--card",
        "tiny.toml",
        "--out",
        &store,
    ];
    let text = succeed(folder, &[&extract[..], &["--verbose"]].concat());
    assert!(
        text.contains(r"\u{a}forged 100.0%\u{1b}[2J\u{9b}2J"),
        "{text}"
    );
    let text = succeed(folder, &[&extract[..], &["--format", "json"]].concat());
    let summary: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(summary["classes"][0], hostile("a"));
    succeed(
        folder,
        &[
            "extract-features",
            "bad",
            "--card",
            "tiny.toml",
            "--dry-run",
        ],
    );
    for format in ["text", "json"] {
        succeed(
            folder,
            &[
                "check",
                "bad",
                &store,
                "--min-side",
                "1",
                "--format",
                format,
            ],
        );
        let out = hostile(&format!("split of {format}"));
        succeed(
            folder,
            &[
                "split",
                "bad",
                "--out",
                &out,
                "--format",
                format,
                "--ignore-duplicates",
            ],
        );
        let out = hostile(&format!("head of {format}"));
        let train = [
            "train-head",
            "--train",
            &store,
            "--folds",
            "2",
            "--epochs",
            "1",
        ];
        succeed(
            folder,
            &[&train[..], &["--out", &out, "--format", format]].concat(),
        );
    }
    let head = hostile("head of text");
    succeed(folder, &["report", &head]);
    let model = hostile("model") + ".onnx";
    succeed(
        folder,
        &["export", &head, "--out", &model, "--card", "tiny.toml"],
    );
    for format in ["text", "csv", "json", "jsonl"] {
        let text = succeed(
            folder,
            &[
                "predict",
                &head,
                "bad",
                "--card",
                "tiny.toml",
                "--format",
                format,
            ],
        );
        if format == "csv" {
            let mut table = csv::Reader::from_reader(text.as_bytes());
            let row = table.records().next().unwrap().unwrap();
            assert!(row[0].contains(HOSTILE), "{row:?}");
        }
        succeed(folder, &["predict", &head, &store, "--format", format]);
    }
}

#[test]
fn no_error_lets_names_steer_the_terminal_or_forge_lines() {
    let Some(place) = place() else { return };
    let folder = place.path();
    let missing = hostile("missing");
    for arguments in [
        &["predict", &missing, "x.png"][..],
        &["predict", &missing, &missing],
        &["extract-features", &missing, "--out", "x"],
        &["extract-features", "--csv", &missing, "--out", "x"],
        &["check", &missing],
        &["split", &missing, "--out", "x"],
        &[
            "train-head",
            "--train",
            &missing,
            "--folds",
            "2",
            "--out",
            "x",
        ],
        &["report", &missing],
        &["report", "x", "--pictures", &missing],
        &["export", &missing, "--out", "x.onnx"],
        &["download", &missing, "--out", "x"],
        &["fetch", "vgg16", "--from", &missing, "--models", &missing],
        &["doctor", "--models", &missing],
        &["doctor", "--models", &missing, "--format", "json"],
        &["check", "x", "--format", &missing],
        &["check", "x", "--strict", &missing],
        &["check", "x", &format!("--{missing}")],
        &[&missing],
    ] {
        let (code, ..) = run(folder, arguments);
        assert_ne!(code, 0, "{arguments:?}");
    }
    let table = format!("path,label\nx.png,a\nx.png,\"{}\"\n", "\x1b[2J\u{202e}");
    place.write("t.csv", table.as_bytes());
    let (_, _, said) = run(
        folder,
        &["extract-features", "--csv", "t.csv", "--out", "x"],
    );
    assert!(said.contains(r"'\u{1b}[2J\u{202e}'"), "{said}");
    let mut members = tar::Builder::new(Vec::new());
    for name in ["1.png", "1.png"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        members
            .append_data(&mut header, hostile("m") + name, &b""[..])
            .unwrap();
    }
    place.write("shard.tar", &members.into_inner().unwrap());
    let (_, _, said) = run(folder, &["extract-features", "shard.tar", "--out", "x"]);
    assert!(said.contains(r"\u{a}forged"), "{said}");
}

#[test]
fn neither_urls_nor_servers_steer_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start();
    let rows = [
        (server.url("/png/a"), "cat".to_owned()),
        (server.url("/rude/b"), "cat".to_owned()),
        (
            server.url("/gone/\x1b[2J\u{9b}2J\u{202e}"),
            "cat".to_owned(),
        ),
        (server.url("/png/c"), "\x1b[2Jdog".to_owned()),
    ];
    let list: String = rows
        .iter()
        .map(|(url, label)| format!("{url},{label}\n"))
        .collect();
    fs::write(folder.path().join("urls.csv"), format!("url,label\n{list}")).unwrap();
    for format in ["text", "json"] {
        let out = hostile(format);
        let arguments = ["download", "urls.csv", "--out", &out, "--format", format];
        let more = ["--allow-private", "--retries", "0"];
        let text = succeed(folder.path(), &[&arguments[..], &more].concat());
        assert!(text.contains("1b[2J") || text.contains("1b}[2J"), "{text}");
    }
}
