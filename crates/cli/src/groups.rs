//! Which pictures belong together, by a pattern or a table.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use cnn_codes::codes::Store;
use cnn_codes::dataset::Pictures;
use cnn_codes::messages::{count, visible};
use cnn_codes_curate::split::group_name;
use cnn_codes_files::lines::{BoundedLines, UniversalNewlines};
use regex::Regex;

use crate::{say, shown};

/// Which pictures belong together.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Pictures that belong together")]
pub struct GroupArguments {
    /// Group pictures by their paths (CLASS/NAME): those for which the pattern's first capture group, or else its
    /// whole match, is the same text. A group is never divided between training and validation, and confidence
    /// intervals take it into account. Equal files are always one group
    #[arg(long, value_name = "REGEX", conflicts_with = "groups")]
    group_by: Option<Regex>,
    /// Group pictures by a CSV table with the columns path and group, as `check --groups` writes it
    #[arg(long, value_name = "FILE")]
    groups: Option<PathBuf>,
}

impl GroupArguments {
    fn read(&self) -> anyhow::Result<Option<Groups>> {
        Ok(match &self.groups {
            Some(table) => Some(Groups::read(table)?),
            None => self.group_by.clone().map(Groups::Pattern),
        })
    }

    /// Opens stores, their pictures grouped anew where that is asked for.
    pub fn opener(&self) -> anyhow::Result<impl Fn(&Path) -> anyhow::Result<Store>> {
        let groups = self.read()?;
        Ok(move |path: &Path| {
            let mut store = Store::open(path)?;
            if let Some(groups) = &groups {
                store.group_by(|path| groups.name_of(path));
                let rows = store.pictures().iter();
                let rows = rows.map(|row| (&*row.path, row.group.as_deref(), row.label));
                groups.tell(&shown(store.dir()), &rows.collect::<Vec<_>>());
            }
            Ok(store)
        })
    }

    /// Groups pictures where that is asked for.
    pub fn apply(&self, pictures: &mut Pictures) -> anyhow::Result<()> {
        let Some(groups) = self.read()? else {
            return Ok(());
        };
        for picture in &mut pictures.listed {
            picture.group = groups.name_of(&picture.path).map(Into::into);
        }
        let listed = pictures.listed.iter();
        let listed = listed.map(|one| (&*one.path, one.group.as_deref(), one.label));
        groups.tell("the pictures", &listed.collect::<Vec<_>>());
        Ok(())
    }
}

/// A picture's path, the name of its group, and its class.
type Grouped<'a> = (&'a str, Option<&'a str>, Option<usize>);

/// How many groups there are that have a name, and how many of these have pictures of several classes.
fn count_mixed(pictures: &[Grouped]) -> (usize, usize) {
    let mut classes: HashMap<&str, (Option<usize>, bool)> = HashMap::new();
    for &(_, group, class) in pictures {
        let Some(group) = group else { continue };
        let (first, is_mixed) = classes.entry(group).or_insert((class, false));
        *is_mixed |= *first != class;
    }
    let mixed = classes.values().filter(|(_, is_mixed)| *is_mixed);
    (classes.len(), mixed.count())
}

/// Warns of classes whose pictures are all in one group of the training store. Without that group, no head knows them.
pub fn warn_of_classes_in_one_group(store: &Store) {
    let (Some(groups), Some(labels)) = (store.groups(), store.labels()) else {
        return;
    };
    for class in in_one_group(store.classes().len(), labels, &groups) {
        say(&format!(
            "warning: all pictures of {} are in one group: no fold can learn this class while it is judged",
            visible(&store.classes()[class])
        ));
    }
}

/// Classes of two pictures or more that are all in one group.
fn in_one_group(n_classes: usize, labels: &[usize], groups: &[usize]) -> Vec<usize> {
    let is_in_one = |class: &usize| {
        let of_class = labels
            .iter()
            .zip(groups)
            .filter(|(label, _)| *label == class);
        let mut of_class = of_class.map(|(_, group)| group);
        let first = of_class.next();
        let mut others = of_class.peekable();
        others.peek().is_some() && others.all(|group| Some(group) == first)
    };
    (0..n_classes).filter(is_in_one).collect()
}

/// How the names of groups are found.
enum Groups {
    /// What the pattern gives for a path: its first capture group, or all that it matches.
    Pattern(Regex),
    /// Names by paths.
    Table(HashMap<String, String>),
}

