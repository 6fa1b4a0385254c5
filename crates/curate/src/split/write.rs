//! Writes pictures into their folders, and the table of them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::{Grouping, Part, Placement, SplitError, TABLE};
use cnn_codes::dataset::Pictures;
use cnn_codes::progress::{Progress, Watch};
use cnn_codes_files::{Existing, FileDraft, regular, sync_directory};

/// The columns of the table.
const COLUMNS: [&str; 4] = ["path", "label", "part", "group"];

/// Refuses an `out` among the pictures.
pub(super) fn check_apart(images: &Path, out: &Path) -> Result<(), SplitError> {
    // As far as it exists; missing folders are made below that.
    let existing = out.ancestors().find_map(|path| {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        fs::canonicalize(path).ok()
    });
    let real = fs::canonicalize(images).ok();
    match (existing, real) {
        (Some(existing), Some(real)) if existing.starts_with(&real) => Err(SplitError::Inside {
            out: out.to_owned(),
            images: images.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Refuses paths that lead out of the folder they are joined to; a table may hold such paths.
pub(super) fn check_paths(pictures: &Pictures) -> Result<(), SplitError> {
    let is_inside = |path: &str| {
        let mut parts = Path::new(path).components();
        parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    };
    match pictures
        .listed
        .iter()
        .find(|picture| !is_inside(&picture.path))
    {
        Some(picture) => Err(SplitError::Path {
            path: picture.path.to_string(),
        }),
        None => Ok(()),
    }
}

/// Fills `draft`, and syncs it.
pub(super) fn write(
    pictures: &Pictures,
    grouping: &Grouping,
    parts: &[Option<Part>],
    placement: Placement,
    draft: &Path,
    watch: &dyn Watch,
) -> Result<(), SplitError> {
    let mut folders = BTreeSet::new();
    for (row, (picture, part)) in pictures.listed.iter().zip(parts).enumerate() {
        let progress = Progress {
            done: row,
            total: parts.len(),
            ..Progress::default()
        };
        watch.progress(progress, &"");
        watch.or_stopped()?;
        let Some(part) = part else { continue };
        let to = draft.join(part.name()).join(&*picture.path);
        let folder = to.parent().unwrap_or(draft);
        if !folders.contains(folder) {
            fs::create_dir_all(folder).map_err(failed(folder))?;
            let made = folder.ancestors().take_while(|path| *path != draft);
            folders.extend(made.map(Path::to_owned));
        }
        place(&pictures.root.join(&*picture.path), &to, placement)?;
    }
    for folder in &folders {
        sync_directory(folder).map_err(|error| failed(folder)(error.source))?;
    }
    write_table(pictures, grouping, parts, draft)
}

fn place(from: &Path, to: &Path, placement: Placement) -> Result<(), SplitError> {
    let (action, placed) = match placement {
        Placement::Copy => ("copy", copy(from, to)),
        // A link to the target of a link, not to the link.
        Placement::HardLink => (
            "link",
            fs::canonicalize(from).and_then(|from| fs::hard_link(from, to)),
        ),
    };
    placed.map_err(|source| SplitError::Place {
        action,
        from: from.to_owned(),
        to: to.to_owned(),
        source,
    })
}

/// Copies a regular file, and nothing else: a FIFO might never end.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = regular::open(from)?;
    let mut target = File::create_new(to)?;
    io::copy(&mut source, &mut target)?;
    target.sync_all()
}

/// Written last and in one step: a draft that has its table is a complete split.
fn write_table(
    pictures: &Pictures,
    grouping: &Grouping,
    parts: &[Option<Part>],
    draft: &Path,
) -> Result<(), SplitError> {
    let mut sizes = vec![0; parts.len()];
    for row in 0..parts.len() {
        sizes[grouping.of(row)] += 1;
    }
    let path = draft.join(TABLE);
    let write = || -> io::Result<()> {
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record(COLUMNS)?;
        for (row, (picture, part)) in pictures.listed.iter().zip(parts).enumerate() {
            let label = picture.label.map_or("", |label| &pictures.classes[label]);
            let first = grouping.of(row);
            // A group is named by its first picture; a single picture has no group.
            let group = if sizes[first] > 1 {
                &*pictures.listed[first].path
            } else {
                ""
            };
            let part = part.map_or("", Part::name);
            table.write_record([&*picture.path, label, part, group])?;
        }
        let table = table.into_inner().map_err(|error| error.into_error())?;
        FileDraft::write_in(draft, &path, &table)?.publish(Existing::Keep)
    };
    write().map_err(failed(&path))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> SplitError + use<> {
    let path: PathBuf = path.to_owned();
    move |source| SplitError::Write { path, source }
}
