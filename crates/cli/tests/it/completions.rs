//! Completion scripts and manual pages, read by the programs that they are for.

use crate::support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What `cnn-codes completions SHELL` prints.
fn script(shell: &str) -> String {
    let output = support::cnn_codes().args(["completions", shell]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{shell}");
    assert!(output.stderr.is_empty(), "{shell}");
    String::from_utf8(output.stdout).unwrap()
}

/// The words that bash offers for the last word of a command line.
fn offered(script: &Path, words: &[&str]) -> Vec<String> {
    let drive = r#"set -eu
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_cnn__codes cnn-codes "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", drive, "bash"]);
    let offered = support::stdout(bash.arg(script).args(words));
    offered.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_verbs_options_and_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cnn-codes.bash");
    fs::write(&path, script("bash")).unwrap();
    let checked = Command::new("bash").arg("-n").arg(&path).status().unwrap();
    assert!(checked.success());
    assert_eq!(
        offered(&path, &["cnn-codes", "tr"]),
        ["trunks", "train-head"]
    );
    assert_eq!(
        offered(&path, &["cnn-codes", "split", "--group"]),
        ["--group-by"]
    );
    assert_eq!(
        offered(&path, &["cnn-codes", "predict", "--format", "js"]),
        ["json", "jsonl"]
    );
}

#[test]
fn each_shell_has_a_script_that_names_every_verb() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = script(shell);
        for verb in verbs() {
            assert!(script.contains(&verb), "{shell}: {verb}");
        }
        // What a terminal would obey is written out where things are printed; a script has nothing of the kind.
        assert!(!script.contains("\\u{"), "{shell}");
    }
}

#[test]
fn a_script_whose_reader_has_seen_enough_ends_in_silence() {
    let program = assert_cmd::cargo::cargo_bin!("cnn-codes");
    let mut bash = Command::new("bash");
    let command = r#"set -o pipefail; "$1" completions zsh | head -c 1 >/dev/null"#;
    bash.args(["-c", command, "bash"]).arg(program);
    let output = bash.output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_manual_page_for_each_verb_is_accepted_by_groff() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("share/man1");
    let mut man = support::cnn_codes();
    man.args(["man", "--out"]).arg(&out).assert().success();
    let mut pages = vec!["cnn-codes.1".to_owned()];
    pages.extend(verbs().iter().map(|verb| format!("cnn-codes-{verb}.1")));
    pages.sort();
    assert_eq!(names(&out), pages);
    let split = fs::read_to_string(out.join("cnn-codes-split.1")).unwrap();
    for part in [
        ".SH EXAMPLES\n.nf\n",
        "EXIT STATUS",
        r"\-\-group\-by",
        "\"cnn-codes 0.",
    ] {
        assert!(split.contains(part), "{part}:\n{split}");
    }
    let mut groff = Command::new("groff");
    let groff = groff.arg("--version").stdout(Stdio::null()).status();
    if !groff.is_ok_and(|status| status.success()) {
        support::skip!("there is no groff");
        return;
    }
    for page in pages {
        let mut groff = Command::new("groff");
        groff.args(["-man", "-ww", "-z"]).arg(out.join(&page));
        let output = groff.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{page}: {said}");
    }
}

#[test]
fn manual_pages_replace_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man1");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("cnn-codes.1"), "of another version").unwrap();
    let output = support::cnn_codes()
        .args(["man", "--out"])
        .arg(&out)
        .output();
    let output = output.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("man1 exists already, and is left as it is; choose another --out"),
        "{said}"
    );
    assert_eq!(names(&out), ["cnn-codes.1"]);
    let kept = fs::read_to_string(out.join("cnn-codes.1")).unwrap();
    assert_eq!(kept, "of another version");
}

/// The verbs that the program's help lists.
fn verbs() -> Vec<String> {
    use clap::CommandFactory;
    let command = cnn_codes_cli::Arguments::command();
    let verbs = command.get_subcommands();
    verbs.map(|verb| verb.get_name().to_owned()).collect()
}

/// The names of what is in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
