//! Tar files in WebDataset's layout: `0001.jpg` and its label `0001.cls` or `0001.json`.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tar::{Archive, Entry, EntryType};

use super::classes::Classes;
use super::pictures::has_picture_ending;
use super::read::MAX_FILE_BYTES;
use super::{DatasetError, Picture, Pictures, Place};
use crate::codes::Failure;

/// The largest label file that is read.
const MAX_LABEL_BYTES: u64 = 1 << 20;

/// The longest class name: the name is written into the row of each of its pictures.
const MAX_CLASS_BYTES: usize = 1000;

/// The most bytes that are read between two members: a header with a long name, or a label.
const MAX_RUN_BYTES: u64 = 2 * MAX_LABEL_BYTES;

/// The fields of NAME.json that may hold the label; the first one present counts.
const LABEL_FIELDS: &[&str] = &["label", "class", "class_name", "cls"];

/// Compressed files: their first bytes, the compression, and the program that undoes it.
const COMPRESSIONS: &[(&[u8], &str, &str)] = &[
    (b"\x1f\x8b", "gzip", "gunzip"),
    (b"BZh", "bzip2", "bunzip2"),
    (b"\xfd7zXZ\0", "xz", "unxz"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd"),
];

/// Lists the pictures in tar files, reading headers and labels only.
///
/// Members with the same key belong together. The key is the member's name up to the first dot
/// after the folders. `KEY.cls` holds the label as text. `KEY.json` holds it in `label`, `class`,
/// `class_name` or `cls`, as a string or an integer; it counts only if there is no `KEY.cls`. A
/// label is a class name, so class 10 is sorted before class 2. Pictures without a label are
/// unusable, unless the archives hold no label at all; then the set is unlabelled.
///
/// Rows are sorted by archive file name. Within an archive they keep the order of the members, so
/// each archive is read once, from beginning to end. A row is named `ARCHIVE/MEMBER`, after the
/// archive's file name. Nothing is unpacked, so members' names are never used as paths. Links and
/// sparse members are unusable.
///
/// # Errors
/// [`DatasetError`] with the archive that is at fault: it is not a tar file, it is compressed or
/// cut short, two archives have one file name, or one archive holds two pictures of one name
/// (unpacking would overwrite one with the other).
pub fn read_labelled_archives(archives: &[PathBuf]) -> Result<Pictures, DatasetError> {
    read_with(archives, Labels::Read)
}

/// Lists the pictures in tar files as [`read_labelled_archives`] does, but without labels: label
/// files are treated like any other file.
///
/// # Errors
/// As [`read_labelled_archives`].
pub fn read_unlabelled_archives(archives: &[PathBuf]) -> Result<Pictures, DatasetError> {
    read_with(archives, Labels::Ignore)
}

/// How label files are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Labels {
    #[default]
    Read,
    Ignore,
}

fn read_with(archives: &[PathBuf], labels: Labels) -> Result<Pictures, DatasetError> {
    let archives = sort_by_name(archives)?;
    let mut index = Index {
        labels,
        ..Index::default()
    };
    for (number, path) in archives.iter().enumerate() {
        index.number = u32::try_from(number).expect("fewer archives than command lines hold");
        index.read_archive(path)?;
    }
    let mut found = index.found;
    let input = list_ends(&archives);
    if found.is_empty() {
        return Err(DatasetError::NoMembers { archives: input });
    }
    if index.is_labelled {
        set_unlabelled_aside(&mut found);
    }
    found.unusable.sort_by(|a, b| a.path.cmp(&b.path));
    found.classes = index.classes.assign(&input, &mut found.listed)?;
    found.listed.shrink_to_fit();
    found.archives = archives;
    Ok(found)
}

/// The archives sorted by their file names, which must all differ.
fn sort_by_name(archives: &[PathBuf]) -> Result<Vec<PathBuf>, DatasetError> {
    let mut sorted = archives.to_vec();
    sorted.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    for pair in sorted.windows(2) {
        if pair[0].file_name() == pair[1].file_name() {
            return Err(DatasetError::SameName {
                first: pair[0].clone(),
                second: pair[1].clone(),
            });
        }
    }
    Ok(sorted)
}

/// The archives' names for an error: all of one or two, the first and the last of more.
fn list_ends(archives: &[PathBuf]) -> String {
    match archives {
        [] => "no archives".to_owned(),
        [one] => one.display().to_string(),
        [first, .., last] => format!(
            "{} archives from {} to {}",
            archives.len(),
            first.display(),
            last.display()
        ),
    }
}

