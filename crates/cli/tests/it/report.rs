//! report.html, as train-head leaves it and `cnn-codes report` makes it anew.

use crate::support;

use std::fs;
use std::path::Path;

use cnn_codes::train::Report;
use predicates::prelude::predicate;
use proptest::prelude::*;
use proptest::sample::Index;
use support::damage::{damage, files, open};
use support::judged::Place;

/// Nine pictures of noise that look like their class, and one that does not.
fn ten(place: &Place) {
    let rows = (0..10).map(|row| {
        let name = format!("{row}.png");
        place.noise(&name, row + 1);
        let label = row as usize % 2;
        (name, label, if row == 9 { 0 } else { label })
    });
    place.store("validation", rows.collect::<Vec<_>>(), b"");
}

/// Values of an attribute in the page, in order.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let opening = format!(" {attribute}=\"");
    let parts = page.split(opening.as_str()).skip(1);
    parts.map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn the_sections_come_in_the_order_in_which_they_are_asked_about() {
    let place = Place::new();
    ten(&place);
    let page = place.page();
    let places = [
        "Not decided: the MLP's accuracy minus the logistic regression's is 0.0 points, 95% from \u{2212}23.1 to +23.1 (p = 1.000).",
        "McNemar's mid-p",
        "So few pictures show a difference of",
        "id=\"curves\"",
        "aria-label=\"Loss by epoch\"",
        "aria-label=\"Accuracy by epoch\"",
        "id=\"confusion\"",
        "label b c, MLP's prediction a: 1 picture",
        "id=\"gallery\"",
        "id=\"picture-9\"",
        "id=\"classes\"",
        "aria-label=\"Calibration of the MLP\"",
        "aria-label=\"Map of the codes\"",
        "id=\"configuration\"",
        "cnn-codes train-head --train train --validation validation --out head --hidden 8",
    ];
    let mut rest = page.as_str();
    for place in places {
        let found = rest
            .find(place)
            .unwrap_or_else(|| panic!("{place} is missing or too early"));
        rest = &rest[found..];
    }
    // Nothing was asked of the training store.
    assert!(!page.contains("id=\"abstention\""));
    // The mistake first, and then every other picture.
    let cards: Vec<_> = page
        .match_indices("<li class=\"card\" id=\"picture-")
        .collect();
    assert_eq!(cards.len(), 10);
    assert!(page[cards[0].0..].starts_with("<li class=\"card\" id=\"picture-9\""));
}

#[test]
fn the_floor_is_a_row_of_the_table_and_heads_of_before_have_none() {
    let place = Place::new();
    ten(&place);
    let page = place.page();
    assert_eq!(page.matches("<tr class=\"floor\">").count(), 2);
    assert!(page.contains("Most frequent class (a floor, not kept)"));
    assert!(page.contains("Nearest centroid (a floor, not kept)"));
    // As a version that knew no floor wrote it.
    let path = place.path("head/metrics.json");
    let mut metrics: serde_json::Value =
        serde_json::from_str(&place.read("head/metrics.json")).unwrap();
    metrics.as_object_mut().unwrap().remove("floors").unwrap();
    fs::write(&path, metrics.to_string()).unwrap();
    place.report().assert().success();
    let before = place.read("head/report.html");
    let rows = &page[page.find("<tr class=\"floor\">").unwrap()..];
    let rows = &rows[..rows.find("</tbody>").unwrap()];
    assert!(before == page.replace(rows, ""));

    place
        .train()
        .args(["--overwrite", "--head", "nearest-centroid"])
        .assert()
        .success();
    let alone = place.read("head/report.html");
    assert!(alone.contains("Nearest centroid on 10 pictures of 2 classes"));
    assert_eq!(alone.matches("class=\"floor\"").count(), 1);
    assert!(!alone.contains("Nearest centroid (a floor"));
    place.report().assert().success();
    assert!(place.read("head/report.html") == alone);
}

#[test]
fn the_page_is_made_anew_without_the_weights() {
    let place = Place::new();
    ten(&place);
    let page = place.page();
    for name in ["report.html", "mlp.safetensors", "logistic.safetensors"] {
        fs::remove_file(place.path("head").join(name)).unwrap();
    }
    place.report().assert().success();
    assert!(place.read("head/report.html") == page);
}

