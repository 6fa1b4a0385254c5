//! What --private leaves out of stores and heads.

use crate::support;

use std::fs;
use std::path::Path;

use support::cnn_codes;
use support::place::{Extract, Place, quarters};

/// The user whose folder the pictures are in.
const USER: &str = "ottilie";

/// The files below `folder` that hold `text`.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        if bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
        {
            found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    found.sort();
    found
}

#[test]
fn stores_and_heads_made_in_private_name_neither_folders_nor_the_user() {
    let Some(place) = Place::new() else { return };
    let home = place.path().join("home").join(USER);
    for class in ["a", "b"] {
        for picture in 0..6 {
            let name = format!("home/{USER}/pictures/{class}/{picture}.png");
            place.save(&name, &quarters([40 * picture, 250 - 40 * picture, 9]));
        }
    }
    let at = |name: &str| home.join(name).to_str().unwrap().to_owned();
    let run = |arguments: &[&str]| {
        let output = cnn_codes().args(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {said}");
    };
    let card = place.path().join("tiny.toml").to_str().unwrap().to_owned();
    let pictures = at("pictures");
    for (private, suffix) in [(&[][..], "open"), (&["--private"][..], "private")] {
        let (store, head) = (
            at(&format!("store-{suffix}")),
            at(&format!("head-{suffix}")),
        );
        let extract = [
            "extract-features",
            &pictures,
            "--out",
            &store,
            "--card",
            &card,
        ];
        run(&[&extract[..], private].concat());
        let train = [
            "train-head",
            "--train",
            &store,
            "--folds",
            "2",
            "--epochs",
            "1",
        ];
        let more = ["--out", &head, "--pictures", &pictures];
        run(&[&train[..], &more, private].concat());
    }
    let temporary = place.path().to_str().unwrap();
    for text in [USER, temporary] {
        assert_eq!(files_with(&home.join("store-open"), text), ["store.json"]);
        let told = files_with(&home.join("head-open"), text);
        assert_eq!(told, ["provenance.json", "report.html"]);
        assert!(
            files_with(&home.join("store-private"), text).is_empty(),
            "{text}"
        );
        assert!(
            files_with(&home.join("head-private"), text).is_empty(),
            "{text}"
        );
    }
    let page = |head: &str| fs::read_to_string(home.join(head).join("report.html")).unwrap();
    let n_thumbnails = |page: &str| page.matches("data:image/").count();
    assert!(n_thumbnails(&page("head-private")) > 0);
    assert_eq!(
        n_thumbnails(&page("head-private")),
        n_thumbnails(&page("head-open"))
    );

    // Made anew, the page of the other head leaves them out too, and has its pictures.
    run(&["report", &at("head-open"), "--private"]);
    assert_eq!(
        files_with(&home.join("head-open"), USER),
        ["provenance.json"]
    );
    assert_eq!(
        n_thumbnails(&page("head-open")),
        n_thumbnails(&page("head-private"))
    );
    run(&["report", &at("head-private"), "--pictures", &pictures]);
    assert!(n_thumbnails(&page("head-private")) > 0);
    assert!(files_with(&home.join("head-private"), USER).is_empty());
}

#[test]
fn names_that_private_cannot_leave_out_are_refused() {
    let Some(place) = Place::new() else { return };
    let refused = |arguments: &[&str], expected: &str| {
        let mut command = place.extract();
        let output = command.args(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && said.contains(expected),
            "{said}"
        );
    };
    place.extract().assert().success();
    refused(&["--private"], "was made before without --private");
    place
        .extract()
        .args(["--private", "--overwrite"])
        .assert()
        .success();

    let picture = place.path().join("pictures/zwei Wörter/sub/2.png");
    let mut command = cnn_codes();
    command
        .current_dir(place.path())
        .write_stdin(picture.to_str().unwrap());
    let output = command
        .args([
            "extract-features",
            "-",
            "--out",
            "listed",
            "--card",
            "tiny.toml",
            "--private",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("--private cannot leave out the path"),
        "{said}"
    );
    assert!(!place.path().join("listed").exists());
}
