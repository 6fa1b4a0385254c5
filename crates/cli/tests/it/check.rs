//! `cnn-codes check` end to end.

use crate::support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cnn_codes::codes::{Dtype, Pool};
use image::{Rgb, RgbImage, imageops};
use serde_json::Value;
use support::scenes::{save, scene, sound};

fn check(folder: &Path, arguments: &[&str]) -> (Value, Option<i32>) {
    let output = support::cnn_codes()
        .current_dir(folder)
        .arg("check")
        .args(arguments)
        .args(["--format", "json"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{stderr}"));
    (json, output.status.code())
}

/// The paths of each group of copies, with its kinds.
fn groups(found: &Value) -> Vec<(Vec<String>, Vec<String>)> {
    let texts = |list: &Value, key: Option<&str>| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|item| {
            key.map_or(item, |key| &item[key])
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
    };
    let groups = found["duplicates"].as_array().unwrap().iter();
    groups
        .map(|group| {
            (
                texts(&group["pictures"], Some("path")),
                texts(&group["kinds"], None),
            )
        })
        .collect()
}

fn of_kind(found: &Value, kind: &str) -> Vec<String> {
    let findings = found["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| finding["kind"] == kind)
        .map(|finding| finding["path"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn nothing_is_found_in_sound_pictures() {
    let folder = tempfile::tempdir().unwrap();
    sound(folder.path());
    let (found, code) = check(folder.path(), &["train", "--strict"]);
    assert_eq!(found["counts"], serde_json::json!({}));
    assert_eq!(found["inputs"][0]["classes"][1]["color_modes"]["rgb"], 10);
    assert_eq!(code, Some(0));
}

#[test]
fn what_is_wrong_with_single_pictures_is_named() {
    let folder = tempfile::tempdir().unwrap();
    sound(folder.path());
    let train = folder.path().join("train");
    let whole = fs::read(train.join("a/1.png")).unwrap();
    fs::write(train.join("a/cut.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(train.join("a/page.jpg"), "<html>gone</html>").unwrap();
    save(
        &train,
        "b/small.png",
        &imageops::thumbnail(&scene(50), 20, 40),
    );
    save(
        &train,
        "b/strip.png",
        &imageops::resize(&scene(51), 300, 60, imageops::Triangle),
    );
    save(
        &train,
        "b/blank.png",
        &RgbImage::from_pixel(64, 64, Rgb([250; 3])),
    );
    save(
        &train,
        "b/blank too.png",
        &RgbImage::from_pixel(70, 64, Rgb([250, 250, 249])),
    );
    let (found, code) = check(folder.path(), &["train"]);
    assert_eq!(of_kind(&found, "broken"), ["a/cut.png", "a/page.jpg"]);
    assert_eq!(of_kind(&found, "tiny"), ["b/small.png"]);
    assert_eq!(of_kind(&found, "extreme_aspect"), ["b/strip.png"]);
    assert_eq!(of_kind(&found, "blank"), ["b/blank too.png", "b/blank.png"]);
    assert!(groups(&found).is_empty(), "blank pictures are no copies");
    assert_eq!(code, Some(0));
    for (strict, code) in [
        ("--strict", 1),
        ("--strict=blank,leakage", 1),
        ("--strict=leakage", 0),
    ] {
        assert_eq!(
            check(folder.path(), &["train", strict]).1,
            Some(code),
            "{strict}"
        );
    }
}

#[test]
fn copies_are_found_in_a_class_in_two_classes_and_in_two_inputs() {
    let folder = tempfile::tempdir().unwrap();
    sound(folder.path());
    let path = folder.path();
    fs::copy(path.join("train/a/1.png"), path.join("train/a/1 again.png")).unwrap();
    save(
        path,
        "train/b/2 mirrored.png",
        &imageops::flip_horizontal(&scene(2)),
    );
    let cropped = imageops::crop_imm(&scene(103), 3, 2, 90, 68).to_image();
    let larger = imageops::resize(&cropped, 180, 136, imageops::CatmullRom);
    save(path, "validation/b/3 cropped.png", &larger);
    save(path, "validation/a/new.png", &scene(200));
    let (found, _) = check(path, &["train", "validation"]);
    let expected = [
        (["b/3.png", "b/3 cropped.png"], "leakage"),
        (["a/2.png", "b/2 mirrored.png"], "contradiction"),
        (["a/1 again.png", "a/1.png"], "duplicate"),
    ];
    let expected: Vec<_> = expected
        .map(|(paths, kind)| (paths.map(str::to_owned).to_vec(), vec![kind.to_owned()]))
        .to_vec();
    assert_eq!(groups(&found), expected);
    assert_eq!(found["inputs"][1]["leaked"], 1);
    let of_last = &found["duplicates"][2]["pictures"][1];
    assert_eq!(
        (&of_last["same_bytes"], &of_last["like"]),
        (&true.into(), &0.into())
    );
    assert_eq!(found["duplicates"][1]["pictures"][1]["mirrored"], true);
}

#[test]
fn the_copies_are_a_table_of_groups_for_train_head() {
    let folder = tempfile::tempdir().unwrap();
    sound(folder.path());
    let train = folder.path().join("train");
    save(&train, "a/again.png", &imageops::flip_horizontal(&scene(1)));
    let original = fs::read(train.join("b/1.png")).unwrap();
    fs::write(train.join("b/same.png"), original).unwrap();
    let (found, _) = check(folder.path(), &["train", "--groups", "groups.csv"]);
    let expected = groups(&found)
        .into_iter()
        .enumerate()
        .flat_map(|(number, (paths, _))| {
            let row = move |path| [path, format!("copies {number}")];
            paths.into_iter().map(row).collect::<Vec<_>>()
        });
    let mut table = csv::Reader::from_path(folder.path().join("groups.csv")).unwrap();
    assert_eq!(table.headers().unwrap(), &vec!["path", "group"]);
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    assert!(rows.iter().any(|row| &row[0] == "b/same.png"));
    assert!(
        rows.iter()
            .map(|row| [row[0].to_owned(), row[1].to_owned()])
            .eq(expected)
    );
}

#[test]
fn any_number_of_threads_finds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    sound(folder.path());
    for seed in 0..10 {
        let turned = imageops::blur(&scene(seed), 0.8);
        save(folder.path(), &format!("train/b/copy {seed}.png"), &turned);
    }
    let (one, _) = check(folder.path(), &["train", "--threads", "1"]);
    let (many, _) = check(folder.path(), &["train", "--threads", "7"]);
    assert_eq!(groups(&one).len(), 10);
    assert_eq!(one, many);
}

#[test]
fn hundreds_of_altered_copies_are_one_group() {
    let folder = tempfile::tempdir().unwrap();
    sound(folder.path());
    let original = scene(1);
    for n in 0..300_u32 {
        let (left, above) = (n % 4, n / 4 % 4);
        let cut = imageops::crop_imm(&original, left, above, 96 - left - n % 3, 72 - above);
        let lit = imageops::colorops::brighten(&cut.to_image(), n as i32 % 20 - 10);
        save(folder.path(), &format!("train/b/{n:03}.png"), &lit);
    }
    let (found, _) = check(folder.path(), &["train"]);
    let groups = groups(&found);
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0].0.len(), 301);
    support::cnn_codes()
        .current_dir(folder.path())
        .args(["check", "train"])
        .assert()
        .stdout(predicates::str::contains("    and 281 more\n"));
}

/// Leaves something of this kind in `folder`, and nothing of another; the inputs to check.
fn spoil(folder: &Path, kind: &str) -> Vec<&'static str> {
    sound(folder);
    let train = folder.join("train");
    let (mut labels, mut outliers) = (vec![], vec![]);
    match kind {
        "broken" => fs::write(train.join("a/x.png"), "<html>").unwrap(),
        "tiny" => save(&train, "a/x.png", &imageops::thumbnail(&scene(50), 30, 40)),
        "extreme_aspect" => {
            let strip = imageops::resize(&scene(51), 300, 60, imageops::Triangle);
            save(&train, "a/x.png", &strip);
        }
        "blank" => save(
            &train,
            "a/x.png",
            &RgbImage::from_pixel(64, 64, Rgb([250; 3])),
        ),
        // 11 to 1.
        "imbalance" => {
            save(&train, "a/x.png", &scene(50));
            save(&train, "c/x.png", &scene(51));
        }
        "duplicate" => save(&train, "a/x.png", &imageops::blur(&scene(1), 0.8)),
        "contradiction" => save(&train, "b/x.png", &imageops::blur(&scene(1), 0.8)),
        "leakage" => {
            save(folder, "other/a/x.png", &imageops::blur(&scene(1), 0.8));
            save(folder, "other/b/x.png", &scene(50));
            return vec!["train", "other"];
        }
        "outlier" => outliers.push(3),
        "doubtful_label" => labels.push(3),
        other => panic!("{other}"),
    }
    if labels.is_empty() && outliers.is_empty() {
        return vec!["train"];
    }
    write_store(&folder.join("store"), &labels, &outliers);
    vec!["train", "store"]
}

/// A store of 60 codes of two classes in turns, near to two directions. Rows of `wrong` have the
/// other class's label, and those of `odd` lie far off, on their own class's side.
fn write_store(out: &Path, wrong: &[usize], odd: &[usize]) {
    let rows: Vec<_> = (0..60)
        .map(|row| {
            let noise = blake3::hash(&[row as u8]);
            let mut code: Vec<f32> = (0..6)
                .map(|i| f32::from(noise.as_bytes()[i]) / 1e3)
                .collect();
            code[row % 2] += 2.0;
            code[5] += if odd.contains(&row) { 3.0 } else { 0.0 };
            ((row + usize::from(wrong.contains(&row))) % 2, code)
        })
        .collect();
    support::write_codes(out, support::description(Dtype::F32, Pool::None), &rows);
}

#[test]
fn strict_fails_for_each_kind_if_it_is_named_and_there() {
    let kinds = [
        "broken",
        "tiny",
        "extreme_aspect",
        "blank",
        "imbalance",
        "duplicate",
        "contradiction",
        "leakage",
        "outlier",
        "doubtful_label",
    ];
    for kind in kinds {
        let folder = tempfile::tempdir().unwrap();
        let inputs = spoil(folder.path(), kind);
        let check = |strict: &str| {
            let (found, code) = check(folder.path(), &[&inputs[..], &[strict]].concat());
            (found["counts"].clone(), code)
        };
        // A wrong label lies far from its class, too.
        let also = if kind == "doubtful_label" {
            "outlier"
        } else {
            kind
        };
        let (found, code) = check(&format!("--strict={kind}"));
        assert!(found[kind].as_u64() >= Some(1) && code == Some(1), "{kind}");
        let others: Vec<_> = kinds
            .into_iter()
            .filter(|k| *k != kind && *k != also)
            .collect();
        let (found, code) = check(&format!("--strict={}", others.join(",")));
        assert_eq!(code, Some(0), "{kind}: {found}");
        assert_eq!(check("--strict").1, Some(1), "{kind}");
    }
}

#[test]
fn codes_that_are_all_the_same_speak_against_no_label() {
    let folder = tempfile::tempdir().unwrap();
    sound(folder.path());
    for value in [0.0, 1.0, 1e-45, 3e38] {
        let out = folder.path().join(format!("store of {value:e}"));
        let rows: Vec<_> = (0..20).map(|row| (row % 2, vec![value; 6])).collect();
        support::write_codes(&out, support::description(Dtype::F32, Pool::None), &rows);
        let (found, code) = check(folder.path(), &[out.to_str().unwrap(), "train"]);
        assert_eq!(code, Some(0), "{value}: {found}");
        assert!(of_kind(&found, "doubtful_label").is_empty());
        assert!(of_kind(&found, "outlier").is_empty());
    }
}

#[test]
fn labels_that_the_codes_speak_against_are_those_that_are_wrong() {
    let folder = tempfile::tempdir().unwrap();
    sound(folder.path());
    let (wrong, odd) = ([4, 17, 30, 51], [8, 23]);
    write_store(&folder.path().join("store"), &wrong, &odd);
    let (found, _) = check(folder.path(), &["store", "train"]);
    let names = |rows: &[usize]| -> BTreeSet<String> {
        rows.iter().map(|row| format!("{row}.jpg")).collect()
    };
    let doubtful = of_kind(&found, "doubtful_label")
        .into_iter()
        .collect::<BTreeSet<_>>();
    assert_eq!(doubtful, names(&wrong));
    let outliers = of_kind(&found, "outlier")
        .into_iter()
        .collect::<BTreeSet<_>>();
    assert_eq!(outliers, names(&[&wrong[..], &odd].concat()));
    let findings = found["findings"].as_array().unwrap().iter();
    for finding in findings.filter(|finding| finding["kind"] == "doubtful_label") {
        assert_eq!(finding["input"], "store");
        let row: usize = finding["path"]
            .as_str()
            .unwrap()
            .trim_end_matches(".jpg")
            .parse()
            .unwrap();
        let [label, rather] = if row.is_multiple_of(2) {
            ["b c", "a"]
        } else {
            ["a", "b c"]
        };
        assert_eq!(finding["class"], label);
        let detail = finding["detail"].as_str().unwrap();
        assert!(
            detail.starts_with(&format!("rather '{rather}': probability ")),
            "{detail}"
        );
    }

    // Pictures of the store are shown where a folder has them with the bytes that they had.
    support::cnn_codes()
        .current_dir(folder.path())
        .args(["check", "train", "store"])
        .assert()
        .success()
        .stdout(predicates::str::contains(
            "  4.jpg (of store) [b c]: rather 'a'",
        ));
}

#[test]
fn a_store_without_labels_to_doubt_is_refused_before_anything_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    sound(folder.path());
    let one_class: Vec<_> = (0..9).map(|_| (1, vec![1.0; 6])).collect();
    let description = support::description(Dtype::F32, Pool::None);
    support::write_codes(&folder.path().join("store"), description, &one_class);
    support::cnn_codes()
        .current_dir(folder.path())
        .args(["check", "train", "store", "--html", "page.html"])
        .assert()
        .code(1)
        .stdout("")
        .stderr(predicates::str::contains("'b c'"));
    assert!(!folder.path().join("page.html").exists());
}

#[test]
fn an_input_given_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    sound(folder.path());
    support::cnn_codes()
        .current_dir(folder.path())
        .args(["check", "train", "train"])
        .assert()
        .code(1)
        .stderr(predicates::str::contains("train is given twice"));
}