#[test]
fn the_page_is_made_anew_from_the_files_alone() {
    let place = Place::new();
    ten(&place);
    let page = place.page();
    fs::remove_file(place.path("head/report.html")).unwrap();
    for store in ["train", "validation"] {
        fs::remove_dir_all(place.path(store)).unwrap();
    }
    place
        .report()
        .assert()
        .success()
        .stdout(predicate::str::contains("report: head/report.html"));
    assert!(place.read("head/report.html") == page);
}

#[test]
fn one_head_and_folds_are_reported_too() {
    let place = Place::new();
    ten(&place);
    let mut folds = support::cnn_codes();
    folds.current_dir(place.folder()).args([
        "train-head",
        "--train",
        "validation",
        "--out",
        "head",
        "--folds",
        "2",
        "--head",
        "logistic",
        "--calibrate",
        "--tune",
    ]);
    folds.assert().success();
    let page = place.read("head/report.html");
    assert!(page.contains("it is the only head, so there is no other to compare it with"));
    assert!(page.contains("each by heads that were trained without its fold, one of 2"));
    assert!(page.contains("Answering only where a head is sure"));
    assert!(
        page.contains("aria-label=\"Wrong answers by the share of pictures that are answered\"")
    );
    assert!(page.contains("Tuning of the logistic regression") && !page.contains("id=\"curves\""));
    place.report().assert().success();
    assert!(place.read("head/report.html") == page);
}

#[test]
fn names_are_text_and_never_markup() {
    let hostile = "<img src=x onerror=alert(1)>";
    let place = Place::of_classes([hostile, "b\" onload=\"alert(2)"]);
    let long = "x".repeat(3000);
    let names = [
        "</script><script>alert(3)</script>.png",
        "'\"><svg onload=alert(4)>&lt;.png",
        "\u{202e}gnp.exe",
        "</style><b>.png",
        &long,
    ];
    let rows = names.iter().enumerate();
    let rows = rows.map(|(row, name)| ((*name).to_owned(), row % 2, 0));
    place.store("validation", rows, b"");
    let page = place.page();
    for markup in [
        "<img src=x",
        "<svg onload",
        "<script>alert",
        "</style><b>",
        "\u{202e}",
    ] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("<style").count(), 1);
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;"));
    assert!(page.contains("b&quot; onload=&quot;alert(2)"));
    assert!(page.contains("'&quot;&gt;&lt;svg onload=alert(4)&gt;&amp;lt;.png"));
    assert!(page.contains(r"\u{202e}gnp.exe"));
}

#[test]
fn the_page_asks_for_nothing_outside_of_it() {
    let place = Place::new();
    ten(&place);
    let page = place.page();
    for target in values(&page, "src") {
        assert!(target.starts_with("data:image/jpeg;base64,"), "{target}");
    }
    for target in values(&page, "href") {
        assert!(target.starts_with('#'), "{target}");
    }
    assert!(!page.contains("url(") && !page.contains("@import") && !page.contains("://"));
    assert!(page.contains("default-src 'none'; img-src data:; style-src 'sha256-"));
}

#[test]
fn pictures_that_are_gone_or_changed_have_placeholders() {
    let place = Place::new();
    ten(&place);
    fs::remove_file(place.path("pictures/3.png")).unwrap();
    place.noise("4.png", 99);
    let page = place.page();
    assert_eq!(values(&page, "src").len(), 8);
    assert_eq!(page.matches("not there any more").count(), 1);
    assert_eq!(page.matches("changed since its code was taken").count(), 1);

    fs::rename(place.path("pictures"), place.path("moved")).unwrap();
    place.report().assert().success();
    let page = place.read("head/report.html");
    assert_eq!(page.matches("not there any more").count(), 10);
    place
        .report()
        .args(["--pictures", "moved"])
        .assert()
        .success();
    assert_eq!(values(&place.read("head/report.html"), "src").len(), 8);
    place
        .report()
        .args(["--pictures", "mvoed"])
        .assert()
        .code(2)
        .stderr(predicates::str::contains("there is no such folder"));
    assert_eq!(values(&place.read("head/report.html"), "src").len(), 8);
}

