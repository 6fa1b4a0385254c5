//! SIGINT and SIGTERM: the first one asks a job to stop at the next good place, the second kills.

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What shells report of a program that a signal ended: 128 and the signal's number.
const KILLED: u8 = 128;

/// Whether a signal has come.
pub struct Stop {
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// From now on, the first signal is noted, and the second ends the program at once.
    pub fn on_signals() -> anyhow::Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        let second = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM] {
            let code = i32::from(KILLED) + number;
            // In this order: the first signal arms what the second one meets.
            flag::register_conditional_shutdown(number, code, Arc::clone(&second))
                .and_then(|_| flag::register(number, Arc::clone(&second)))
                .and_then(|_| {
                    let value = usize::try_from(number).expect("signals are positive");
                    flag::register_usize(number, Arc::clone(&signal), value)
                })
                .context("cannot listen for signals")?;
        }
        Ok(Self { signal })
    }

    /// Whether the job is to stop.
    pub fn is_wanted(&self) -> bool {
        self.signal.load(Ordering::Relaxed) != 0
    }

    /// What a job that asks whether to go on is told.
    pub fn or_go_on(&self) -> ControlFlow<()> {
        if self.is_wanted() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// The exit code that tells of the signal: 130 for SIGINT, 143 for SIGTERM.
    pub fn exit_code(&self) -> ExitCode {
        let number = u8::try_from(self.signal.load(Ordering::Relaxed)).unwrap_or(0);
        ExitCode::from(KILLED + number)
    }
}
