//! Switches ONNX Runtime's telemetry off before the library is loaded.
//!
//! The libraries in ONNX Runtime's wheels for Linux and macOS (known for 1.31.1 and 1.32.0) send
//! data about the machine and the program's path to Microsoft. `DisableTelemetryEvents` comes too
//! late: as soon as an environment exists, the first event is queued and its sender runs. Only the
//! variable [`SWITCH`] prevents that, and a variable cannot be set safely while other threads may
//! be reading one. On Windows the events go to the system, which discards them unless its
//! administrator turns them on.

use std::ffi::OsStr;

/// The environment variable that keeps ONNX Runtime's telemetry from starting.
pub const SWITCH: &str = "ORT_DISABLE_TELEMETRY";

/// Switches the telemetry off for this process and the programs that it starts.
///
/// An existing value is overwritten: `0` would switch the telemetry on.
///
/// # Safety
/// No other thread may be running, except on Windows: call it first in `main`.
pub unsafe fn disable() {
    // SAFETY: the caller promises that no other thread exists to read a variable.
    unsafe { std::env::set_var(SWITCH, "1") }
}

/// Switches the telemetry off if that is safe, and returns whether it is off now.
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

/// Whether ONNX Runtime takes `value` as yes; it compares in lower case.
fn switches_off(value: &OsStr) -> bool {
    let value = value.to_string_lossy().to_lowercase();
    matches!(&*value, "1" | "true" | "yes")
}

/// Whether the process has one thread; `false` if the system does not report it.
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
