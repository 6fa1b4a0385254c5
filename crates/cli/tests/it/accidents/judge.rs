//! What has to be true after an accident.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use super::faults::{Fault, Point};
use super::snapshot::Snapshot;

/// How a verb's result appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appears {
    /// All of the folder or file at once.
    AtOnce,
    /// File by file, each at once.
    FileByFile,
    /// As a page at once, which also tells what of its pictures could not be read.
    AsPage,
}

/// What there was before a verb, and what there is after it.
pub struct Expected<'a> {
    pub place: &'a Path,
    pub before: Snapshot,
    pub after: Snapshot,
    pub appears: Appears,
    /// Whether messages come from the command, which tells remedies.
    pub is_command: bool,
}

impl Expected<'_> {
    /// What is wrong right after the accident.
    pub fn after_accident(&self, point: &Point, output: &Output, now: &Snapshot) -> Vec<String> {
        let mut wrong = self.of_the_end(point, output, now);
        for root in self.roots(now) {
            if is_draft(Path::new(&root)) {
                continue;
            }
            let Some(of) = kept_of(&root) else {
                wrong.extend(self.of_root(&root, now));
                continue;
            };
            wrong.extend(self.of_kept(&root, of, now));
            let said = String::from_utf8_lossy(&output.stderr);
            if !said.contains(self.place.join(&root).to_str().unwrap()) {
                wrong.push(format!("{root} is kept, which is not said: {said}"));
            }
        }
        wrong
    }

    /// What is wrong once the same command was given again, undisturbed.
    pub fn after_repair(&self, then: &Snapshot, repair: &Output, now: &Snapshot) -> Vec<String> {
        let mut wrong = Vec::new();
        let stderr = String::from_utf8_lossy(&repair.stderr);
        // A result that is there already may be refused.
        if !repair.status.success() && !self.is_new(then) {
            wrong.push(format!("the same command again fails: {}", stderr.trim()));
        }
        for root in self.roots(now) {
            if let Some(of) = kept_of(&root) {
                wrong.extend(self.of_kept(&root, of, now));
            }
        }
        let results = now.below("").without(is_kept);
        let difference = results.difference(&self.after.below(""));
        if !difference.is_empty() {
            wrong.push(format!(
                "the same command again leaves {difference:?} otherwise"
            ));
        }
        wrong
    }

    fn is_new(&self, now: &Snapshot) -> bool {
        let roots = self.roots(now).into_iter();
        let mut results = roots.filter(|root| {
            let path = Path::new(root);
            !is_draft(path) && !is_kept(path)
        });
        results.all(|root| now.below(&root) == self.after.below(&root))
    }

    fn roots(&self, now: &Snapshot) -> BTreeSet<String> {
        let all = [&self.before, &self.after, now];
        all.into_iter().flat_map(Snapshot::roots).collect()
    }

    /// Finished work that was kept at `root`, as it could not be put at `of`, or as its run was killed
    /// just before that.
    fn of_kept(&self, root: &str, of: &str, now: &Snapshot) -> Option<String> {
        let (kept, new) = (now.below(root), self.after.below(of));
        let is_sound = |path: &PathBuf| match (kept.0.get(path), new.0.get(path)) {
            (None, _) => tells_of_head(path),
            (Some(Some(kept)), Some(Some(new))) if tells_of_head(path) => new.starts_with(kept),
            (kept, new) => kept == new,
        };
        let mut paths = kept.0.keys().chain(new.0.keys());
        let unsound = paths.find(|path| !is_sound(path))?;
        Some(format!("{unsound:?} in {root} is not what is new"))
    }

    fn of_root(&self, root: &str, now: &Snapshot) -> Option<String> {
        let (old, new, now_) = (
            self.before.below(root),
            self.after.below(root),
            now.below(root).without(is_draft),
        );
        let is_whole = match self.appears {
            Appears::AtOnce => now_ == old || now_ == new,
            Appears::AsPage => now_ == old || now_ == new || now_.0.values().all(is_telling_page),
            Appears::FileByFile => now_.0.iter().all(|(path, bytes)| {
                let same = |other: &Snapshot| other.0.get(path) == Some(bytes);
                is_draft(path) || bytes.is_none() || same(&old) || same(&new)
            }),
        };
        let is_old_in = |name: &String| name.starts_with(root) && now.below(name) == old;
        let is_set_aside = now_.0.is_empty() && now.roots().iter().any(is_old_in);
        if is_whole || is_set_aside {
            return None;
        }
        let (from_old, from_new) = (now_.difference(&old), now_.difference(&new));
        Some(format!(
            "{root} is neither old ({from_old:?}) nor new ({from_new:?})"
        ))
    }

    /// The exit code, and what was said.
    fn of_the_end(&self, point: &Point, output: &Output, now: &Snapshot) -> Vec<String> {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let said = stderr.trim();
        let mut wrong = Vec::new();
        if said.contains("panicked") || output.status.code() == Some(101) {
            wrong.push(format!("it panicked: {said}"));
        }
        match (output.status.code(), output.status.signal()) {
            (_, Some(9)) if point.fault == Fault::Kill => {}
            (_, Some(signal)) => wrong.push(format!("it died of signal {signal}")),
            (Some(0), _) => {
                let results = now.below("").without(is_old);
                let mut difference = results.difference(&self.after.below(""));
                if self.appears == Appears::AsPage {
                    difference.retain(|path| !results.0.get(path).is_some_and(is_telling_page));
                }
                if !difference.is_empty() {
                    wrong.push(format!("exit 0, but {difference:?} are otherwise: {said}"));
                }
            }
            _ if matches!(point.fault, Fault::Fails(_)) => {
                wrong.extend(self.of_message(point, said))
            }
            (code, _) => wrong.push(format!("exit {code:?}: {said}")),
        }
        wrong
    }

    fn of_message(&self, point: &Point, said: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        let place = self.place.to_str().unwrap();
        if !said.contains(place) && !said.contains("stdout") {
            wrong.push(format!("the message names no file: {said}"));
        }
        // Where the system cannot tell what is there, std may say something else of it.
        let is_asking = point.call.name == "statx";
        let is_exempt = is_asking || !self.is_command;
        if !is_exempt && !REMEDIES.iter().any(|remedy| said.contains(remedy)) {
            wrong.push(format!("the message tells no remedy: {said}"));
        }
        wrong
    }
}

