//! One folder per class: `IMAGES/tomato/1.jpg`, `IMAGES/pumpkin/2.jpg`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::pictures::*;

/// Names that split folders go by; a class is hardly ever called so.
const SPLITS: &[&str] = &["train", "training", "val", "valid", "validation", "test"];

/// Why a folder gives no labelled pictures.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The folder, or one below it, could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The root is a file.
    #[error("{} is not a folder; give the folder that holds one folder per class", path.display())]
    NotAFolder {
        /// The path as given.
        path: PathBuf,
    },
    /// The root holds no folder.
    #[error("{} holds no class folders; put the pictures of each class into a folder named for it, as {}/tomato/1.jpg", path.display(), path.display())]
    NoClasses {
        /// The root.
        path: PathBuf,
    },
    /// The root holds one folder only.
    #[error("{} holds one class only, '{class}'; a classifier needs two or more{}", path.display(), if *nested { format!(" (if the folders in '{class}' are the classes, give {}/{class})", path.display()) } else { String::new() })]
    OneClass {
        /// The root.
        path: PathBuf,
        /// The only class.
        class: String,
        /// Whether that folder itself holds folders.
        nested: bool,
    },
    /// The root holds train and validation folders in place of classes.
    #[error("{} holds {}, not classes; give each of them in a call of its own, as {}/{}", path.display(), splits.join(" and "), path.display(), splits[0])]
    Split {
        /// The root.
        path: PathBuf,
        /// The folders found.
        splits: Vec<String>,
    },
    /// A class folder holds no picture.
    #[error("the class folder {} holds no pictures ({}); fill it or remove it", path.display(), EXTENSIONS.join(", "))]
    EmptyClass {
        /// The class folder.
        path: PathBuf,
    },
    /// A class folder's name cannot be written into a table.
    #[error("the name of the class folder {} is not UTF-8; rename it", path.display())]
    ClassName {
        /// The class folder.
        path: PathBuf,
    },
}

/// Finds the pictures below `root`, which holds one folder per class.
///
/// Folders within a class folder are searched too, and links are followed. Hidden files and
/// folders (`.DS_Store`, `.ipynb_checkpoints`) are passed over, as are files that lie beside the
/// class folders.
///
/// # Errors
/// [`DatasetError`], with the folder that is at fault.
pub fn find(root: &Path) -> Result<Pictures, DatasetError> {
    let classes = class_names(root)?;
    let mut found = Pictures {
        root: root.to_owned(),
        classes,
        ..Pictures::default()
    };
    for label in 0..found.classes.len() {
        search_class(&mut found, label)?;
    }
    Ok(found)
}

/// The sorted names of the class folders, at least two.
fn class_names(root: &Path) -> Result<Vec<String>, DatasetError> {
    if root.is_file() {
        return Err(DatasetError::NotAFolder {
            path: root.to_owned(),
        });
    }
    let unreadable = |source| DatasetError::Unreadable {
        path: root.to_owned(),
        source,
    };
    let mut classes = Vec::new();
    for entry in fs::read_dir(root).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default();
        if !path.is_dir() || is_hidden(name) {
            continue;
        }
        match name.to_str() {
            Some(name) => classes.push(name.to_owned()),
            None => return Err(DatasetError::ClassName { path }),
        }
    }
    classes.sort();
    check_classes(root, classes)
}

fn check_classes(root: &Path, classes: Vec<String>) -> Result<Vec<String>, DatasetError> {
    let path = root.to_owned();
    let is_split = |name: &String| SPLITS.contains(&name.to_lowercase().as_str());
    match classes.as_slice() {
        [] => Err(DatasetError::NoClasses { path }),
        names if names.iter().all(is_split) => Err(DatasetError::Split {
            path,
            splits: classes,
        }),
        [class] => Err(DatasetError::OneClass {
            nested: holds_folders(&root.join(class)),
            class: class.clone(),
            path,
        }),
        _ => Ok(classes),
    }
}

fn holds_folders(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.path().is_dir()))
    })
}

fn search_class(found: &mut Pictures, label: usize) -> Result<(), DatasetError> {
    let folder = found.root.join(&found.classes[label]);
    let before = found.pictures.len();
    let entries = WalkDir::new(&folder)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name()));
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => match as_failure(&error, &found.root) {
                Some(failure) => {
                    found.unusable.push(failure);
                    continue;
                }
                None => return Err(unreadable(error, &folder)),
            },
        };
        if entry.file_type().is_dir() {
            continue;
        }
        if !has_picture_extension(entry.path()) {
            found.n_other_files += 1;
            continue;
        }
        match relative(entry.path(), &found.root) {
            Ok(path) => found.pictures.push(Picture {
                path: path.into(),
                label: Some(label),
                place: Place::File,
            }),
            Err(path) => found.unusable.push(Failure {
                path,
                error: "the file name is not UTF-8; rename the file".to_owned(),
                kind: "not_utf8",
            }),
        }
    }
    if found.pictures.len() == before {
        return Err(DatasetError::EmptyClass { path: folder });
    }
    Ok(())
}

/// A link that leads nowhere or back to its own folder spoils itself only.
fn as_failure(error: &walkdir::Error, root: &Path) -> Option<Failure> {
    let path = error.path().filter(|path| path.is_symlink())?;
    let reason = if error.loop_ancestor().is_some() {
        "a link to a folder that it lies in".to_owned()
    } else {
        let source = error.io_error().map(ToString::to_string);
        format!("a link that leads nowhere: {}", source.unwrap_or_default())
    };
    Some(Failure {
        path: relative(path, root).unwrap_or_else(|lossy| lossy),
        error: reason,
        kind: "link",
    })
}

fn unreadable(error: walkdir::Error, folder: &Path) -> DatasetError {
    DatasetError::Unreadable {
        path: error.path().unwrap_or(folder).to_owned(),
        source: error
            .into_io_error()
            .unwrap_or_else(|| io::Error::other("it could not be searched")),
    }
}

/// `path` below `root` with `/` between folders; the nearest readable form where it is not UTF-8.
fn relative(path: &Path, root: &Path) -> Result<String, String> {
    let components = path.strip_prefix(root).unwrap_or(path).components();
    let parts: Vec<_> = components.map(|part| part.as_os_str()).collect();
    let strict: Option<Vec<&str>> = parts.iter().map(|part| part.to_str()).collect();
    match strict {
        Some(parts) => Ok(parts.join("/")),
        None => {
            let lossy: Vec<_> = parts.iter().map(|part| part.to_string_lossy()).collect();
            Err(lossy.join("/"))
        }
    }
}

fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn has_picture_extension(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| EXTENSIONS.contains(&extension.to_lowercase().as_str()))
}
