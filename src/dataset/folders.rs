//! Folders of pictures: one folder per class, as `IMAGES/tomato/1.jpg`, or any folders without
//! labels.

use std::ffi::{OsStr, OsString};
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

use super::pictures::has_picture_ending;
use super::{DatasetError, Picture, Pictures, Place};
use crate::codes::Failure;

/// Usual names of split folders; a class hardly ever has such a name.
const SPLITS: &[&str] = &["train", "training", "val", "valid", "validation", "test"];

/// Finds the pictures below `root`, which holds one folder per class.
///
/// Rows are sorted by class and path, folder by folder. Folders within a class folder are searched
/// too, and links are followed. Hidden files and folders (`.DS_Store`, `.ipynb_checkpoints`) are
/// skipped, and so are files beside the class folders.
///
/// These are listed as unusable: a folder below a class folder that cannot be read, a link to
/// nothing, and a link to a folder that contains it. For an unreadable folder [`Failure::may_pass`]
/// is true, because nothing is known about its pictures. Whether something with a picture's
/// extension is a file at all is only found out by [`Pictures::read`].
///
/// # Errors
/// [`DatasetError`], with the folder that is at fault.
pub fn find(root: &Path) -> Result<Pictures, DatasetError> {
    if root.is_file() {
        return Err(DatasetError::NotAFolder {
            path: root.to_owned(),
        });
    }
    let classes = class_names(root)?;
    let mut search = Search {
        label: None,
        open: vec![fs::canonicalize(root).map_err(DatasetError::unreadable(root))?],
        found: Pictures {
            root: root.to_owned(),
            were_found: true,
            ..Pictures::default()
        },
    };
    for (label, class) in classes.iter().enumerate() {
        search.label = Some(label);
        search.class(class)?;
    }
    search.found.listed.shrink_to_fit();
    search.found.classes = classes;
    Ok(search.found)
}

/// Lists pictures without labels. Files are taken whatever their extension; folders are searched,
/// with the folders inside them.
///
/// Rows follow the order of `paths`, and names within a folder. A row is named by the path as it
/// was given, followed by the path below it. Links, hidden files and unreadable folders are handled
/// as in [`find`]. A missing file is only noticed when it is read.
///
/// # Errors
/// [`DatasetError::Unreadable`] for a folder that cannot be read, [`DatasetError::NoPictures`] if
/// there is no picture at all.
pub fn find_unlabelled(paths: &[PathBuf]) -> Result<Pictures, DatasetError> {
    let mut search = Search {
        label: None,
        open: Vec::new(),
        found: Pictures::default(),
    };
    for path in paths {
        if path.is_dir() {
            search.folder(path)?;
        } else {
            search.file(path);
        }
    }
    if search.found.is_empty() {
        return Err(DatasetError::NoPictures {
            paths: paths.to_vec(),
        });
    }
    Ok(search.found)
}

