//! A store in parts: `STORE/part-00000-of-00004` and its siblings, each made by its own job.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Counts, MANIFEST, Manifest, Shard, StoreDescription, StoreError};

/// The most missing parts that a message names.
const NAMED_PARTS: usize = 10;

/// Whether the name of a folder in `dir` is that of a part. An unreadable folder holds none.
pub(super) fn are_in(dir: &Path) -> bool {
    named(dir).is_ok_and(|parts| !parts.is_empty())
}

/// All parts in `dir`, in order; empty if there are none.
///
/// # Errors
/// [`StoreError::Parts`] if the folders' names state different numbers of parts,
/// [`StoreError::MissingParts`] if parts are missing.
pub(super) fn find(dir: &Path) -> Result<Vec<Shard>, StoreError> {
    let named = match named(dir) {
        Ok(named) => named,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(Vec::new()),
                _ => Err(StoreError::reading(dir)(error)),
            };
        }
    };
    let is_complete = |part: &Shard| path_of(dir, *part).join(MANIFEST).is_file();
    complete(named, is_complete).map_err(|incomplete| match incomplete {
        Incomplete::Mixed(reason) => StoreError::Parts {
            dir: dir.to_owned(),
            reason,
        },
        Incomplete::Missing(reason) => StoreError::MissingParts {
            dir: dir.to_owned(),
            reason,
        },
    })
}

/// The parts that folder names in `dir` state, sorted by their number of parts and their index.
fn named(dir: &Path) -> io::Result<Vec<Shard>> {
    let mut named = BTreeSet::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        // Even an unfinished part's name states the number of parts.
        let name = name
            .to_str()
            .map(|name| name.strip_suffix(".partial").unwrap_or(name));
        if let Some(part) = name.and_then(Shard::of_folder) {
            named.insert((part.count(), part));
        }
    }
    Ok(named.into_iter().map(|(_, part)| part).collect())
}

/// Why the folders of parts are not a store, in words that follow the store's name.
#[derive(Debug, PartialEq)]
enum Incomplete {
    /// Their names state different numbers of parts.
    Mixed(String),
    /// Some are missing or unfinished.
    Missing(String),
}

/// The path of a part of the store at `dir`.
pub(super) fn path_of(dir: &Path, part: Shard) -> PathBuf {
    dir.join(part.folder())
}

/// The parts that folder names state, in order, if they are complete.
///
/// The cost grows with the number of folders, not with the number of parts in a folder's name,
/// which may be any number.
fn complete(
    named: Vec<Shard>,
    is_complete: impl Fn(&Shard) -> bool,
) -> Result<Vec<Shard>, Incomplete> {
    let (Some(first), Some(last)) = (named.first(), named.last()) else {
        return Ok(named);
    };
    let of = first.count();
    if of != last.count() {
        return Err(Incomplete::Mixed(format!(
            "it holds parts of {of} and of {}; move those of one of them away",
            last.count()
        )));
    }
    let complete: Vec<Shard> = named.into_iter().filter(is_complete).collect();
    let n_missing = of as usize - complete.len();
    if n_missing == 0 {
        return Ok(complete);
    }
    let is_missing = |index: &u32| {
        let place = complete.binary_search_by_key(index, |part| part.index());
        place.is_err()
    };
    let missing = (0..of).filter(is_missing).take(NAMED_PARTS);
    let missing: Vec<String> = missing.map(|index| format!("{index}/{of}")).collect();
    let more = match n_missing - missing.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(Incomplete::Missing(format!(
        "{n_missing} of its {of} parts {} missing or unfinished: {}{more}",
        if n_missing == 1 { "is" } else { "are" },
        missing.join(", "),
    )))
}

/// Checks that a part of the store at `dir` is the one that its folder's name states.
pub(super) fn check_name(dir: &Path, part: Shard, manifest: &Manifest) -> Result<(), StoreError> {
    let what = match manifest.store.part {
        Some(other) if other == part => return Ok(()),
        Some(other) => format!("holds {}", other.folder()),
        None => "holds a whole store".to_owned(),
    };
    Err(StoreError::MisplacedPart {
        dir: dir.to_owned(),
        part,
        what,
    })
}

/// The joint manifest of all parts, given in order; at least one.
///
/// Different versions of ONNX Runtime and different providers are accepted, and listed.
pub(super) fn join(parts: &[&Manifest]) -> Result<Manifest, String> {
    let mut whole = parts[0].clone();
    let store = &mut whole.store;
    store.part = None;
    whole.counts = Counts {
        pictures: 0,
        failures: 0,
        per_class: vec![0; store.classes.len()],
    };
    for (index, part) in parts.iter().enumerate() {
        check_sibling(&parts[0].store, &part.store)
            .map_err(|what| format!("part 0 and part {index} are not of one store: {what}"))?;
        whole.counts.add(&part.counts);
    }
    let parts = parts.iter().map(|part| &part.store);
    if parts.clone().any(|part| part.root != store.root) {
        store.root = None;
    }
    store.onnxruntime = distinct(parts.clone().map(|part| part.onnxruntime.as_str()));
    store.provider = distinct(parts.clone().map(|part| part.provider.as_str()));
    store.kernels = distinct(parts.map(|part| part.kernels.as_str()));
    Ok(whole)
}

fn check_sibling(first: &StoreDescription, part: &StoreDescription) -> Result<(), String> {
    if let Some(difference) = first.codes.difference(&part.codes) {
        return Err(difference);
    }
    let differences = [
        ("dtypes", first.dtype != part.dtype),
        (
            "pictures",
            first.listing != part.listing || first.classes != part.classes,
        ),
        ("JPEG decoders", first.decoder != part.decoder),
    ];
    match differences.iter().find(|(_, differ)| *differ) {
        Some((what, _)) => Err(format!("their {what} differ")),
        None => Ok(()),
    }
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: BTreeSet<&str> = names.collect();
    names.into_iter().collect::<Vec<_>>().join(" + ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(of: u32, indices: &[u32]) -> Vec<Shard> {
        let name = |index: &u32| format!("part-{index:05}-of-{of:05}");
        let indices = indices.iter();
        indices
            .map(|index| Shard::of_folder(&name(index)).unwrap())
            .collect()
    }

    #[test]
    fn of_many_missing_parts_ten_are_named_and_the_rest_is_counted() {
        let all = parts(3, &[0, 1, 2]);
        assert_eq!(complete(all.clone(), |_| true), Ok(all.clone()));
        let said = complete(all, |part| part.index() == 1).unwrap_err();
        let expected = "2 of its 3 parts are missing or unfinished: 0/3, 2/3";
        assert_eq!(said, Incomplete::Missing(expected.to_owned()));

        // The largest number that a name can have: neither memory nor time goes with it.
        let of = u32::MAX;
        let said = complete(parts(of, &[0, 3]), |_| true).unwrap_err();
        let named = [1, 2, 4, 5, 6, 7, 8, 9, 10, 11].map(|index| format!("{index}/{of}"));
        let expected = format!(
            "4294967293 of its 4294967295 parts are missing or unfinished: {} and 4294967283 more",
            named.join(", ")
        );
        assert_eq!(said, Incomplete::Missing(expected));
    }
}
