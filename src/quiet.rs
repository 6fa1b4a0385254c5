//! Panics of dependencies, turned into messages.
//!
//! Picture decoders and the solver of the logistic regression may panic on odd input. The library
//! catches such a panic and returns an error, but by then Rust has printed the panic to stderr. A
//! program that does not want this output calls [`hide_caught_panics`] once, as early as it can.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread's panics are caught by [`catch`].
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Stops Rust from printing the panics that this library catches and turns into errors.
///
/// A process has one panic hook. It is wrapped once, for good: the present hook still sees every
/// other panic. A hook that is set later replaces both.
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

/// Runs `work`; a panic becomes an `Err` with its message.
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
