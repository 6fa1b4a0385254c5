//! Pictures to split, and what a split leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};

/// A checkered picture of 48 x 48 pixels that no other seed has.
pub fn picture(seed: u32) -> RgbImage {
    RgbImage::from_fn(48, 48, |x, y| {
        let field = blake3::hash(&[seed as u8, (x / 6) as u8, (y / 6) as u8]);
        Rgb([
            field.as_bytes()[0],
            field.as_bytes()[0],
            field.as_bytes()[1],
        ])
    })
}

/// 20 pictures of class a and 10 of class b in `images`.
pub fn images(folder: &Path) {
    for (class, n, first) in [("a", 20, 0), ("b", 10, 100)] {
        let class = folder.join("images").join(class);
        fs::create_dir_all(class.join("sub")).unwrap();
        for number in 0..n {
            let sub = if number % 2 == 0 { "sub/" } else { "" };
            let path = class.join(format!("{sub}{number}.png"));
            picture(first + number).save(path).unwrap();
        }
    }
}

/// Every file below `folder`, by its path.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
                found.insert(name.replace('\\', "/"), fs::read(&path).unwrap());
            }
        }
    }
    found
}

pub fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Path to part, from split.csv.
pub fn table(out: &Path) -> BTreeMap<String, String> {
    let mut table = csv::Reader::from_path(out.join("split.csv")).unwrap();
    assert_eq!(
        table.headers().unwrap(),
        vec!["path", "label", "part", "group"]
    );
    let rows = table.records().map(Result::unwrap);
    rows.map(|row| (row[0].to_owned(), row[2].to_owned()))
        .collect()
}
