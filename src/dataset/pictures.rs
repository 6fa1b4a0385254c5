//! Pictures in the order of their rows.

use std::path::PathBuf;

use bytes::Bytes;

use super::OtherFiles;
use crate::codes::Failure;

/// Extensions, in lower case, of files that are taken for pictures. Their bytes decide what they
/// really are.
pub const EXTENSIONS: &[&str] = &[
    "bmp", "dib", "gif", "jfif", "jpe", "jpeg", "jpg", "png", "tif", "tiff", "webp",
];

/// Pictures in the order of their rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pictures {
    /// The folder that relative paths start from; empty if paths are used as given.
    pub root: PathBuf,
    /// The tar files that [`Place::Archived`] refers to.
    pub archives: Vec<PathBuf>,
    /// The files in memory that [`Place::Given`] refers to.
    pub given: Vec<Bytes>,
    /// Class names, sorted by code points as Keras' `flow_from_directory` sorts them. A label is an
    /// index into this list. Empty if the pictures are unlabelled.
    pub classes: Vec<String>,
    /// The pictures, in the order of the rows.
    pub listed: Vec<Picture>,
    /// What was found but can never be read: names that are not UTF-8, links in a loop, and so on.
    pub unusable: Vec<Failure>,
    /// Whether each picture was seen when it was listed. This holds for folders and archives; a
    /// table or a list only names files, which may not exist.
    pub were_found: bool,
    /// Files that were skipped because of their extension.
    pub other_files: OtherFiles,
}

/// A picture, its class, and where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The name of the row: a path with `/` between folders, relative to [`Pictures::root`].
    pub path: Box<str>,
    /// Class index. `None` for every picture of an unlabelled set; never `None` in a labelled one.
    pub label: Option<usize>,
    /// Where its bytes are.
    pub place: Place,
    /// Name of the group that the picture belongs to, such as one patient's or one burst's
    /// pictures. `None` if it has no group.
    pub group: Option<Box<str>>,
}

/// Where a picture's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the file that the picture's path names.
    File,
    /// Within a tar file.
    Archived {
        /// Index into [`Pictures::archives`].
        archive: u32,
        /// Where the picture begins, in bytes from the start of the archive.
        offset: u64,
        /// Length of the picture in bytes.
        n_bytes: u64,
    },
    /// In memory.
    Given {
        /// Index into [`Pictures::given`].
        index: u32,
    },
}

impl Pictures {
    /// Picture files in memory, named 0, 1, 2, ... in their order, without labels.
    ///
    /// # Panics
    /// If there are more than 4,294,967,295 of them.
    #[must_use]
    pub fn in_memory(files: Vec<Vec<u8>>) -> Self {
        let picture = |index: usize| Picture {
            path: index.to_string().into(),
            label: None,
            place: Place::Given {
                index: u32::try_from(index).expect("4,294,967,295 files at most"),
            },
            group: None,
        };
        Self {
            listed: (0..files.len()).map(picture).collect(),
            given: files.into_iter().map(Bytes::from).collect(),
            ..Self::default()
        }
    }

    /// How many pictures there are, including the unusable ones.
    #[must_use]
    pub fn len(&self) -> usize {
        self.listed.len() + self.unusable.len()
    }

    /// Whether there is no picture at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether any picture belongs to a group.
    #[must_use]
    pub fn is_grouped(&self) -> bool {
        self.listed.iter().any(|picture| picture.group.is_some())
    }

    /// Whether the pictures have classes.
    #[must_use]
    pub fn is_labelled(&self) -> bool {
        !self.classes.is_empty()
    }
}

/// Whether the extension of this file name is a picture's.
pub(super) fn has_picture_ending(name: &[u8]) -> bool {
    let file = name.rsplit(|&byte| byte == b'/').next().unwrap_or(name);
    let Some(dot) = file.iter().rposition(|&byte| byte == b'.') else {
        return false;
    };
    let ending = &file[dot + 1..];
    dot > 0
        && EXTENSIONS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_known_by_the_last_ending_of_the_file() {
        for name in ["a.jpg", "a/b.JPEG", "a.b/c.d.Png", "é.tiff"] {
            assert!(has_picture_ending(name.as_bytes()), "{name}");
        }
        for name in ["", "jpg", ".jpg", "a/.jpg", "a.jpg/b", "a.jpg.txt", "a."] {
            assert!(!has_picture_ending(name.as_bytes()), "{name}");
        }
        assert!(has_picture_ending(b"\xff.jpg"));
    }
}
