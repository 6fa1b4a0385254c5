//! The page of `cnn-codes check`.

use crate::support;

use std::fs;

use image::{Rgb, RgbImage};
use support::scenes::{save, sound};

/// The text between two texts, the first time.
fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("{start}"));
    rest.split_once(end).unwrap_or_else(|| panic!("{end}")).0
}

#[cfg(unix)]
#[test]
fn the_page_stands_by_itself_and_shows_copies_side_by_side_whatever_they_are_called() {
    let folder = tempfile::tempdir().unwrap();
    sound(folder.path());
    let path = |name: &str| folder.path().join("train").join(name);
    let class = "<img src=x onerror=alert(1)>";
    fs::create_dir(path(class)).unwrap();
    let name = "\"quoted\" & 'quoted' <script>.png";
    fs::copy(path("a/1.png"), path(class).join(name)).unwrap();
    fs::write(path(class).join("<style>.png"), "broken").unwrap();
    support::cnn_codes()
        .current_dir(folder.path())
        .args(["check", "train", "--html", "page.html"])
        .assert()
        .success();
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();

    assert!(!page.contains("<img src=x") && !page.contains("<script") && !page.contains("http:"));
    assert_eq!(
        page.matches("</style>").count(),
        1,
        "that of the page itself"
    );
    assert!(page.contains("<bdi>&lt;img src=x onerror=alert(1)&gt;</bdi>"));
    assert!(page.contains("&quot;quoted&quot; &amp; 'quoted' &lt;script&gt;.png"));
    let policy = between(
        &page,
        "http-equiv=\"Content-Security-Policy\" content=\"",
        "\"",
    );
    assert!(
        policy.starts_with("default-src 'none'; img-src data:;"),
        "{policy}"
    );
    // Nothing is fetched, but for what the page itself holds.
    assert_eq!(
        page.matches("src=\"").count(),
        page.matches("src=\"data:image/jpeg").count()
    );

    let row = between(&page, "<ol class=\"cards found copies\">", "</ol>");
    assert_eq!(row.matches("<li class=\"card\">").count(), 2);
    let pictures: Vec<_> = row
        .split("src=\"")
        .skip(1)
        .map(|rest| rest.split('"').next())
        .collect();
    assert_eq!(pictures.len(), 2);
    assert_eq!(pictures[0], pictures[1], "the same picture twice");
    assert!(row.contains("the same bytes as 1"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_page_for_which_there_is_no_room_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    sound(folder.path());
    for class in ["a", "b"] {
        // Noise, of which not even the small picture is small.
        let noise = RgbImage::from_fn(160, 160, |x, y| {
            Rgb(blake3::hash(&[x as u8, y as u8]).as_bytes()[..3]
                .try_into()
                .unwrap())
        });
        save(folder.path(), &format!("train/{class}/noise.png"), &noise);
    }
    fs::write(folder.path().join("page.html"), "old").unwrap();
    let limited = |kib: u32| {
        // Files may not grow beyond this: writing fails as it does on a full disk.
        let command = format!(
            "trap '' XFSZ; ulimit -f {kib}; exec '{}' check train --html page.html",
            assert_cmd::cargo::cargo_bin!("cnn-codes").display(),
        );
        assert_cmd::Command::new("bash")
            .current_dir(folder.path())
            .args(["-c", &command])
            .assert()
            .code(1)
    };
    limited(32).stderr(predicates::str::contains(
        "error: cannot write page.html: File too large",
    ));
    // 22 thumbnails of 1 KiB find no room.
    limited(8).stderr(predicates::str::contains(
        "error: cannot keep thumbnails in a temporary file",
    ));
    assert_eq!(fs::read(folder.path().join("page.html")).unwrap(), b"old");
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        2,
        "train and the page"
    );
}
