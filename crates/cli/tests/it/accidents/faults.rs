//! What is done to which call.

use super::strace::Call;

/// Calls that take room on the disk; openings do where they make a file.
const TAKE_ROOM: [&str; 13] = [
    "copy_file_range",
    "fallocate",
    "fdatasync",
    "fsync",
    "ftruncate",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "pwrite64",
    "rename",
    "renameat2",
    "write",
];
/// Calls that a signal may interrupt, as their manual pages say.
const INTERRUPTIBLE: [&str; 11] = [
    "copy_file_range",
    "fallocate",
    "flock",
    "fsync",
    "ftruncate",
    "openat",
    "pread64",
    "pwrite64",
    "read",
    "write",
    "writev",
];

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The program is killed in place of it.
    Kill,
    /// It fails with this error.
    Fails(&'static str),
    /// It takes a millisecond longer.
    Delay,
}

/// A call, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Point {
    pub call: Call,
    pub fault: Fault,
}

impl Fault {
    /// In strace's words.
    pub fn how(self) -> String {
        match self {
            Self::Kill => "signal=SIGKILL".to_owned(),
            Self::Fails(error) => format!("error={error}"),
            Self::Delay => "delay_enter=1000".to_owned(),
        }
    }

    /// All that may happen to a call. Between two changes the disk is the same, so that a kill is
    /// tried at changes alone.
    fn of(call: &Call) -> Vec<Self> {
        let name = call.name.as_str();
        let is_opening = name.starts_with("open");
        let takes_room = TAKE_ROOM.contains(&name) || is_opening && call.is_change;
        let all = [
            (call.is_change, Self::Kill),
            (true, Self::Fails("EIO")),
            (takes_room, Self::Fails("ENOSPC")),
            (is_opening, Self::Fails("EMFILE")),
            (INTERRUPTIBLE.contains(&name), Self::Fails("EINTR")),
            (call.is_change, Self::Delay),
        ];
        let of_this = all.into_iter().filter(|(is_possible, _)| *is_possible);
        of_this.map(|(_, fault)| fault).collect()
    }
}

/// Every fault of every call; or, where they are more than `most`, each so many-th kill and each so
/// many-th of the others, `most` in all.
pub fn points(calls: &[Call], most: usize) -> Vec<Point> {
    let all = calls.iter().flat_map(|call| {
        Fault::of(call).into_iter().map(|fault| Point {
            call: call.clone(),
            fault,
        })
    });
    let (kills, others): (Vec<_>, Vec<_>) = all.partition(|point| point.fault == Fault::Kill);
    let kills = thinned(kills, most / 2);
    let others = thinned(others, most - kills.len());
    [kills, others].concat()
}

/// Each so many-th, so that there are no more than `most`.
fn thinned(points: Vec<Point>, most: usize) -> Vec<Point> {
    let step = points.len().div_ceil(most).max(1);
    points.into_iter().step_by(step).collect()
}
