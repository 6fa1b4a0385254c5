//! Who runs a verb: a person at a terminal, or a program that calls it within its own process, as the
//! Python package does.
//!
//! A verb speaks through `printing`, shows its progress through `progress`, and looks for signals through `stop`. Where
//! a host is on the thread, these three turn to it: nothing is printed, and no signal is listened to.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, BufRead, Cursor};
use std::mem;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use cnn_codes::progress::Progress;

use crate::{Arguments, Ended, Verb, dispatch, remedy, similar};

/// A program that runs a verb within its own process.
pub trait Host: Send + Sync {
    /// A line for people, which the program prints to stderr.
    fn say(&self, message: &str);
    /// A stage of the work begins, such as "pictures", with so many steps.
    fn stage(&self, name: &str, steps: usize);
    /// The stage is this far; `detail` is a short text about its last step, or empty.
    fn progress(&self, progress: Progress, detail: &str);
    /// Whether the work is to stop; what is done by then is kept.
    fn is_stopped(&self) -> bool;
}

/// What came of a verb.
#[derive(Debug)]
pub struct Done {
    /// What the program prints to stdout.
    pub printed: String,
    /// Whether its exit code is 0: what could not be done in part is told in lines for people.
    pub is_whole: bool,
}

/// Why a verb was not done.
#[derive(Debug)]
pub enum NotDone {
    /// The words make no command line; the message is clap's.
    Usage(String),
    /// It was stopped, as [`Host::is_stopped`] wanted; what was done is kept, as the message tells.
    Stopped(String),
    /// It failed.
    Failed {
        /// What was wrong, and what to do about it.
        message: String,
        /// The error, for its type.
        error: anyhow::Error,
    },
}

impl NotDone {
    /// What is not done because of `error`.
    pub fn of(error: impl Into<anyhow::Error>) -> Self {
        let error = error.into();
        match error.downcast_ref::<Ended>() {
            Some(ended) => Self::Stopped(ended.message.clone()),
            None => Self::Failed {
                message: remedy::message(error.as_ref()),
                error,
            },
        }
    }
}

/// A verb that runs for a host.
struct Call {
    host: Arc<dyn Host>,
    words: Vec<OsString>,
    input: Option<String>,
    printed: String,
}

thread_local! {
    /// The call of this thread; none where the program is a program.
    static CALL: RefCell<Option<Call>> = const { RefCell::new(None) };
}

/// Does on this thread what the program does with these words after its name, and with `input` for its stdin.
///
/// # Errors
/// [`NotDone`].
pub fn run(
    host: Arc<dyn Host>,
    words: impl IntoIterator<Item = OsString>,
    input: Option<String>,
) -> Result<Done, NotDone> {
    with_words(host, words, input, |verb| {
        let code = dispatch(verb)?;
        let printed =
            CALL.with_borrow_mut(|call| call.as_mut().map(|call| mem::take(&mut call.printed)));
        Ok(Done {
            printed: printed.unwrap_or_default(),
            is_whole: code == ExitCode::SUCCESS,
        })
    })
}

/// Does `work` for the verb that these words after the program's name make.
///
/// # Errors
/// [`NotDone`].
pub(crate) fn with_words<T>(
    host: Arc<dyn Host>,
    words: impl IntoIterator<Item = OsString>,
    input: Option<String>,
    work: impl FnOnce(Verb) -> anyhow::Result<T>,
) -> Result<T, NotDone> {
    let program = OsString::from("cnn-codes");
    let words: Vec<_> = std::iter::once(program).chain(words).collect();
    let arguments = Arguments::try_parse_from(&words);
    let arguments =
        arguments.map_err(|error| NotDone::Usage(similar::with_recipe(error).to_string()))?;
    CALL.set(Some(Call {
        host,
        words,
        input,
        printed: String::new(),
    }));
    let ended = Uncall;
    let done = work(arguments.verb);
    drop(ended);
    done.map_err(NotDone::of)
}

/// Takes the call off the thread, also where the verb panics.
struct Uncall;

impl Drop for Uncall {
    fn drop(&mut self) {
        CALL.set(None);
    }
}

/// The host of this thread's call.
pub(crate) fn current() -> Option<Arc<dyn Host>> {
    CALL.with_borrow(|call| call.as_ref().map(|call| Arc::clone(&call.host)))
}

/// Keeps what would be printed; whether there is a call that wants it.
pub(crate) fn takes(text: &str) -> bool {
    CALL.with_borrow_mut(|call| match call {
        Some(call) => {
            call.printed += text;
            true
        }
        None => false,
    })
}

/// The words of this thread's call, the program's name first.
pub(crate) fn words() -> Option<Vec<OsString>> {
    CALL.with_borrow(|call| call.as_ref().map(|call| call.words.clone()))
}

/// What is given to the verb on stdin; of a host that gives nothing it is empty.
pub(crate) fn input() -> Box<dyn BufRead> {
    CALL.with_borrow_mut(|call| match call {
        Some(call) => {
            Box::new(Cursor::new(call.input.take().unwrap_or_default())) as Box<dyn BufRead>
        }
        None => Box::new(io::stdin().lock()),
    })
}
