//! One verb, tried with every accident.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support;

use super::faults::{self, Fault, Point};
use super::judge::{Appears, Expected, line};
use super::snapshot::Snapshot;
use super::strace::{Call, Program};

/// The most points of a verb in a plain run of the tests; all with `CNN_CODES_TEST_FAULTS=all`.
const MOST: usize = 40;

/// A verb to be disturbed, in a folder of its own.
pub struct Trial {
    folder: tempfile::TempDir,
    name: &'static str,
    pub environment: Vec<(&'static str, OsString)>,
}

impl Trial {
    /// Without strace the test is skipped.
    pub fn new(name: &'static str) -> Option<Self> {
        if !super::strace::is_there() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("place")).unwrap();
        // Where heads are kept that the place takes no more.
        let temporary = folder.path().join("temporary");
        fs::create_dir(&temporary).unwrap();
        let environment = vec![
            ("TMPDIR", temporary.into()),
            ("RAYON_NUM_THREADS", "1".into()),
            ("ORT_DISABLE_TELEMETRY", "1".into()),
            ("CNN_CODES_MODELS", support::models().into()),
        ];
        Some(Self {
            folder,
            name,
            environment,
        })
    }

    /// Where the verb's files are.
    pub fn place(&self) -> PathBuf {
        self.folder.path().join("place")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.place().join(name)
    }

    /// The built command; words that begin with `@` are paths in the place.
    pub fn cnn_codes(&self, words: &[&str]) -> Program {
        let binary = OsString::from(assert_cmd::cargo::cargo_bin!("cnn-codes"));
        let words = words.iter().map(|word| match word.strip_prefix('@') {
            Some(name) => self.path(name).into(),
            None => OsString::from(word),
        });
        Program {
            command: std::iter::once(binary).chain(words).collect(),
            environment: self.environment.clone(),
            is_command: true,
        }
    }

    /// Runs to prepare the place.
    pub fn prepare(&self, words: &[&str]) {
        succeed(&self.cnn_codes(words).run());
    }

    /// Kills a program just before it renames its draft.
    pub fn kill_before_rename(&self, program: &Program) {
        let log = self.folder.path().join("strace.log");
        let before = Snapshot::of(&self.place());
        let calls = program.calls(&self.place(), &log);
        before.put_back(&self.place());
        let is_rename = |call: &&Call| call.name.starts_with("rename");
        let rename = calls.iter().rfind(is_rename).unwrap();
        let killed = program.disturbed(rename, &Fault::Kill.how(), &log);
        assert!(killed.is_some(), "it was not killed");
    }

    /// Disturbs the program at one call after another, and fails with all that went wrong.
    pub fn judge(&self, program: &Program, appears: Appears) {
        let place = self.place();
        let log = self.folder.path().join("strace.log");
        let before = Snapshot::of(&place);
        succeed(&program.run());
        let expected = Expected {
            place: &place,
            after: Snapshot::of(&place),
            before,
            appears,
            is_command: program.is_command,
        };
        expected.before.put_back(&place);
        let calls = program.calls(&place, &log);
        let differs = Snapshot::of(&place)
            .below("")
            .difference(&expected.after.below(""));
        assert!(differs.is_empty(), "not the same twice: {differs:?}");
        let points = faults::points(&calls, most());
        let mut wrong = Vec::new();
        let mut n_missed = 0;
        for point in &points {
            match try_at(program, &expected, point, &log) {
                Some(lines) => {
                    let line = |it: &String| line(self.name, point, &place, it);
                    wrong.extend(lines.iter().map(line));
                }
                None => n_missed += 1,
            }
        }
        let n_kills = points.iter().filter(|it| it.fault == Fault::Kill).count();
        println!(
            "{}: {} of {} points tried ({n_kills} kills) at {} calls, {n_missed} missed, {} violations",
            self.name,
            points.len() - n_missed,
            faults::points(&calls, usize::MAX).len(),
            calls.len(),
            wrong.len()
        );
        assert!(n_kills >= 5 && points.len() >= 30, "too few points");
        assert!(n_missed * 3 <= points.len(), "too many points were missed");
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// What is wrong after an accident; `None` where the call did not come.
fn try_at(
    program: &Program,
    expected: &Expected,
    point: &Point,
    log: &Path,
) -> Option<Vec<String>> {
    let place = expected.place;
    expected.before.put_back(place);
    let output = program.disturbed(&point.call, &point.fault.how(), log)?;
    let then = Snapshot::of(place);
    let mut wrong = expected.after_accident(point, &output, &then);
    let repair = program.run();
    wrong.extend(expected.after_repair(&then, &repair, &Snapshot::of(place)));
    Some(wrong)
}

fn succeed(output: &Output) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "undisturbed: {stderr}");
}

fn most() -> usize {
    match std::env::var("CNN_CODES_TEST_FAULTS").as_deref() {
        Ok("all") => usize::MAX,
        _ => MOST,
    }
}