#[test]
fn a_hundred_and_fifty_pictures_of_noise_are_less_than_5_mb() {
    let place = Place::new();
    let rows = (0..150).map(|row| {
        let name = format!("{row}.png");
        place.noise(&name, row + 1);
        (name, row as usize % 2, row as usize % 2)
    });
    place.store("validation", rows.collect::<Vec<_>>(), b"");
    let page = place.page();
    assert_eq!(values(&page, "src").len(), 150);
    assert!(page.len() < 5_000_000, "{}", page.len());
}

#[test]
fn thousands_of_pictures_are_capped_and_the_page_says_so() {
    let place = Place::new();
    // Every fourth picture looks like the other class.
    let rows = (0..3000).map(|row| {
        let label = row % 2;
        (
            format!("{row}.png"),
            label,
            if row % 4 == 0 { 1 - label } else { label },
        )
    });
    place.store("validation", rows, b"");
    let page = place.page();
    assert_eq!(page.matches("<li class=\"card\"").count(), 200);
    assert!(page.contains(
        "This page holds 200 of the 3000 judged pictures: 160 of 750 misclassified ones, the most \
         confident mistakes first, and the 40 least sure of 2250 right ones."
    ));
    assert!(page.contains("Of 3000 pictures, 1000 are drawn"));
    assert_eq!(page.matches("data-row=").count(), 1000);
}

#[test]
fn files_that_lack_or_contradict_are_named_with_advice() {
    let place = Place::new();
    ten(&place);
    place.train().assert().success();
    let fails = |name: &str, contents: Option<&str>, expected: &str| {
        let path = place.path("head").join(name);
        let before = fs::read(&path).unwrap();
        match contents {
            Some(contents) => fs::write(&path, contents).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        place
            .report()
            .assert()
            .code(1)
            .stderr(predicate::str::contains(format!("head/{name}")))
            .stderr(predicate::str::contains(expected));
        fs::write(path, before).unwrap();
    };
    let page = place.read("head/report.html");
    fails(
        "provenance.json",
        None,
        "train the head again with --overwrite",
    );
    fails("provenance.json", Some("{"), "cannot be used");
    fails(
        "pictures.csv",
        Some("row,blake3,component_1,component_2\n"),
        "it has 0 pictures, and",
    );
    let predictions = place.read("head/predictions.csv");
    let cut = &predictions[..predictions.trim_end().rfind('\n').unwrap() + 1];
    fails(
        "predictions.csv",
        Some(cut),
        "lacks predictions of some pictures",
    );
    let other = predictions.replacen(",b c,", ",d,", 1);
    fails(
        "predictions.csv",
        Some(&other),
        "'d' is none of the classes",
    );
    let repeated = predictions.replacen("\n1,", "\n7,", 1);
    fails("predictions.csv", Some(&repeated), "it calls itself row 7");
    fails("metrics.json", Some("{}"), "cannot be used");
    assert!(
        place.read("head/report.html") == page,
        "a failure leaves the page that was there"
    );
}

#[test]
fn what_a_killed_run_left_of_the_page_is_swept() {
    let place = Place::new();
    ten(&place);
    place.page();
    let left = place.path("head/.cnn-codes-aB3xYz.partial");
    fs::write(&left, "half a page").unwrap();
    let mut command = support::cnn_codes();
    command.current_dir(place.path("")).args(["report", "head"]);
    command.assert().success();
    assert!(!left.exists());
}

#[test]
fn files_with_any_damage_are_a_report_or_an_error_with_the_file() {
    let place = Place::new();
    ten(&place);
    let page = place.page();
    let mut good = files(&place.path("head"));
    good.remove("report.html");
    let read = |files: &_| Report::read_from(Path::new("HEAD"), &|path| open(files, path));
    read(&good).unwrap();
    proptest!(ProptestConfig::with_cases(64), |(file: Index, damage in damage())| {
        let mut files = good.clone();
        let name = good.keys().nth(file.index(good.len())).unwrap();
        let damaged = damage.to(&good[name]);
        files.insert(name.clone(), damaged.clone());
        match read(&files) {
            // Whatever can be read has a page.
            Ok(_) => {
                fs::write(place.path("head").join(name), damaged).unwrap();
                place.report().args(["--pictures", "head"]).assert().success();
                prop_assert!(place.read("head/report.html").ends_with("</html>"));
                fs::write(place.path("head").join(name), &good[name]).unwrap();
            }
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.contains("HEAD/"), "{}", message);
            }
        }
    });
    place.report().assert().success();
    assert!(place.read("head/report.html") == page);
}
