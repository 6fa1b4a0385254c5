//! strace: lists the calls that a command makes to the system, and disturbs one of them.

use crate::support;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Calls that neither change a file nor can fail in a way that anyone would handle.
const LEFT_OUT: [&str; 5] = ["close", "execve", "fcntl", "lseek", "readlink"];
/// Calls that change what is on the disk, with the openings that do.
const CHANGES: [&str; 29] = [
    "chmod",
    "copy_file_range",
    "creat",
    "fallocate",
    "fchmod",
    "fdatasync",
    "flock",
    "fsync",
    "ftruncate",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "sendfile",
    "symlink",
    "symlinkat",
    "sync_file_range",
    "truncate",
    "unlink",
    "unlinkat",
    "write",
    "writev",
];

/// The environment and the command line of a program.
#[derive(Clone)]
pub struct Program {
    pub command: Vec<OsString>,
    pub environment: Vec<(&'static str, OsString)>,
    /// Whether it is the command itself: calls on its stdout are disturbed, too, and its messages
    /// tell remedies.
    pub is_command: bool,
}

/// A call to the system: the `nth` of its name in its thread, from 1. That of another thread than
/// the first is the `nth` on its path, as strace counts anew in every thread.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    pub nth: usize,
    pub path: Option<String>,
    /// The call as strace shows it.
    pub shown: String,
    pub is_change: bool,
}

impl Program {
    /// Runs undisturbed.
    pub fn run(&self) -> Output {
        self.command_of(&self.command).output().unwrap()
    }

    /// The calls that have to do with files below `place`, or with stdout.
    pub fn calls(&self, place: &Path, log: &Path) -> Vec<Call> {
        let output = self.under_strace(log, &["-e", "trace=%file,%desc"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "undisturbed, but traced: {stderr}");
        let place = place.to_str().unwrap();
        let log = fs::read_to_string(log).unwrap();
        let first = log.split(' ').next().unwrap_or_default();
        let mut n_seen = HashMap::new();
        let calls = log.lines().filter_map(|line| {
            let (thread, shown) = line.split_once(' ')?;
            let (name, arguments) = shown.trim_start().split_once('(')?;
            let path = path_below(place, arguments).filter(|_| thread != first);
            let counted = (thread.to_owned(), name.to_owned(), path.clone());
            let nth = n_seen.entry(counted).or_insert(0);
            *nth += 1;
            let is_ours =
                arguments.contains(place) || self.is_command && is_to_stdout(name, arguments);
            let is_tried = is_ours && !LEFT_OUT.contains(&name);
            is_tried.then(|| Call {
                name: name.to_owned(),
                nth: *nth,
                path,
                shown: shown.trim_start().to_owned(),
                is_change: CHANGES.contains(&name) || is_making(name, arguments),
            })
        });
        calls.collect()
    }

    /// Runs with one call disturbed, as `how` says to strace. `None` where the call did not come.
    pub fn disturbed(&self, call: &Call, how: &str, log: &Path) -> Option<Output> {
        let Call {
            name, nth, path, ..
        } = call;
        let trace = format!("trace={name}");
        let inject = format!("inject={name}:{how}:when={nth}");
        let mut options = vec!["-e", &trace, "-e", &inject];
        if let Some(path) = path {
            options.extend(["-P", path]);
        }
        let output = self.under_strace(log, &options);
        let log = fs::read_to_string(log).unwrap();
        let marks = ["(INJECTED)", "(DELAYED)", "+++ killed by SIGKILL"];
        let is_hit = |line: &str| marks.iter().any(|mark| line.contains(mark));
        // Another thread may have as many calls of the name: on libraries, to print for a test, or to
        // say what went wrong.
        let is_ours = |line: &str| {
            let is_library = ["/lib/", "/lib64/", "/etc/"]
                .iter()
                .any(|it| line.contains(it));
            let is_message = line.contains("write(2<");
            !is_library && !is_message && (self.is_command || !line.contains("write(1<"))
        };
        let mut hits = log.lines().filter(|line| is_hit(line)).peekable();
        (hits.peek().is_some() && hits.all(is_ours)).then_some(output)
    }

    fn under_strace(&self, log: &Path, options: &[&str]) -> Output {
        // Texts of no length: a path that is printed is no call on a file.
        let mut command: Vec<OsString> = ["strace", "-f", "-y", "-s0", "-o"]
            .map(OsString::from)
            .to_vec();
        command.push(log.into());
        command.extend(options.iter().map(OsString::from));
        command.push("--".into());
        command.extend(self.command.iter().cloned());
        self.command_of(&command).output().unwrap()
    }

    fn command_of(&self, words: &[OsString]) -> Command {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        for proxy in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
            command.env_remove(proxy).env_remove(proxy.to_lowercase());
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Whether strace is there and may trace, which some containers forbid; the test is skipped where not.
pub fn is_there() -> bool {
    let tried = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "-e"])
        .args(["inject=fsync:error=EIO:when=1", "true"])
        .output();
    let is_there = tried.is_ok_and(|output| output.status.success());
    if !is_there {
        support::skip!("there is no strace here that may trace (see scripts/test.sh)");
    }
    is_there
}

/// The first path below `place` among a call's arguments, if the next run has it, too.
fn path_below(place: &str, arguments: &str) -> Option<String> {
    let start = arguments.find(place)?;
    let path = arguments[start..].split(['"', '>']).next()?;
    // These have another name in every run.
    let is_passing = [".cnn-codes-", ".fetch-", "writing-"]
        .iter()
        .any(|name| path.contains(name));
    (!is_passing).then(|| path.to_owned())
}

fn is_to_stdout(name: &str, arguments: &str) -> bool {
    name == "write" && arguments.starts_with("1<")
}

fn is_making(name: &str, arguments: &str) -> bool {
    let makes = ["O_CREAT", "O_TMPFILE", "O_TRUNC"];
    name.starts_with("open") && makes.iter().any(|flag| arguments.contains(flag))
}
