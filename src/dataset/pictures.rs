//! Pictures in the order in which they become rows.

use std::path::PathBuf;

use bytes::Bytes;

use super::OtherFiles;
use crate::codes::Failure;

/// Endings, in lower case, by which a file is taken for a picture. What it really is, its bytes say.
pub const EXTENSIONS: &[&str] = &[
    "bmp", "dib", "gif", "jfif", "jpe", "jpeg", "jpg", "png", "tif", "tiff", "webp",
];

/// Pictures in the order in which they become rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pictures {
    /// What relative paths start from; empty where paths are taken as given.
    pub root: PathBuf,
    /// The tar files that [`Place::Archived`] refers to.
    pub archives: Vec<PathBuf>,
    /// The files in memory that [`Place::Given`] refers to.
    pub given: Vec<Bytes>,
    /// Class names, sorted by code points as Keras' `flow_from_directory` sorts them; a label is a
    /// place in this list. Empty where the pictures are unlabelled.
    pub classes: Vec<String>,
    /// The pictures, in the order of the rows.
    pub listed: Vec<Picture>,
    /// What was found but can never be read: names that are not UTF-8, links in a loop, and so on.
    pub unusable: Vec<Failure>,
    /// Whether each picture was seen when it was listed, as those of folders and archives are; a
    /// table or a list only names files, which may never have been there.
    pub were_found: bool,
    /// Files that were passed over because of their endings.
    pub other_files: OtherFiles,
}

/// A picture, its class, and where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The name of the row: a path with `/` between folders, relative to [`Pictures::root`].
    pub path: Box<str>,
    /// Class index; `None` for all pictures of an unlabelled set and for none of a labelled one.
    pub label: Option<usize>,
    /// Where its bytes are.
    pub place: Place,
    /// Name of the group of pictures that it belongs to, as those of one patient or of one burst do;
    /// nothing where it stands for itself.
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
        /// Where the picture begins, in bytes from the beginning of the archive.
        offset: u64,
        /// Length of the picture.
        n_bytes: u64,
    },
    /// In memory.
    Given {
        /// Index into [`Pictures::given`].
        index: u32,
    },
}

impl Pictures {
    /// Picture files in memory, called 0, 1, 2, ... in their order, without labels.
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

    /// How many pictures there are, the unusable ones among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.listed.len() + self.unusable.len()
    }

    /// Whether there is no picture at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether some pictures belong to groups.
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

/// Whether a file of this name is taken for a picture.
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