/// Words that tell what to do next.
const REMEDIES: [&str; 12] = [
    "again",
    "give ",
    "free ",
    "raise",
    "choose",
    "move ",
    "look ",
    "check ",
    "run ",
    "go on",
    "goes on",
    "make room",
];

/// Whether a path is of the program's own making, to be gone after the next run.
fn is_draft(path: &Path) -> bool {
    let names = path
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    let mut names = names.map(std::borrow::Cow::into_owned);
    names.any(|name| {
        name.ends_with(".partial")
            || name.ends_with("replaced")
            || name.ends_with(".cnn-codes-old")
            || name.starts_with(".fetch")
            || name == ".download"
    })
}

/// Whether a file is a whole page that tells of a picture which could not be read.
fn is_telling_page(bytes: &Option<Vec<u8>>) -> bool {
    let page = String::from_utf8_lossy(bytes.as_deref().unwrap_or_default());
    let tells = ["cannot be read", "cannot be shown"];
    page.trim_end().ends_with("</html>") && tells.iter().any(|words| page.contains(words))
}

/// Whether a path is of what was replaced, which the next run removes where this one cannot.
fn is_old(path: &Path) -> bool {
    let Some(root) = path.iter().next().and_then(OsStr::to_str) else {
        return false;
    };
    root.ends_with(".cnn-codes-old")
        || root.ends_with(".cnn-codes-replaced")
        || root.starts_with(".fetch-")
}

/// What finished work would be at, had it not been kept at this name.
fn kept_of(root: &str) -> Option<&str> {
    let (of, number) = root.split_once(".kept")?;
    number
        .chars()
        .all(|it| it == '-' || it.is_ascii_digit())
        .then_some(of)
}

fn is_kept(path: &Path) -> bool {
    let root = path.iter().next().and_then(OsStr::to_str);
    root.and_then(kept_of).is_some()
}

/// Whether a file of HEAD tells of the heads, which are whole without it.
fn tells_of_head(path: &Path) -> bool {
    let files = [
        "history.csv",
        "metrics.json",
        "pictures.csv",
        "predictions.csv",
        "provenance.json",
        "report.html",
    ];
    files.iter().any(|file| path == Path::new(file))
}

/// A violation, on one line.
pub fn line(verb: &str, point: &Point, place: &Path, wrong: &str) -> String {
    let place = place.to_str().unwrap();
    let call = format!("{} #{}", point.call.name, point.call.nth);
    let fault = match point.fault {
        Fault::Kill => "killed".to_owned(),
        Fault::Fails(error) => error.to_owned(),
        Fault::Delay => "delayed".to_owned(),
    };
    let shown: String = point.call.shown.chars().take(160).collect();
    format!("{verb}: {fault} at {call}: {wrong}\n      {shown}")
        .replace(place, "PLACE")
        .replace(char::is_control, " ")
}
