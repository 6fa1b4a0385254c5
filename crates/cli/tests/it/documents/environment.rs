//! The environment variables that the sources read, as far as they name them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::support;

/// Folders of the repository with sources, and files at their top.
const FOLDERS: [&str; 7] = [
    "benches", "crates", "examples", "python", "scripts", "src", "tests",
];

/// How a variable is read, with its name or the name of a constant that holds it.
const READ: [&str; 4] = [
    r#"env::(?:var|var_os|set_var)\(\s*([A-Za-z_:"]+)"#,
    r#"\benv = ("[A-Z_]+")"#,
    r#"environ(?:\.get|\.setdefault)?[\[(](["'][A-Z_]+["'])"#,
    r"\$\{([A-Z_]+):-",
];

/// The variables by name, each with one file that reads it.
pub fn variables() -> BTreeMap<String, String> {
    let read = READ.map(|pattern| Regex::new(pattern).unwrap());
    let constant = Regex::new(r#"const ([A-Z_]+): &str = "([A-Z_]+)";"#).unwrap();
    let mut variables = BTreeMap::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let place = path
            .strip_prefix(support::root())
            .unwrap()
            .display()
            .to_string();
        let constants: BTreeMap<&str, &str> = constant
            .captures_iter(&text)
            .map(|found| found.extract())
            .map(|(_, [name, value])| (name, value))
            .collect();
        for name in read.iter().flat_map(|read| read.captures_iter(&text)) {
            let given = &name[1];
            let name = given.trim_matches(['"', '\'']);
            let name = match given.starts_with(['"', '\'']) || place.ends_with(".sh") {
                true => name,
                // A constant of another file is found where that file reads it.
                false => match constants.get(name) {
                    Some(name) => name,
                    None => continue,
                },
            };
            variables.insert(name.to_owned(), place.clone());
        }
    }
    variables
}

/// All sources in Rust, Python and for shells.
fn sources() -> Vec<PathBuf> {
    let mut sources = Vec::new();
    for folder in FOLDERS {
        collect(&support::root().join(folder), &mut sources);
    }
    assert!(sources.len() > 300, "{}", sources.len());
    sources
}

fn collect(folder: &Path, sources: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if path.is_dir() {
            collect(&path, sources);
        } else if matches!(ending, Some("rs" | "py" | "sh")) {
            sources.push(path);
        }
    }
}