fn set_unlabelled_aside(found: &mut Pictures) {
    let unusable = &mut found.unusable;
    found.listed.retain(|picture| {
        if picture.label.is_none() {
            let reason = "there is no label; others have a .cls, or a .json with a label in it";
            unusable.push(no_label(&picture.path, reason.to_owned()));
        }
        picture.label.is_some()
    });
}

fn no_label(path: &str, error: String) -> Failure {
    Failure {
        path: path.to_owned(),
        error,
        kind: "no_label",
    }
}

/// What has been found in the archives so far.
#[derive(Default)]
struct Index {
    found: Pictures,
    labels: Labels,
    classes: Classes,
    /// Whether any member was meant to be a label.
    is_labelled: bool,
    /// Index of the current archive.
    number: u32,
    /// Its file name.
    name: String,
    /// Its samples, by key.
    samples: HashMap<String, Sample>,
}

/// What the label files of a key say.
#[derive(Default)]
struct Sample {
    cls: Option<Label>,
    json: Option<Label>,
}

/// A class by its provisional index, or why a label file gives none.
type Label = Result<usize, String>;

impl Index {
    fn read_archive(&mut self, path: &Path) -> Result<(), DatasetError> {
        self.name = match path.file_name().unwrap_or_default().to_str() {
            Some(name) => name.to_owned(),
            None => {
                return Err(DatasetError::ArchiveName {
                    path: path.to_owned(),
                });
            }
        };
        self.samples.clear();
        let n_before = self.found.listed.len();
        self.read_members(path)?;
        self.check_names(path, n_before)?;
        self.label_pictures(n_before);
        Ok(())
    }

    fn read_members(&mut self, path: &Path) -> Result<(), DatasetError> {
        let file = open(path)?;
        let n_bytes = file
            .metadata()
            .map_err(DatasetError::unreadable(path))?
            .len();
        let cut_short = || DatasetError::CutShort {
            path: path.to_owned(),
            n_bytes,
        };
        let mut near = 0;
        let not_a_tar = |near, source| DatasetError::NotATar {
            path: path.to_owned(),
            near,
            source,
        };
        let mut archive = Archive::new(BoundedRuns::new(file));
        let entries = archive.entries_with_seek();
        for entry in entries.map_err(|source| not_a_tar(near, source))? {
            let mut entry = entry.map_err(|source| not_a_tar(near, source))?;
            near = end(&entry);
            if near > n_bytes {
                return Err(cut_short());
            }
            self.take(&mut entry)
                .map_err(|source| not_a_tar(near, source))?;
        }
        // After the last member comes a block of zeros, unless the archive ends before it.
        if archive.into_inner().is_at_end {
            return Err(cut_short());
        }
        Ok(())
    }

    fn take<R: Read>(&mut self, entry: &mut Entry<R>) -> io::Result<()> {
        let entry_type = entry.header().entry_type();
        let name = entry.path_bytes().into_owned();
        let name = name.strip_prefix(b"./").unwrap_or(&name);
        if entry_type.is_dir() || entry_type == EntryType::XGlobalHeader || name.ends_with(b"/") {
            return Ok(());
        }
        let is_picture = has_picture_ending(name);
        let Ok(name) = str::from_utf8(name) else {
            if is_picture {
                let path = format!("{}/{}", self.name, String::from_utf8_lossy(name));
                self.found.unusable.push(Failure::not_utf8(path));
            }
            return Ok(());
        };
        match split_key(name) {
            Some(_) if is_picture => self.take_picture(name, entry),
            _ if self.labels == Labels::Ignore => self.found.other_files.add(name.as_bytes()),
            Some((key, ending)) if ending.eq_ignore_ascii_case("cls") => {
                let label = self.read_label(name, entry, class_in_text)?;
                self.samples.entry(key.to_owned()).or_default().cls = label;
            }
            Some((key, ending)) if ending.eq_ignore_ascii_case("json") => {
                let label = self.read_label(name, entry, class_in_json)?;
                self.samples.entry(key.to_owned()).or_default().json = label;
            }
            _ => self.found.other_files.add(name.as_bytes()),
        }
        Ok(())
    }

