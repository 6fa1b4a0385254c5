//! ONNX Runtime's telemetry, and that it is off before the library is loaded.
//!
//! The libraries in ONNX Runtime's wheels for Linux and macOS (1.31.1 and 1.32.0 are known to) tell
//! Microsoft of the machine and the program's path. `DisableTelemetryEvents` comes too late: as soon
//! as there is an environment, the first event is in the queue and its sender at work. Only the
//! variable [`SWITCH`] keeps them from starting, and a variable cannot be set in safety while other
//! threads may be reading one. On Windows the events go to the system, which keeps them off unless
//! its administrator turns them on.

use std::ffi::OsStr;

/// The environment variable that keeps ONNX Runtime's telemetry from starting.
pub const SWITCH: &str = "ORT_DISABLE_TELEMETRY";

/// Switches the telemetry off for this process and the programs that it starts.
///
/// A value that was there is overwritten: `0` would switch the telemetry on.
///
/// # Safety
/// No other thread may be running, on any system but Windows: call it first in `main`.
pub unsafe fn disable() {
    // SAFETY: the caller promises that no other thread is there to read a variable.
    unsafe { std::env::set_var(SWITCH, "1") }
}

/// Switches the telemetry off where that is safe, and tells whether it is off now.
pub(crate) fn ensure_disabled() -> bool {
    if std::env::var_os(SWITCH).is_some_and(|value| switches_off(&value)) {
        return true;
    }
    if cfg!(windows) || is_only_thread() {
        // SAFETY: on Windows variables may be set at any time. Elsewhere this thread is the only
        // one, and only a running thread can start another.
        unsafe { disable() }
        return true;
    }
    false
}

/// Whether ONNX Runtime takes `value` for yes; it compares in lower case.
fn switches_off(value: &OsStr) -> bool {
    let value = value.to_string_lossy().to_lowercase();
    matches!(&*value, "1" | "true" | "yes")
}

/// Whether the process has one thread; `false` where the system does not tell.
fn is_only_thread() -> bool {
    cfg!(target_os = "linux")
        && std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_onnx_runtime_takes_for_yes_counts_as_off() {
        for value in ["1", "true", "yes", "TRUE"] {
            assert!(switches_off(OsStr::new(value)), "{value}");
        }
        for value in ["", "0", "false", "no", "2", "1 "] {
            assert!(!switches_off(OsStr::new(value)), "{value}");
        }
    }
}
