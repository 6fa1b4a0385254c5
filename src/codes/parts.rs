//! A store in parts: `STORE/part-00000-of-00004` and its siblings, made by jobs of their own.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::manifest::{Manifest, Part};
use super::{Counts, MANIFEST, StoreError};

/// Missing parts that a message names.
const NAMED_PARTS: usize = 10;

/// The directories of all parts in `dir`, in order; none if it holds no parts.
///
/// # Errors
/// [`StoreError::Parts`] if parts are missing or of different numbers of parts.
pub(super) fn find(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(Vec::new()),
                _ => Err(StoreError::reading(dir)(error)),
            };
        }
    };
    let mut parts = BTreeSet::new();
    for entry in entries {
        let path = entry.map_err(StoreError::reading(dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        // An unfinished part tells how many there are to be.
        let name = name.map(|name| name.strip_suffix(".partial").unwrap_or(name));
        if let Some(part) = name.and_then(parse_name) {
            parts.insert((part.of, part.index));
        }
    }
    let parts: Vec<Part> = parts
        .into_iter()
        .map(|(of, index)| Part { index, of })
        .collect();
    let at = |part: &Part| dir.join(part.to_string());
    check_complete(&parts, |part| at(part).join(MANIFEST).is_file()).map_err(|reason| {
        StoreError::Parts {
            dir: dir.to_owned(),
            reason,
        }
    })?;
    Ok(parts.iter().map(at).collect())
}

/// `part-00003-of-00008`, and nothing else.
fn parse_name(name: &str) -> Option<Part> {
    let (index, of) = name.strip_prefix("part-")?.split_once("-of-")?;
    let part = Part {
        index: index.parse().ok()?,
        of: of.parse().ok()?,
    };
    (part.to_string() == name && part.index < part.of).then_some(part)
}

fn check_complete(parts: &[Part], is_complete: impl Fn(&Part) -> bool) -> Result<(), String> {
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        return Ok(());
    };
    if first.of != last.of {
        return Err(format!(
            "it holds parts of {} and of {}; move those of one of them away",
            first.of, last.of
        ));
    }
    let missing: Vec<String> = (0..first.of)
        .map(|index| Part {
            index,
            of: first.of,
        })
        .filter(|part| !is_complete(part))
        .map(|part| format!("{}/{}", part.index, part.of))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let named = missing[..missing.len().min(NAMED_PARTS)].join(", ");
    let more = missing.len().saturating_sub(NAMED_PARTS);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    Err(format!(
        "{} of its {} parts are missing or unfinished: {named}{more}; make them with `cnn-codes extract-features --shard I/N`",
        missing.len(),
        first.of
    ))
}

/// What the parts' files say together, given in order and at least one.
///
/// Different versions of ONNX Runtime and providers are let pass, and listed.
pub(super) fn join(parts: &[&Manifest]) -> Result<Manifest, String> {
    let mut whole = parts[0].clone();
    whole.part = None;
    whole.counts = Counts {
        pictures: 0,
        failures: 0,
        per_class: vec![0; whole.classes.len()],
    };
    for (index, part) in parts.iter().enumerate() {
        check_sibling(parts[0], part)
            .map_err(|what| format!("part 0 and part {index} are not of one store: {what}"))?;
        whole.counts.pictures += part.counts.pictures;
        whole.counts.failures += part.counts.failures;
        for (sum, n) in whole
            .counts
            .per_class
            .iter_mut()
            .zip(&part.counts.per_class)
        {
            *sum += n;
        }
    }
    if parts.iter().any(|part| part.root != whole.root) {
        whole.root = None;
    }
    whole.shape[0] = whole.counts.pictures;
    whole.onnxruntime = distinct(parts.iter().map(|part| part.onnxruntime.as_str()));
    whole.provider = distinct(parts.iter().map(|part| part.provider.as_str()));
    whole.kernels = distinct(parts.iter().map(|part| part.kernels.as_str()));
    Ok(whole)
}

fn check_sibling(first: &Manifest, part: &Manifest) -> Result<(), String> {
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
