//! Panics of a dependency, turned into messages.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread's panics are caught by [`catch`], and so are not to be printed.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` and gives back the message of a panic, which is not printed.
///
/// The panic hook is process-wide, so it is wrapped once and for good: the hook that was there
/// goes on to see every panic but those of threads that are inside `catch`. State that `work`
/// leaves half changed must not be used after an `Err`.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static WRAP_HOOK: Once = Once::new();
    WRAP_HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !CAUGHT.get() {
                previous(info);
            }
        }));
    });
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
