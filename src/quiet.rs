//! Panics of dependencies, turned into messages.
//!
//! Decoders of pictures and the solver of the logistic regression may panic on odd input. The
//! library catches that and gives an error. By then Rust has printed the panic to stderr: a program
//! that does not want it there calls [`hide_caught_panics`] once, as early as it can.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread's panics are caught by [`catch`].
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// From now on, panics that this library catches and turns into errors are not printed.
///
/// Rust has one panic hook for the process. It is wrapped, once and for good: the hook that is there
/// goes on to see every other panic. A hook that is set later takes the place of both.
pub fn hide_caught_panics() {
    static WRAP_HOOK: Once = Once::new();
    WRAP_HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !CAUGHT.get() {
                previous(info);
            }
        }));
    });
}

/// Runs `work` and gives back the message of a panic.
///
/// State that `work` leaves half changed must not be used after an `Err`.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let outer = CAUGHT.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(outer);
    result.map_err(|payload| message(payload.as_ref()))
}

fn message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message_and_a_value_passes_through() {
        assert_eq!(catch(|| 3), Ok(3));
        assert_eq!(catch(|| -> u8 { panic!("plain") }), Err("plain".to_owned()));
        let number = 7;
        let formatted = catch(|| -> u8 { panic!("number {number}") });
        assert_eq!(formatted, Err("number 7".to_owned()));
    }
}