    fn take_picture<R: Read>(&mut self, name: &str, entry: &Entry<R>) {
        let path = format!("{}/{name}", self.name);
        match refusal(entry) {
            None => self.found.listed.push(Picture {
                path: path.into(),
                label: None,
                group: None,
                place: Place::Archived {
                    archive: self.number,
                    offset: entry.raw_file_position(),
                    n_bytes: entry.size(),
                },
            }),
            Some((kind, error)) => self.found.unusable.push(Failure { path, error, kind }),
        }
    }

    /// What a label file says; `None` if it says nothing about a class.
    fn read_label<R: Read>(
        &mut self,
        name: &str,
        entry: &mut Entry<R>,
        class: fn(&[u8]) -> Result<Option<String>, &'static str>,
    ) -> io::Result<Option<Label>> {
        let name = format!("{}/{name}", self.name);
        let said = if !is_regular(entry) {
            Err("is a link or another special file")
        } else if entry.size() > MAX_LABEL_BYTES {
            Err("is larger than 1 MiB")
        } else {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            class(&bytes)
        };
        let label = match said {
            Ok(None) => return Ok(None),
            Ok(Some(class)) => Ok(self.classes.place(&class)),
            Err(problem) => Err(format!("{name} {problem}")),
        };
        self.is_labelled = true;
        Ok(Some(label))
    }

    fn check_names(&self, path: &Path, n_before: usize) -> Result<(), DatasetError> {
        let pictures = self.found.listed[n_before..].iter();
        let mut names: Vec<_> = pictures.map(|picture| &*picture.path).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            None => Ok(()),
            Some(pair) => Err(DatasetError::SameMember {
                path: path.to_owned(),
                member: pair[0][self.name.len() + 1..].to_owned(),
            }),
        }
    }

    /// Labels the archive's pictures. Pictures whose label files give no class are set aside.
    fn label_pictures(&mut self, n_before: usize) {
        let pictures = self.found.listed.split_off(n_before);
        for mut picture in pictures {
            let member = &picture.path[self.name.len() + 1..];
            let sample = split_key(member).and_then(|(key, _)| self.samples.get(key));
            let label = sample.and_then(|sample| sample.cls.as_ref().or(sample.json.as_ref()));
            match label {
                Some(Err(problem)) => {
                    let failure = no_label(&picture.path, problem.clone());
                    self.found.unusable.push(failure);
                    continue;
                }
                Some(Ok(place)) => picture.label = Some(*place),
                None => {}
            }
            self.found.listed.push(picture);
        }
    }
}

/// Opens an archive after checking what it is: opening a FIFO would block.
fn open(path: &Path) -> Result<File, DatasetError> {
    let metadata = fs::metadata(path).map_err(DatasetError::unreadable(path))?;
    if !metadata.is_file() {
        return Err(DatasetError::ArchiveNotAFile {
            path: path.to_owned(),
        });
    }
    let mut file = File::open(path).map_err(DatasetError::unreadable(path))?;
    let mut start = Vec::new();
    let longest = COMPRESSIONS.iter().map(|(magic, ..)| magic.len()).max();
    (&mut file)
        .take(longest.unwrap_or(0) as u64)
        .read_to_end(&mut start)
        .and_then(|_| file.rewind())
        .map_err(DatasetError::unreadable(path))?;
    match COMPRESSIONS
        .iter()
        .find(|(magic, ..)| start.starts_with(magic))
    {
        None => Ok(file),
        Some(&(_, compression, command)) => Err(DatasetError::Compressed {
            path: path.to_owned(),
            compression,
            command,
        }),
    }
}

/// Whether a member is a file whose bytes all lie behind its header.
fn is_regular<R: Read>(entry: &Entry<R>) -> bool {
    let entry_type = entry.header().entry_type();
    entry_type.is_file() || entry_type.is_contiguous()
}

/// Why a picture cannot be read out of its archive: the kind of failure, and its message.
fn refusal<R: Read>(entry: &Entry<R>) -> Option<(&'static str, String)> {
    let error = match entry.header().entry_type() {
        _ if is_regular(entry) && entry.size() > MAX_FILE_BYTES => {
            let error = format!("larger than {} MiB", MAX_FILE_BYTES >> 20);
            return Some(("too_large", error));
        }
        _ if is_regular(entry) => return None,
        EntryType::Link | EntryType::Symlink => "a link to another member; archive the file itself",
        EntryType::GNUSparse => "stored as a sparse file; archive it without --sparse",
        _ => "not a regular file",
    };
    Some(("not_a_file", error.to_owned()))
}