/// The sorted names of the class folders, at least two.
fn class_names(root: &Path) -> Result<Vec<String>, DatasetError> {
    let mut classes = Vec::new();
    for entry in list(root).map_err(DatasetError::unreadable(root))? {
        let path = root.join(&entry.name);
        if !(entry.file_type.is_dir() || entry.file_type.is_symlink() && path.is_dir()) {
            continue;
        }
        match entry.name.into_string() {
            Ok(name) => classes.push(name),
            Err(_) => return Err(DatasetError::ClassName { path }),
        }
    }
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

/// An entry of a folder: its name, and its kind if that is known without following links.
struct Entry {
    name: OsString,
    file_type: FileType,
}

/// Everything in a folder that is not hidden, sorted by name.
///
/// Why not walkdir? To sort, it keeps a whole path for each entry of a folder, and there may be a
/// million entries.
fn list(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        entries.push(Entry {
            name,
            file_type: entry.file_type()?,
        });
    }
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// A folder that is being searched, under both of its names.
struct Folder {
    /// The path that is opened.
    path: PathBuf,
    /// The path that rows are named after: relative to the root, with `/` between folders.
    relative: String,
    /// Whether `relative` is the exact name, or the nearest UTF-8.
    is_exact: bool,
}

impl Folder {
    fn join(&self, name: &OsStr) -> Self {
        Self {
            path: self.path.join(name),
            relative: self.relative_to_root(&name.to_string_lossy()),
            is_exact: self.is_exact && name.to_str().is_some(),
        }
    }

    fn relative_to_root(&self, name: &str) -> String {
        let mut path = String::with_capacity(self.relative.len() + 1 + name.len());
        path += &self.relative;
        path.push('/');
        path += name;
        path
    }
}

/// A search of the class folders, one after the other.
struct Search {
    /// Index of the current class; `None` without classes.
    label: Option<usize>,
    /// The real paths, without links, of the root and of the folders down to the current one.
    open: Vec<PathBuf>,
    found: Pictures,
}

impl Search {
    /// Searches a folder that was given by name.
    fn folder(&mut self, path: &Path) -> Result<(), DatasetError> {
        let real = fs::canonicalize(path).map_err(DatasetError::unreadable(path))?;
        let entries = list(path).map_err(DatasetError::unreadable(path))?;
        let name = path.to_string_lossy();
        let folder = Folder {
            path: path.to_owned(),
            relative: name.trim_end_matches('/').to_owned(),
            is_exact: path.to_str().is_some(),
        };
        self.search(&folder, real, entries);
        Ok(())
    }

    /// Takes a file that was given by name, whatever its extension.
    fn file(&mut self, path: &Path) {
        match path.to_str() {
            Some(name) => self.found.listed.push(Picture {
                path: name.into(),
                label: None,
                group: None,
                place: Place::File,
            }),
            None => {
                let path = path.to_string_lossy().into_owned();
                self.found.unusable.push(Failure::not_utf8(path));
            }
        }
    }

    fn class(&mut self, name: &str) -> Result<(), DatasetError> {
        let folder = Folder {
            path: self.found.root.join(name),
            relative: name.to_owned(),
            is_exact: true,
        };
        let (n_pictures, n_unusable) = (self.found.listed.len(), self.found.unusable.len());
        let real =
            fs::canonicalize(&folder.path).map_err(DatasetError::unreadable(&folder.path))?;
        if self.is_open(&real) {
            return Err(DatasetError::ClassLoop { path: folder.path });
        }
        let entries = list(&folder.path).map_err(DatasetError::unreadable(&folder.path))?;
        self.search(&folder, real, entries);
        if self.found.listed.len() == n_pictures {
            return Err(DatasetError::EmptyClass {
                path: folder.path,
                unusable: self.found.unusable.get(n_unusable).cloned(),
            });
        }
        Ok(())
    }

    /// Adds the pictures in `folder`. Paths have bounded lengths, and so the recursion is bounded.
    fn search(&mut self, folder: &Folder, real: PathBuf, entries: Vec<Entry>) {
        self.open.push(real);
        for Entry { name, file_type } in entries {
            if file_type.is_symlink() {
                self.follow(folder, &name);
            } else if file_type.is_dir() {
                let real = self.open.last().map(|open| open.join(&name));
                self.enter(&folder.join(&name), real.unwrap_or_default());
            } else {
                self.take(folder, &name);
            }
        }
        self.open.pop();
    }

    fn enter(&mut self, folder: &Folder, real: PathBuf) {
        match list(&folder.path) {
            Ok(entries) => self.search(folder, real, entries),
            Err(error) => {
                let reason = format!("the folder cannot be read: {error}");
                self.fail(folder.relative.clone(), reason, Failure::OUT_OF_REACH);
            }
        }
    }

    fn follow(&mut self, folder: &Folder, name: &OsStr) {
        let link = folder.join(name);
        let target = fs::metadata(&link.path).and_then(|target| {
            let is_folder = target.is_dir();
            is_folder.then(|| fs::canonicalize(&link.path)).transpose()
        });
        match target {
            Ok(None) => self.take(folder, name),
            Ok(Some(real)) if self.is_open(&real) => {
                let reason = "a link to a folder that it lies in".to_owned();
                self.fail(link.relative, reason, "link_loop");
            }
            Ok(Some(real)) => self.enter(&link, real),
            // This may be a folder of pictures.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let reason = format!("a link that cannot be followed: {error}");
                self.fail(link.relative, reason, Failure::OUT_OF_REACH);
            }
            Err(error) => {
                let reason = format!("a link that leads nowhere: {error}");
                self.fail(link.relative, reason, "dangling_link");
            }
        }
    }

    /// Whether a search of the folder `real` would return to a folder that is being searched.
    fn is_open(&self, real: &Path) -> bool {
        self.open.iter().any(|open| open.starts_with(real))
    }

    fn take(&mut self, folder: &Folder, name: &OsStr) {
        if !has_picture_ending(name.as_encoded_bytes()) {
            self.found.other_files.add(name.as_encoded_bytes());
            return;
        }
        match name.to_str() {
            Some(name) if folder.is_exact => self.found.listed.push(Picture {
                path: folder.relative_to_root(name).into_boxed_str(),
                label: self.label,
                group: None,
                place: Place::File,
            }),
            _ => {
                let path = folder.relative_to_root(&name.to_string_lossy());
                self.found.unusable.push(Failure::not_utf8(path));
            }
        }
    }

    fn fail(&mut self, path: String, error: String, kind: &'static str) {
        self.found.unusable.push(Failure { path, error, kind });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for path in paths {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        root
    }

    fn message(paths: &[&str]) -> String {
        let root = tree(paths);
        let error = find(root.path()).unwrap_err().to_string();
        error.replace(root.path().to_str().unwrap(), "ROOT")
    }

    #[test]
    fn classes_are_sorted_and_rows_follow_class_and_path() {
        let root = tree(&[
            "b/2.JPG",
            "b/10.jpeg",
            "a b/x.png",
            "a/z.webp",
            "a/sub folder/é.gif",
            "a/.hidden.jpg",
            "a/notes.txt",
            ".ipynb_checkpoints/x.jpg",
            "README.md",
        ]);
        let found = find(root.path()).unwrap();
        assert_eq!(found.classes, ["a", "a b", "b"]);
        let rows: Vec<_> = found
            .listed
            .iter()
            .map(|picture| (picture.label, &*picture.path))
            .collect();
        assert_eq!(
            rows,
            [
                (Some(0), "a/sub folder/é.gif"),
                (Some(0), "a/z.webp"),
                (Some(1), "a b/x.png"),
                (Some(2), "b/10.jpeg"),
                (Some(2), "b/2.JPG"),
            ]
        );
        assert_eq!(found.other_files.len(), 1);
    }

    #[test]
    fn folders_without_labelled_pictures_are_refused_with_a_reason() {
        assert!(message(&["x.jpg"]).starts_with("ROOT holds no class folders; put"));
        assert_eq!(
            message(&["a/x.jpg"]),
            "ROOT holds one class only, 'a'; a classifier needs two or more"
        );
        assert!(
            message(&["set/a/x.jpg"])
                .ends_with("(if the folders in 'set' are the classes, give ROOT/set)")
        );
        assert!(
            message(&["a/x.jpg", "b/x.txt"])
                .starts_with("the class folder ROOT/b holds no pictures")
        );
        assert_eq!(
            message(&["train/a/x.jpg", "validation/a/x.jpg"]),
            "ROOT holds train and validation, not classes; give each of them in a call of its own, as ROOT/train"
        );
        let missing = find(Path::new("/nowhere/at all")).unwrap_err();
        assert!(
            missing
                .to_string()
                .starts_with("cannot read /nowhere/at all: ")
        );
    }

    #[test]
    fn files_and_folders_are_listed_as_given_and_labels_are_not_looked_for() {
        let root = tree(&[
            "b/2.JPG",
            "b/sub/1.png",
            "b/notes.txt",
            "a.dat",
            "empty/x.txt",
        ]);
        let at = |name: &str| root.path().join(name);
        let found =
            find_unlabelled(&[at("b/"), at("a.dat"), at("b/2.JPG"), at("gone.jpg")]).unwrap();
        let prefix = format!("{}/", root.path().display());
        let paths: Vec<_> = found
            .listed
            .iter()
            .map(|picture| picture.path.strip_prefix(&prefix).unwrap())
            .collect();
        assert_eq!(
            paths,
            ["b/2.JPG", "b/sub/1.png", "a.dat", "b/2.JPG", "gone.jpg"]
        );
        assert!(!found.is_labelled());
        assert!(found.read(&found.listed[2]).unwrap().is_empty());
        let error = find_unlabelled(&[at("empty")]).unwrap_err().to_string();
        assert!(error.starts_with("there are no pictures ("), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_that_loop_or_lead_nowhere_are_listed_and_the_rest_goes_on() {
        let root = tree(&["a/1.jpg", "b/2.jpg"]);
        let link =
            |to: &str, at: &str| std::os::unix::fs::symlink(to, root.path().join(at)).unwrap();
        link("../a", "a/again");
        link("gone.jpg", "b/itself.jpg");
        link("nowhere.jpg", "b/gone.jpg");
        link("1.jpg", "a/same.jpg");
        let found = find(root.path()).unwrap();
        let paths: Vec<_> = found.listed.iter().map(|picture| &*picture.path).collect();
        assert_eq!(paths, ["a/1.jpg", "a/same.jpg", "b/2.jpg"]);
        let unusable: Vec<_> = found.unusable.iter().map(|failure| &failure.path).collect();
        assert_eq!(unusable, ["a/again", "b/gone.jpg", "b/itself.jpg"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_name_that_is_not_utf8_is_listed() {
        use std::os::unix::ffi::OsStrExt;
        let root = tree(&["a/1.jpg", "b/2.jpg"]);
        let name = std::ffi::OsStr::from_bytes(b"a/\xff.jpg");
        fs::write(root.path().join(name), b"").unwrap();
        let found = find(root.path()).unwrap();
        assert_eq!(found.listed.len(), 2);
        assert_eq!(found.unusable[0].path, "a/\u{fffd}.jpg");
    }
}
