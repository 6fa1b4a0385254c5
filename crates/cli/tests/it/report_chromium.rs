//! report.html in a browser, where Chromium is installed.

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use support::judged::Place;

/// Time after which a browser that hangs is killed.
const PATIENCE: Duration = Duration::from_secs(90);

/// What is tried in the page. Its findings come back in an attribute of the root element.
const CHECK: &str = r#"
"use strict";
addEventListener("load", () => {
  const shown = () => [...document.querySelectorAll(".card")].filter((card) => card.offsetParent).length;
  const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const tip = document.getElementById("tip");
  const found = {};
  found.all = shown();
  found.cells = [...document.querySelectorAll("a[data-cell]")].map((cell) => {
    cell.click();
    return [Number(cell.textContent), shown()];
  });
  found.status = document.getElementById("filter").textContent;
  press("Escape");
  found.again = shown();
  const points = [...document.querySelectorAll("a.point")];
  points[0].focus();
  found.tip = !tip.hidden && tip.querySelectorAll("img").length;
  press("ArrowRight");
  found.second = document.activeElement === points[1];
  document.activeElement.blur();
  found.gone = tip.hidden;
  found.broken = [...document.images].filter((image) => image.naturalWidth === 0).length;
  const fills = [...document.querySelectorAll(".point .mark")].map((mark) => getComputedStyle(mark).fill);
  found.colours = new Set(fills).size;
  found.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  found.styled = getComputedStyle(document.querySelector(".card")).borderTopStyle;
  document.documentElement.setAttribute("data-found", JSON.stringify(found));
});
"#;

/// The browser; without it the test is skipped.
fn chromium() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = std::env::split_paths(&folders)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file());
    if found.is_none() {
        support::skip!("there is no chromium in PATH");
    }
    found
}

/// Runs the browser on a page, with a profile of its own, and kills it if it hangs.
fn browse(chromium: &Path, page: &Path, arguments: &[&str]) -> Output {
    let profile = tempfile::tempdir().unwrap();
    let output = tempfile::tempdir().unwrap();
    let file = |name: &str| fs::File::create(output.path().join(name)).unwrap();
    let mut browser = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ])
        .args([
            "--no-first-run",
            "--enable-logging=stderr",
            "--virtual-time-budget=5000",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(arguments)
        .arg(format!("file://{}", page.display()))
        .stdout(file("stdout"))
        .stderr(file("stderr"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = browser.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            browser.kill().unwrap();
            browser.wait().unwrap();
            panic!("the browser did not end within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let read = |name: &str| fs::read(output.path().join(name)).unwrap();
    Output {
        status,
        stdout: read("stdout"),
        stderr: read("stderr"),
    }
}

/// A report with a class of markup, a mistake, and a picture that is missing.
fn page() -> Place {
    let place = Place::of_classes(["<img src=x onerror=alert(1)>", "b c"]);
    let rows = (0..12).map(|row| {
        let name = format!("{row}-{}.png", "long".repeat(20));
        if row > 0 {
            place.noise(&name, row + 1);
        }
        let label = row as usize % 2;
        (name, label, if row == 9 { 0 } else { label })
    });
    place.store("validation", rows.collect::<Vec<_>>(), b"");
    place.train().assert().success();
    place
}

/// The page with the check in it, which its policy has to allow.
fn with_check(place: &Place) -> PathBuf {
    let hash = BASE64_STANDARD.encode(Sha256::digest(CHECK));
    let page = place.read("head/report.html");
    let page = page.replacen("script-src ", &format!("script-src 'sha256-{hash}' "), 1);
    let page = page.replacen("</body>", &format!("<script>{CHECK}</script></body>"), 1);
    let path = place.path("checked.html");
    fs::write(&path, page).unwrap();
    path
}

#[test]
fn filter_map_and_keys_work_without_a_console_error() {
    let Some(chromium) = chromium() else { return };
    let place = page();
    let checked = with_check(&place);
    for size in ["--window-size=400,800", "--window-size=1600,1000"] {
        let output = browse(&chromium, &checked, &["--dump-dom", size]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("CONSOLE"), "{said}");
        let dom = String::from_utf8_lossy(&output.stdout);
        let found = dom.split("data-found=\"").nth(1).expect("the check ran");
        let found = found.split('"').next().unwrap().replace("&quot;", "\"");
        let found: serde_json::Value = serde_json::from_str(
            &found
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&"),
        )
        .unwrap();
        assert_eq!(
            (&found["all"], &found["again"]),
            (&12.into(), &12.into()),
            "{found}"
        );
        // Three cells of each head are not 0, and all their pictures are in the page.
        let cells = found["cells"].as_array().unwrap();
        assert_eq!(cells.len(), 6);
        assert!(cells.iter().all(|cell| cell[0] == cell[1]), "{found}");
        assert_eq!(
            found["status"],
            "Shown: label b c, logistic regression's prediction b c: 5 pictures."
        );
        let expected = serde_json::json!({
            "second": true, "gone": true, "broken": 0, "overflow": 0, "colours": 2, "styled": "solid",
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&found[name], value, "{name}, {size}");
        }
        assert!(found["tip"].is_number(), "{found}");
    }
}

#[test]
fn it_is_drawn_and_printed() {
    let Some(chromium) = chromium() else { return };
    let place = page();
    let page = place.path("head/report.html");
    for (width, scheme) in [(400, 0), (400, 1), (1600, 0), (1600, 1)] {
        let picture = place.path("picture.png");
        let arguments = [
            format!("--screenshot={}", picture.display()),
            format!("--window-size={width},900"),
            format!("--blink-settings=preferredColorScheme={scheme}"),
        ];
        browse(&chromium, &page, &arguments.each_ref().map(String::as_str));
        let picture = image::open(&picture).unwrap().into_rgb8();
        // The corner has the colour of the page: dark or light.
        let is_dark = picture.get_pixel(1, 1).0.iter().all(|&level| level < 64);
        assert_eq!(is_dark, scheme == 0, "{width}");
    }
    let paper = place.path("paper.pdf");
    let print = format!("--print-to-pdf={}", paper.display());
    browse(&chromium, &page, &[print.as_str()]);
    assert!(fs::read(paper).unwrap().starts_with(b"%PDF"));
}