/// Where the data of a member ends. A sparse member states a size that it does not take up.
fn end<R: Read>(entry: &Entry<R>) -> u64 {
    let n_bytes = if entry.header().entry_type().is_gnu_sparse() {
        entry.header().entry_size().unwrap_or(0)
    } else {
        entry.size()
    };
    entry.raw_file_position().saturating_add(n_bytes)
}

/// WebDataset's key and the rest after its dot: `a.b/c.left.jpg` gives `a.b/c` and `left.jpg`.
fn split_key(name: &str) -> Option<(&str, &str)> {
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = file + name[file..].find('.')?;
    (dot > file).then(|| (&name[..dot], &name[dot + 1..]))
}

/// The class in a .cls file. An empty file is an error: it was meant to name a class.
fn class_in_text(bytes: &[u8]) -> Result<Option<String>, &'static str> {
    let text = str::from_utf8(bytes).map_err(|_| "is not UTF-8")?;
    check_class(text.trim()).map(Some)
}

/// The class in a .json file; `None` if the file is about something else.
fn class_in_json(bytes: &[u8]) -> Result<Option<String>, &'static str> {
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|_| "is not JSON")?;
    let mut fields = LABEL_FIELDS.iter().filter_map(|field| value.get(field));
    let class = fields.find_map(|field| match field {
        serde_json::Value::String(class) => Some(class.trim().to_owned()),
        serde_json::Value::Number(class) if !class.is_f64() => Some(class.to_string()),
        _ => None,
    });
    class.map(|class| check_class(&class)).transpose()
}

fn check_class(class: &str) -> Result<String, &'static str> {
    if class.is_empty() {
        Err("holds an empty label")
    } else if class.contains(char::is_control) {
        Err("holds a label with line ends or control characters in it")
    } else if class.len() > MAX_CLASS_BYTES {
        Err("holds a label of more than 1000 bytes")
    } else {
        Ok(class.to_owned())
    }
}

/// A reader that refuses to read more than a limit in one go; the tar crate seeks before every
/// header.
///
/// Why? A header may announce a name of any length, and the tar crate reads all of it into memory.
struct BoundedRuns {
    file: File,
    /// Bytes read since the last seek.
    n_bytes: u64,
    /// Whether the last read found the end of the file.
    is_at_end: bool,
}

impl BoundedRuns {
    fn new(file: File) -> Self {
        Self {
            file,
            n_bytes: 0,
            is_at_end: false,
        }
    }
}

impl Read for BoundedRuns {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.n_bytes > MAX_RUN_BYTES {
            let problem = format!("a header of more than {} MiB", MAX_RUN_BYTES >> 20);
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        let n = self.file.read(buffer)?;
        self.n_bytes += n as u64;
        self.is_at_end = n == 0 && !buffer.is_empty();
        Ok(n)
    }
}

impl Seek for BoundedRuns {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.n_bytes = 0;
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_webdatasets() {
        assert_eq!(split_key("a.b/c.left.jpg"), Some(("a.b/c", "left.jpg")));
        assert_eq!(split_key("1.cls"), Some(("1", "cls")));
        assert_eq!(split_key("../é.jpg"), Some(("../é", "jpg")));
        for name in ["", "a", "a.b/c", ".jpg", "a/._1.jpg"] {
            assert_eq!(split_key(name), None, "{name}");
        }
    }

    #[test]
    fn labels_are_text_or_one_of_four_fields() {
        let text = |bytes: &[u8]| class_in_text(bytes).map(Option::unwrap);
        assert_eq!(text(b" 7\n").unwrap(), "7");
        assert_eq!(text("zwei Wörter".as_bytes()).unwrap(), "zwei Wörter");
        assert!(text(b" \n").is_err() && text(b"a\nb").is_err() && text(b"\xff").is_err());
        assert!(text(&[b'x'; 1001]).is_err() && text(&[b'x'; 1000]).is_ok());

        let json = |text: &str| class_in_json(text.as_bytes());
        for (text, class) in [
            (r#"{"label": 7, "class": "x"}"#, Some("7")),
            (
                r#"{"label": null, "cls": "a", "class_name": " b "}"#,
                Some("b"),
            ),
            (r#"{"cls": -1}"#, Some("-1")),
            (r#"{"label": 1.5}"#, None),
            (r#"{"caption": "x"}"#, None),
            ("[1]", None),
        ] {
            assert_eq!(json(text).unwrap().as_deref(), class, "{text}");
        }
        assert!(json("{").is_err() && json(r#"{"label": ""}"#).is_err());
    }
}
