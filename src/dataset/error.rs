//! Why an input gives no pictures.

use std::io;
use std::path::{Path, PathBuf};

use super::EXTENSIONS;
use crate::codes::Failure;

/// How many names an error lists before it only gives their number.
const LISTED: usize = 10;

/// Why an input gives no pictures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// A folder, a table or an archive could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The folder or the file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The root is a file.
    #[error("{} is not a folder; give the folder that holds one folder per class", path.display())]
    NotAFolder {
        /// The path as given.
        path: PathBuf,
    },
    /// The root holds no folders.
    #[error("{} holds no class folders; put the pictures of each class into a folder named for it, as {}/tomato/1.jpg", path.display(), path.display())]
    NoClasses {
        /// The root.
        path: PathBuf,
    },
    /// The root holds only one folder.
    #[error("{} holds one class only, '{class}'; a classifier needs two or more{}", path.display(), if *nested { format!(" (if the folders in '{class}' are the classes, give {}/{class})", path.display()) } else { String::new() })]
    OneClass {
        /// The root.
        path: PathBuf,
        /// The only class.
        class: String,
        /// Whether that folder itself holds folders.
        nested: bool,
    },
    /// The root holds train and validation folders instead of class folders.
    #[error("{} holds {}, not classes; give each of them in a call of its own, as {}/{}", path.display(), splits.join(" and "), path.display(), splits[0])]
    Split {
        /// The root.
        path: PathBuf,
        /// The folders found.
        splits: Vec<String>,
    },
    /// A class folder holds no readable picture.
    #[error("the class folder {} holds no pictures ({}){}; fill it or remove it", path.display(), EXTENSIONS.join(", "), but(.unusable))]
    EmptyClass {
        /// The class folder.
        path: PathBuf,
        /// The first unusable file in it, if there is one.
        unusable: Option<Failure>,
    },
    /// A class folder's name cannot be written into a table.
    #[error("the name of the class folder {} is not UTF-8; rename it", path.display())]
    ClassName {
        /// The class folder.
        path: PathBuf,
    },
    /// A class folder is a link to its own parent folder, or to one above that.
    #[error("the class folder {} is a link to a folder that it lies in; remove it", path.display())]
    ClassLoop {
        /// The class folder.
        path: PathBuf,
    },
    /// All labels of a table or of archives are the same.
    #[error("{input}: one class only, '{class}'; a classifier needs two or more")]
    OneLabel {
        /// The table or the archives.
        input: String,
        /// The only class.
        class: String,
    },
    /// A table has no header line with column names.
    #[error("{} is empty; its first line names the columns: path, label, and split if there is one", path.display())]
    NoHeader {
        /// The table.
        path: PathBuf,
    },
    /// A table lacks a column.
    #[error("{} has no column '{column}', only {}; name the columns in the first line", path.display(), listed(.columns))]
    NoColumn {
        /// The table.
        path: PathBuf,
        /// The missing column.
        column: &'static str,
        /// The columns that it has.
        columns: Vec<String>,
    },
    /// A table has two columns of the same name.
    #[error("{} has two columns '{column}'; rename one of them", path.display())]
    TwoColumns {
        /// The table.
        path: PathBuf,
        /// The name.
        column: &'static str,
    },
    /// A row of a table cannot be understood.
    #[error("{}, line {line}: {problem}", path.display())]
    Row {
        /// The table.
        path: PathBuf,
        /// The line, counted from 1, on which the row begins.
        line: u64,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// One path has two labels.
    #[error("{} contradicts itself: '{picture}' is '{}' on line {} and '{}' on line {}; remove one of them", path.display(), labels[0], lines[0], labels[1], lines[1])]
    Contradiction {
        /// The table.
        path: PathBuf,
        /// The picture.
        picture: String,
        /// Its two labels.
        labels: [String; 2],
        /// The line of each.
        lines: [u64; 2],
    },
    /// A table has several splits, and none was chosen.
    #[error("{} holds the splits {}; choose one", path.display(), listed(.splits))]
    SplitNotChosen {
        /// The table.
        path: PathBuf,
        /// The splits, sorted.
        splits: Vec<String>,
    },
    /// The split that was chosen is in no row.
    #[error("{} holds no split '{split}', only {}", path.display(), listed(.splits))]
    NoSuchSplit {
        /// The table.
        path: PathBuf,
        /// The split that was asked for.
        split: String,
        /// The splits that it has, sorted.
        splits: Vec<String>,
    },
    /// A table has no rows.
    #[error("{} has no rows; each row names a picture", path.display())]
    NoRows {
        /// The table.
        path: PathBuf,
    },
    /// Folders hold no picture.
    #[error("there are no pictures ({}) in {}", EXTENSIONS.join(", "), listed(&displayed(.paths)))]
    NoPictures {
        /// The folders.
        paths: Vec<PathBuf>,
    },
    /// A list could not be read.
    #[error("cannot read the list of pictures: {source}")]
    List {
        /// The system's error, or which line is wrong.
        source: io::Error,
    },
    /// A list names no picture.
    #[error("the list of pictures is empty; it has one path in each line")]
    EmptyList,
    /// Archives hold no picture.
    #[error("there are no pictures ({}) in {archives}", EXTENSIONS.join(", "))]
    NoMembers {
        /// The archives.
        archives: String,
    },
    /// An archive is a folder, a FIFO or a device.
    #[error("{} is not a regular file; archives are read by seeking, so save it to a file first", path.display())]
    ArchiveNotAFile {
        /// The archive.
        path: PathBuf,
    },
    /// An archive is compressed.
    #[error("{} is compressed with {compression}; archives are read by seeking, so decompress it first ({command})", path.display())]
    Compressed {
        /// The archive.
        path: PathBuf,
        /// The compression.
        compression: &'static str,
        /// The program that undoes it.
        command: &'static str,
    },
    /// An archive breaks tar's format, or is another kind of file.
    #[error("{} is not a sound tar file, near byte {near}: {source}; make or copy it again, or leave it out", path.display())]
    NotATar {
        /// The archive.
        path: PathBuf,
        /// Where the last member that was read ends, in bytes.
        near: u64,
        /// What is wrong.
        source: io::Error,
    },
    /// An archive ends within a member, or without tar's end mark.
    #[error("{} is cut short, at byte {n_bytes}; copy it again, or leave it out", path.display())]
    CutShort {
        /// The archive.
        path: PathBuf,
        /// Its length.
        n_bytes: u64,
    },
    /// An archive's file name cannot be written into a table.
    #[error("the name of the archive {} is not UTF-8; rename it", path.display())]
    ArchiveName {
        /// The archive.
        path: PathBuf,
    },
    /// Two archives have the same file name, so their rows could not be told apart.
    #[error("two archives are called {}: {} and {}; rename one of them, or leave it out", first.file_name().unwrap_or_default().display(), first.display(), second.display())]
    SameName {
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// An archive holds two pictures of the same name.
    #[error("{} holds '{member}' twice; make it again with one of them", path.display())]
    SameMember {
        /// The archive.
        path: PathBuf,
        /// The picture.
        member: String,
    },
}

impl DatasetError {
    /// For `map_err`: the system's error when `path` was read.
    pub(super) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Unreadable { path, source }
    }
}

/// Names in quotes; a long list is cut to the first few.
fn listed(names: &[String]) -> String {
    let quoted: Vec<_> = names
        .iter()
        .take(LISTED)
        .map(|name| format!("'{name}'"))
        .collect();
    let rest = match names.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    quoted.join(", ") + &rest
}

fn displayed(paths: &[PathBuf]) -> Vec<String> {
    let paths = paths.iter();
    paths.map(|path| path.display().to_string()).collect()
}

fn but(unusable: &Option<Failure>) -> String {
    match unusable {
        Some(failure) => format!(" that can be read ({}: {})", failure.path, failure.error),
        None => String::new(),
    }
}
