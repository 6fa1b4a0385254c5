//! SIGINT, SIGTERM and SIGHUP: the first one asks a job to stop at the next good place, the second
//! kills. So does time, where a job comes to no good place.

use std::fmt;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use cnn_codes::progress::{Stopped, Watch};
use cnn_codes::train::TrainError;
#[cfg(unix)]
use signal_hook::consts::SIGHUP;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

use super::host::{self, Host};
use super::say;

/// What shells report of a program that a signal ended: 128 and the signal's number.
const KILLED: u8 = 128;
/// How long a job that was to stop may go on without asking whether to: some batches of pictures.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for training, which passes over all codes to judge what it has learned before it stops.
const PATIENCE_WITH_TRAINING: Duration = Duration::from_secs(60);
/// How often it is looked whether a signal has come.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The longest that the program waits, at its end, for whoever reads stderr.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Whether a signal has come.
pub struct Stop {
    seen: Arc<Seen>,
    /// Who is asked in place of signals.
    host: Option<Arc<dyn Host>>,
}

/// What has been seen of signals, and of the job.
#[derive(Default)]
struct Seen {
    /// The first signal's number; 0 before.
    signal: Arc<AtomicUsize>,
    /// How often the job has asked since then.
    n_asked: AtomicUsize,
}

impl Stop {
    /// From now on, the first signal is noted, and the second ends the program at once. A job that
    /// does not ask for the signal for ten seconds is ended as well: a read blocks, or a model loops.
    pub fn on_signals() -> anyhow::Result<Self> {
        Self::listen(PATIENCE)
    }

    /// The same for training, which is given a minute.
    pub fn on_signals_in_training() -> anyhow::Result<Self> {
        Self::listen(PATIENCE_WITH_TRAINING)
    }

    fn listen(patience: Duration) -> anyhow::Result<Self> {
        let seen = Arc::new(Seen::default());
        if let Some(host) = host::current() {
            let host = Some(host);
            return Ok(Self { seen, host });
        }
        let second = Arc::new(AtomicBool::new(false));
        for number in listened_to() {
            // In this order: the first signal arms what the second one meets.
            flag::register_conditional_shutdown(number, code_of(number), Arc::clone(&second))
                .and_then(|_| flag::register(number, Arc::clone(&second)))
                .and_then(|_| {
                    let value = usize::try_from(number).expect("signals are positive");
                    flag::register_usize(number, Arc::clone(&seen.signal), value)
                })
                .context("cannot listen for signals")?;
        }
        let watched = Arc::clone(&seen);
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || end_if_stuck(&watched, patience))
            .context("cannot watch for signals")?;
        Ok(Self { seen, host: None })
    }

    /// Whether the job is to stop.
    pub fn is_wanted(&self) -> bool {
        if let Some(host) = &self.host {
            return host.is_stopped();
        }
        let is_wanted = self.seen.signal.load(Ordering::Relaxed) != 0;
        if is_wanted {
            self.seen.n_asked.fetch_add(1, Ordering::Relaxed);
        }
        is_wanted
    }

    /// What came of a job. That a signal stopped it becomes an [`Ended`], of which `main` makes a
    /// message and the exit code.
    pub fn result<T>(&self, result: Result<T, impl Into<anyhow::Error>>) -> anyhow::Result<T> {
        result.map_err(|error| {
            let error = error.into();
            if !is_stopped(&error) {
                return error;
            }
            let ended = Ended {
                message: error.to_string(),
                exit_code: self.exit_code(),
            };
            ended.into()
        })
    }

    /// The exit code that tells of the signal: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP.
    pub fn exit_code(&self) -> ExitCode {
        let number = u8::try_from(self.seen.signal.load(Ordering::Relaxed)).unwrap_or(0);
        ExitCode::from(KILLED + number)
    }
}

/// For jobs that are not shown.
impl Watch for Stop {
    fn is_stopped(&self) -> bool {
        self.is_wanted()
    }
}

/// A signal ended a job early.
#[derive(Debug)]
pub struct Ended {
    /// What the job said of it.
    pub message: String,
    /// What tells of the signal.
    pub exit_code: ExitCode,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Ended {}

/// Whether an error tells that a job was stopped.
fn is_stopped(error: &anyhow::Error) -> bool {
    let is_interrupted = matches!(error.downcast_ref(), Some(TrainError::Interrupted { .. }));
    is_interrupted || error.chain().any(|cause| cause.is::<Stopped>())
}

fn code_of(signal: i32) -> i32 {
    i32::from(KILLED) + signal
}

/// With SIGHUP, of a terminal that was closed, unless it is ignored: `nohup` wants that.
#[cfg(unix)]
fn listened_to() -> Vec<i32> {
    let mut signals = vec![SIGINT, SIGTERM];
    if !is_ignored(SIGHUP) {
        signals.push(SIGHUP);
    }
    signals
}

#[cfg(not(unix))]
fn listened_to() -> Vec<i32> {
    vec![SIGINT, SIGTERM]
}

#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action, sigaction only writes the present one to where the pointer
    // leads, which is as large as it needs; it is read only where that succeeded.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// Ends the program, as a second signal would, once the job has been silent for too long after the
/// first.
fn end_if_stuck(seen: &Seen, patience: Duration) {
    let signal = loop {
        match seen.signal.load(Ordering::Relaxed) {
            0 => thread::sleep(LOOK_EVERY),
            signal => break i32::try_from(signal).unwrap_or(SIGTERM),
        }
    };
    let mut last = (Instant::now(), 0);
    while last.0.elapsed() < patience {
        thread::sleep(LOOK_EVERY);
        let n_asked = seen.n_asked.load(Ordering::Relaxed);
        if n_asked != last.1 {
            last = (Instant::now(), n_asked);
        }
    }
    say_in_time(format!(
        "ended {} s after a signal, as the job could not stop: something it reads or runs does not \
         come to an end; what it had saved is kept",
        patience.as_secs()
    ));
    low_level::exit(code_of(signal));
}

/// Says something, unless stderr blocks as well.
fn say_in_time(message: String) {
    let (said, when_said) = mpsc::channel();
    thread::spawn(move || {
        say(&message);
        let _ = said.send(());
    });
    let _ = when_said.recv_timeout(LAST_WORDS);
}
