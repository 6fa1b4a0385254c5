//! Work on threads of its own, while Python's thread waits without the GIL, looks for Ctrl-C and shows progress.
//!
//! Each call has a pool of its own. In a pool that calls share, a thread that waits for a part of its work takes up
//! another call meanwhile, and would wait for a lock that it holds itself; and a forked process has a pool without
//! threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use cnn_codes::progress::Progress;
use cnn_codes_cli::host::Host;
use pyo3::prelude::*;
use rayon::ThreadPoolBuilder;

use crate::errors::{error_of, internal};

/// How often it is looked for Ctrl-C, and progress is shown.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Python's object with the methods `say(message)`, `stage(name, steps)` and `progress(done, done_before, total,
/// failures, detail)`.
pub type Listener = Py<PyAny>;

/// What has been said since Python last listened.
#[derive(Default)]
struct Said {
    messages: Vec<String>,
    /// The stages that began, and how far the last one is.
    stages: Vec<(String, usize)>,
    progress: Option<(Progress, String)>,
}

/// What the work and Python's thread share.
#[derive(Default)]
struct Shared {
    said: Mutex<Said>,
    is_stopped: AtomicBool,
}

impl Shared {
    fn with_said<T>(&self, change: impl FnOnce(&mut Said) -> T) -> T {
        change(&mut self.said.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Host for Shared {
    fn say(&self, message: &str) {
        self.with_said(|said| said.messages.push(message.to_owned()));
    }

    fn stage(&self, name: &str, steps: usize) {
        self.with_said(|said| {
            said.stages.push((name.to_owned(), steps));
            said.progress = None;
        });
    }

    fn progress(&self, progress: Progress, detail: &str) {
        self.with_said(|said| said.progress = Some((progress, detail.to_owned())));
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }
}

/// Does `work` on other threads, and gives its result.
///
/// # Errors
/// `KeyboardInterrupt` or what else a signal handler or the listener raised: the work is asked to stop, and waited for.
/// A panic is an exception.
pub fn wait<T: Send + 'static>(
    py: Python<'_>,
    listener: Option<Listener>,
    work: impl FnOnce(Arc<dyn Host>) -> T + Send + 'static,
) -> PyResult<T> {
    let shared = Arc::new(Shared::default());
    let pool = ThreadPoolBuilder::new().build();
    let pool = pool.map_err(|error| error_of(py, "CnnCodesError", error.to_string()))?;
    let (ended, end) = channel();
    let host = Arc::clone(&shared);
    let thread = thread::Builder::new().name("cnn_codes".to_owned());
    let spawned = thread.spawn(move || {
        let done = catch_unwind(AssertUnwindSafe(|| pool.install(|| work(host))));
        let _ = ended.send(done);
    });
    spawned.map_err(|error| error_of(py, "CnnCodesError", error.to_string()))?;
    let mut raised = None;
    // Shared with the closure that waits without the GIL, of one thread all the same.
    let end = Mutex::new(end);
    let next = || {
        end.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv_timeout(LOOK_EVERY)
    };
    let done = loop {
        let seen = py.detach(next);
        let heard = py
            .check_signals()
            .and_then(|()| listen(py, &shared, listener.as_ref()));
        if let Err(error) = heard {
            // A second Ctrl-C does not wait for the work.
            if shared.is_stopped.swap(true, Ordering::Relaxed) {
                return Err(error);
            }
            raised = Some(error);
        }
        match seen {
            Ok(done) => break Some(done),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break None,
        }
    };
    match (raised, done) {
        (Some(error), _) => Err(error),
        (None, Some(Ok(done))) => Ok(done),
        (None, Some(Err(panic))) => Err(internal(py, panic.as_ref())),
        (None, None) => Err(error_of(
            py,
            "CnnCodesError",
            "the work ended without a result".to_owned(),
        )),
    }
}

/// Tells the listener what was said.
fn listen(py: Python<'_>, shared: &Shared, listener: Option<&Listener>) -> PyResult<()> {
    let said = shared.with_said(std::mem::take);
    let Some(listener) = listener else {
        return Ok(());
    };
    for message in said.messages {
        listener.call_method1(py, "say", (message,))?;
    }
    for (name, steps) in said.stages {
        listener.call_method1(py, "stage", (name, steps))?;
    }
    if let Some((progress, detail)) = said.progress {
        let Progress {
            done,
            done_before,
            total,
            failures,
        } = progress;
        let told = (done, done_before, total, failures, detail);
        listener.call_method1(py, "progress", told)?;
    }
    Ok(())
}
