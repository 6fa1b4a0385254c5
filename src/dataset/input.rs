//! Which kind of input a path names.

use std::path::Path;

use crate::codes::Store;

/// Which kind of input a path names, judged by its name and by what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// `-`: a list of files on standard input.
    List,
    /// A store, complete or in parts.
    Store,
    /// Another folder.
    Folder,
    /// A tar file, by its extension. Compressed ones count too; they are refused when they are
    /// read.
    Archive,
    /// A table, by the extension `.csv`.
    Table,
    /// Anything else, which may not exist.
    File,
}

impl InputKind {
    /// The kind of input that `path` names. No file is opened.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        if path.as_os_str() == "-" {
            Self::List
        } else if Store::is_at(path) {
            Self::Store
        } else if path.is_dir() {
            Self::Folder
        } else if has_ending(path, ARCHIVE_ENDINGS) {
            Self::Archive
        } else if has_ending(path, &[".csv"]) {
            Self::Table
        } else {
            Self::File
        }
    }
}

/// Extensions of tar files, and of compressed ones.
const ARCHIVE_ENDINGS: &[&str] = &[".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.zst", ".tar.bz2"];

/// Whether a file's name ends in one of the extensions, given in lower case, after at least one
/// character.
fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_lowercase();
    endings.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_path_is_told_by_what_is_there_and_then_by_its_ending() {
        let place = tempfile::tempdir().unwrap();
        let kind = |name: &str| InputKind::of(&place.path().join(name));
        for folder in ["classes.tar", "store", "parts/part-00001-of-00002.partial"] {
            fs::create_dir_all(place.path().join(folder)).unwrap();
        }
        fs::write(place.path().join("store/store.json"), "").unwrap();
        assert_eq!(InputKind::of(Path::new("-")), InputKind::List);
        assert_eq!(kind("classes.tar"), InputKind::Folder);
        assert_eq!(kind("store"), InputKind::Store);
        assert_eq!(kind("parts"), InputKind::Store);
        assert_eq!(kind("shard-0.TAR"), InputKind::Archive);
        assert_eq!(kind("shard-0.tar.gz"), InputKind::Archive);
        assert_eq!(kind("labels.CSV"), InputKind::Table);
        assert_eq!(kind("a.jpg"), InputKind::File);
        assert_eq!(kind("csv"), InputKind::File);
    }
}
