//! One hash of a list of pictures: their names, labels and order.

use blake3::{Hash, Hasher};

use super::{Picture, Pictures, Place};
use crate::codes::Failure;

/// Begins every digest. Raise the number with any change to what is hashed after it.
const DOMAIN: &[u8] = b"cnn-codes pictures 1\n";

impl Pictures {
    /// A hash over classes, paths, labels, groups, places and unusable pictures, in their order.
    ///
    /// The contents of the files are not part of it, nor is [`Pictures::root`]: a set keeps its
    /// digest when it is moved. Archives count by their file names, unusable pictures by path and
    /// kind.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let mut hasher = Hasher::new();
        hasher.update(DOMAIN);
        add_list(&mut hasher, &self.classes, |hasher, class| {
            add_text(hasher, class.as_bytes());
        });
        add_list(&mut hasher, &self.archives, |hasher, archive| {
            let name = archive.file_name().unwrap_or(archive.as_os_str());
            add_text(hasher, name.as_encoded_bytes());
        });
        add_list(&mut hasher, &self.listed, add_picture);
        if !self.given.is_empty() {
            add_list(&mut hasher, &self.given, |hasher, file| {
                hasher.update(blake3::hash(file).as_bytes());
            });
        }
        add_list(&mut hasher, &self.unusable, add_failure);
        // Sets without groups keep the digests that they had before groups existed.
        if self.is_grouped() {
            add_list(&mut hasher, &self.listed, |hasher, picture| {
                add_text(hasher, picture.group.as_deref().unwrap_or("").as_bytes());
            });
        }
        hasher.finalize()
    }
}

fn add_picture(hasher: &mut Hasher, picture: &Picture) {
    add_text(hasher, picture.path.as_bytes());
    match picture.label {
        None => add_number(hasher, 0),
        Some(label) => add_number(hasher, label as u64 + 1),
    }
    match picture.place {
        Place::File => add_number(hasher, 0),
        Place::Archived {
            archive,
            offset,
            n_bytes,
        } => {
            add_number(hasher, u64::from(archive) + 1);
            add_number(hasher, offset);
            add_number(hasher, n_bytes);
        }
        Place::Given { index } => {
            add_number(hasher, u64::MAX);
            add_number(hasher, u64::from(index));
        }
    }
}

fn add_failure(hasher: &mut Hasher, failure: &Failure) {
    add_text(hasher, failure.path.as_bytes());
    add_text(hasher, failure.kind.as_bytes());
}

/// Lengths go first, so that no two different lists give the same bytes.
fn add_list<T>(hasher: &mut Hasher, items: &[T], add: impl Fn(&mut Hasher, &T)) {
    add_number(hasher, items.len() as u64);
    for item in items {
        add(hasher, item);
    }
}

fn add_text(hasher: &mut Hasher, text: &[u8]) {
    add_number(hasher, text.len() as u64);
    hasher.update(text);
}

fn add_number(hasher: &mut Hasher, number: u64) {
    hasher.update(&number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::OtherFiles;
    use super::*;

    fn picture(path: &str, label: Option<usize>, place: Place) -> Picture {
        Picture {
            path: path.into(),
            label,
            group: None,
            place,
        }
    }

    fn archived(archive: u32, offset: u64, n_bytes: u64) -> Place {
        Place::Archived {
            archive,
            offset,
            n_bytes,
        }
    }

    fn base() -> Pictures {
        let mut other_files = OtherFiles::default();
        other_files.add(b"x.txt");
        Pictures {
            given: Vec::new(),
            root: "/data".into(),
            archives: vec!["x/0.tar".into(), "x/1.tar".into()],
            classes: vec!["a".to_owned(), "b".to_owned()],
            listed: vec![
                picture("1.jpg", Some(0), Place::File),
                picture("2.jpg", Some(1), archived(1, 512, 9)),
            ],
            unusable: vec![Failure::not_utf8("?.jpg".to_owned())],
            were_found: true,
            other_files,
        }
    }

    fn changed(change: impl FnOnce(&mut Pictures)) -> Hash {
        let mut pictures = base();
        change(&mut pictures);
        pictures.digest()
    }

    #[test]
    fn the_digest_changes_with_everything_that_makes_rows() {
        let mut digests = vec![
            base().digest(),
            changed(|p| p.classes[1] = "c".to_owned()),
            changed(|p| p.classes = vec!["ab".to_owned(), String::new()]),
            changed(|p| p.archives[0] = "x/2.tar".into()),
            changed(|p| p.listed[0].path = "3.jpg".into()),
            changed(|p| p.listed[0].label = None),
            changed(|p| p.listed[0].label = Some(1)),
            changed(|p| p.listed[0].place = archived(0, 0, 0)),
            changed(|p| p.listed[1].place = archived(0, 512, 9)),
            changed(|p| p.listed[1].place = archived(1, 1024, 9)),
            changed(|p| p.listed[1].place = archived(1, 512, 8)),
            changed(|p| p.listed.reverse()),
            changed(|p| p.listed.truncate(1)),
            changed(|p| p.unusable.clear()),
            changed(|p| p.unusable[0].kind = "no_label"),
        ]
        .into_iter()
        .map(|hash| hash.to_hex().to_string())
        .collect::<Vec<_>>();
        let n = digests.len();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), n);
    }

    #[test]
    fn the_digest_does_not_change_with_where_the_set_lies_or_how_an_error_is_put() {
        assert_eq!(changed(|p| p.root = "elsewhere".into()), base().digest());
        assert_eq!(
            changed(|p| p.archives[0] = "/y/0.tar".into()),
            base().digest()
        );
        assert_eq!(
            changed(|p| p.unusable[0].error = "other words".to_owned()),
            base().digest()
        );
    }

    #[test]
    fn the_encoding_is_the_documented_one() {
        let pictures = Pictures {
            classes: vec!["é".to_owned()],
            listed: vec![picture("x", Some(0), archived(0, 512, 7))],
            archives: vec!["dir/s.tar".into()],
            ..Pictures::default()
        };
        let mut bytes = b"cnn-codes pictures 1\n".to_vec();
        let number = |bytes: &mut Vec<u8>, n: u64| bytes.extend(n.to_le_bytes());
        for (n, text) in [(1, ""), (2, "é"), (1, ""), (5, "s.tar"), (1, ""), (1, "x")] {
            number(&mut bytes, n);
            bytes.extend(text.as_bytes());
        }
        for n in [1, 1, 512, 7, 0] {
            number(&mut bytes, n);
        }
        assert_eq!(pictures.digest(), blake3::hash(&bytes));
    }
}