impl Groups {
    /// Reads a table with the columns `path` and `group`, as split.csv has them; a picture whose group is
    /// empty stands for itself.
    fn read(table: &Path) -> anyhow::Result<Self> {
        let name = shown(table);
        let file = File::open(table).with_context(|| format!("cannot read {name}"))?;
        let text = BoundedLines::new(file, b"\r\n").chain(&b"\n"[..]);
        let mut reader = csv::Reader::from_reader(UniversalNewlines::new(text));
        let header = reader
            .headers()
            .with_context(|| format!("cannot read {name}"))?;
        let column = |wanted: &str| header.iter().position(|column| column.trim() == wanted);
        let (Some(path), Some(group)) = (column("path"), column("group")) else {
            bail!("{name} needs the columns path and group in its first line");
        };
        let mut names = Names::default();
        for record in reader.records() {
            let record = record.with_context(|| format!("cannot read {name}"))?;
            let (path, group) = (record[path].to_owned(), record[group].trim().to_owned());
            if group.is_empty() {
                continue;
            }
            names.add(path, group);
        }
        Ok(Self::Table(names.joined()))
    }

    /// Tells what a user might not expect of the groups.
    fn tell(&self, whose: &str, pictures: &[Grouped]) {
        let n = pictures.len();
        let alone = pictures.iter().filter(|(_, group, _)| group.is_none());
        let alone = alone.count();
        if let (Self::Pattern(pattern), Some((path, ..))) = (self, pictures.first())
            && alone == n
        {
            say(&format!(
                "warning: --group-by '{}' matches no picture of {whose}, such as {}",
                visible(pattern.as_str()),
                visible(path)
            ));
        } else if alone > 0 {
            say(&format!(
                "{whose}: {alone} of {} in no group; each of them is a group of its own",
                count(n, "picture is", "pictures are")
            ));
        }
        let (n_groups, n_mixed) = count_mixed(pictures);
        if n_mixed > 0 {
            say(&format!(
                "{whose}: {}, {n_mixed} of them with pictures of several classes",
                count(n_groups, "group", "groups")
            ));
        }
    }

    fn name_of(&self, path: &str) -> Option<String> {
        match self {
            Self::Pattern(pattern) => group_name(pattern, path).map(str::to_owned),
            Self::Table(names) => names.get(path).cloned(),
        }
    }
}

/// Names of groups by paths; a path with two names makes one group of them.
#[derive(Default)]
struct Names {
    by_path: HashMap<String, usize>,
    /// Numbers of the names.
    numbers: HashMap<String, usize>,
    /// Pairs of names that are of one group.
    joined: Vec<(usize, usize)>,
}

impl Names {
    fn add(&mut self, path: String, group: String) {
        let next = self.numbers.len();
        let number = *self.numbers.entry(group).or_insert(next);
        let first = *self.by_path.entry(path).or_insert(number);
        if first != number {
            self.joined.push((first, number));
        }
    }

    /// The name of each path's group; of joined groups, that of the first.
    fn joined(self) -> HashMap<String, String> {
        let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let mut groups = cnn_codes::codes::Groups::new(number(self.numbers.len()));
        for (first, second) in self.joined {
            groups.join(number(first), number(second));
        }
        let mut names = vec![String::new(); self.numbers.len()];
        for (name, index) in self.numbers {
            names[index] = name;
        }
        let name = |index: usize| names[groups.of(number(index)) as usize].clone();
        self.by_path
            .into_iter()
            .map(|(path, index)| (path, name(index)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_several_classes_are_counted() {
        let picture = |group, class| ("a.jpg", group, Some(class));
        let pictures = [
            picture(Some("x"), 0),
            picture(Some("x"), 1),
            picture(Some("y"), 1),
            picture(Some("y"), 1),
            picture(None, 0),
        ];
        assert_eq!(count_mixed(&pictures), (2, 1));
    }

    #[test]
    fn a_class_is_in_one_group_if_none_of_its_pictures_is_elsewhere() {
        let (labels, groups) = ([0, 0, 1, 1, 2, 3, 3], [0, 0, 0, 1, 2, 3, 3]);
        // A class of one picture has no choice.
        assert_eq!(in_one_group(4, &labels, &groups), [0, 3]);
    }

    #[test]
    fn a_path_with_two_names_joins_their_groups() {
        let mut names = Names::default();
        for (path, group) in [("a", "x"), ("b", "y"), ("c", "z"), ("b", "x"), ("d", "y")] {
            names.add(path.to_owned(), group.to_owned());
        }
        let joined = names.joined();
        assert_eq!(joined["a"], joined["b"]);
        assert_eq!(joined["a"], joined["d"]);
        assert_ne!(joined["a"], joined["c"]);
    }
}
