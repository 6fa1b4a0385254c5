//! A tree of pictures in which the labels are corrected. The pictures themselves stay where and as they are.

use std::collections::HashSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use cnn_codes::codes::Corrections;
use cnn_codes_files::{Existing, FileDraft, Kind, sync_directory};

use super::parts::{Part, Parts, Role};
use crate::page::same_bytes;
use crate::stop::Stop;
use crate::{Format, new_folder, print_result, say, shown, visible};

/// The table of the tree, written last.
const TABLE: &str = "pictures.csv";
const KIND: Kind = Kind {
    name: "corrected tree",
    marker: TABLE,
};
const COLUMNS: [&str; 5] = ["path", "label", "from", "was", "blake3"];

/// Writes the tree, and tells what is other than before.
pub fn run(
    parts: &Parts,
    relabel: &Path,
    out: &Path,
    links: bool,
    stop: &Stop,
) -> anyhow::Result<ExitCode> {
    let corrections = Corrections::read(relabel)?;
    let classes = parts.train().store.classes().to_vec();
    for class in &classes {
        if !is_inside(class) || class.contains(std::path::is_separator) {
            bail!("the class '{class}' cannot be the name of a folder");
        }
    }
    let draft = new_folder::begin(out, KIND, "--apply")?;
    let mut tree = Tree {
        folder: draft.path().to_owned(),
        taken: HashSet::new(),
        folders: HashSet::new(),
        table: csv::Writer::from_writer(Vec::new()),
        links,
        n: 0,
        n_other: 0,
    };
    tree.table.write_record(COLUMNS)?;
    for part in &parts.all {
        let labels = corrections.labels(&part.store, &classes)?;
        for (row, label) in labels.into_iter().enumerate() {
            if stop.is_wanted() {
                return Ok(stop.exit_code());
            }
            if let Some(label) = label {
                tree.add(part, row, &classes[label])?;
            }
        }
    }
    let Tree { n, n_other, .. } = tree;
    tree.finish()?;
    draft.publish()?;
    let all: usize = parts
        .all
        .iter()
        .map(|part| part.store.pictures().len())
        .sum();
    say(&format!(
        "{n} pictures, {n_other} of them under another class than before; {} set aside or without a label",
        all - n
    ));
    let line = format!("pictures: {}", shown(out));
    print_result(Format::Text, &format!("{line}\n"), &line)?;
    Ok(ExitCode::SUCCESS)
}

struct Tree {
    folder: PathBuf,
    /// Paths below the folder that are taken, as a file system sees them that does not tell cases apart.
    taken: HashSet<String>,
    folders: HashSet<PathBuf>,
    table: csv::Writer<Vec<u8>>,
    links: bool,
    n: usize,
    /// Of these, under another class.
    n_other: usize,
}

impl Tree {
    fn add(&mut self, part: &Part, row: usize, class: &str) -> anyhow::Result<()> {
        let picture = &part.store.pictures()[row];
        let was = picture
            .label
            .map(|label| part.store.classes()[label].as_str());
        if !is_inside(&picture.path) {
            bail!("{} leads out of the folder of the pictures", picture.path);
        }
        let place = match part.role {
            Role::Train | Role::Unlabelled => "train",
            Role::Validation => "validation",
        };
        let path = self.free(place, &placed(&picture.path, was, class));
        let to = self.folder.join(&path);
        let folder = to.parent().unwrap_or(&self.folder).to_owned();
        if !self.folders.contains(&folder) {
            fs::create_dir_all(&folder)
                .map_err(|error| anyhow!("cannot make {}: {error}", shown(&folder)))?;
            self.folders.insert(folder);
        }
        self.place(part, row, &to).map_err(|error| {
            let store = shown(part.store.dir());
            anyhow!(
                "cannot take {} of {store}: {error:#}",
                visible(&picture.path)
            )
        })?;
        let blake3 = picture.blake3.to_hex();
        let from = &*picture.path;
        self.table
            .write_record([&*path, class, from, was.unwrap_or(""), &blake3])?;
        self.n += 1;
        self.n_other += usize::from(was != Some(class));
        Ok(())
    }

    /// The path, or one like it that is not taken.
    fn free(&mut self, place: &str, path: &str) -> String {
        let dot = path.rfind('.').filter(|&dot| !path[dot..].contains('/'));
        let (stem, ending) = path.split_at(dot.unwrap_or(path.len()));
        let mut free = format!("{place}/{path}");
        let mut number = 2;
        while !self.taken.insert(free.to_lowercase()) {
            free = format!("{place}/{stem}-{number}{ending}");
            number += 1;
        }
        free
    }

    fn place(&self, part: &Part, row: usize, to: &Path) -> anyhow::Result<()> {
        let pictures = part.pictures.as_ref();
        let pictures = pictures.context("its folder is not known; --pictures names it")?;
        let picture = part.picture(row);
        let blake3 = part.store.pictures()[row].blake3;
        let bytes = same_bytes(pictures, &picture, blake3).map_err(|why| anyhow!(why))?;
        if self.links {
            // A link to what a link leads to, not to the link.
            let from = fs::canonicalize(pictures.root.join(&*picture.path))?;
            return fs::hard_link(from, to).context("cannot make a hard link");
        }
        fs::write(to, bytes)?;
        Ok(fs::File::open(to)?.sync_all()?)
    }

    fn finish(self) -> anyhow::Result<()> {
        for folder in &self.folders {
            sync_directory(folder)?;
        }
        let table = self
            .table
            .into_inner()
            .map_err(|error| error.into_error())?;
        let path = self.folder.join(TABLE);
        let written = FileDraft::write_in(&self.folder, &path, &table);
        let written = written.and_then(|draft| draft.publish(Existing::Keep));
        written.map_err(|error| anyhow!("cannot write {}: {error}", shown(&path)))
    }
}

/// Whether a path stays below what it is joined to.
fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    !path.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// Where a picture goes: its path with the folder of its class in place of that of the class before.
fn placed(path: &str, was: Option<&str>, class: &str) -> String {
    let below = was.and_then(|was| path.strip_prefix(was)?.strip_prefix('/'));
    format!("{class}/{}", below.unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_moves_to_the_folder_of_its_class() {
        assert_eq!(placed("a/farm/1.png", Some("a"), "b"), "b/farm/1.png");
        assert_eq!(placed("a/1.png", Some("a"), "a"), "a/1.png");
        assert_eq!(placed("1.png", None, "b"), "b/1.png");
        assert_eq!(placed("all/1.png", Some("a"), "b"), "b/all/1.png");
        assert_eq!(placed("ab/1.png", Some("a"), "b"), "b/ab/1.png");
        assert!(is_inside("a/b.png") && !is_inside("../b.png") && !is_inside("/b.png"));
    }

    #[test]
    fn two_pictures_of_one_name_keep_both() {
        let mut tree = Tree {
            folder: PathBuf::new(),
            taken: HashSet::new(),
            folders: HashSet::new(),
            table: csv::Writer::from_writer(Vec::new()),
            links: false,
            n: 0,
            n_other: 0,
        };
        let names = ["b/1.png", "b/1.PNG", "b/1.png", "b.c/1"].map(|name| tree.free("train", name));
        let expected = [
            "train/b/1.png",
            "train/b/1-2.PNG",
            "train/b/1-3.png",
            "train/b.c/1",
        ];
        assert_eq!(names, expected);
    }
}
