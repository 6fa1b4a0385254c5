//! What to do where the system, and not the user, was at fault.

use std::io::{self, ErrorKind};

/// Numbers that `ErrorKind` has no names for.
#[cfg(unix)]
mod number {
    pub const EIO: i32 = 5;
    pub const ENFILE: i32 = 23;
    pub const EMFILE: i32 = 24;
}

/// A sentence for the line below the error, if one of its causes is the system's.
pub fn of(error: &anyhow::Error) -> Option<&'static str> {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref());
    causes.filter_map(of_cause).next_back()
}

fn of_cause(cause: &io::Error) -> Option<&'static str> {
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("Make room on that disk, and give the same command again.")
        }
        ErrorKind::ReadOnlyFilesystem => {
            Some("That disk is read-only: make it writable, or choose a place on another.")
        }
        ErrorKind::Interrupted => Some("A signal came between: give the same command again."),
        _ => of_number(cause.raw_os_error()?),
    }
}

#[cfg(unix)]
fn of_number(number: i32) -> Option<&'static str> {
    match number {
        number::EIO => Some(
            "The disk or the network failed there: look after it, and give the same command again.",
        ),
        number::EMFILE | number::ENFILE => {
            Some("Raise the limit of open files (ulimit -n), and give the same command again.")
        }
        _ => None,
    }
}

#[cfg(not(unix))]
fn of_number(_: i32) -> Option<&'static str> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_found_below_what_was_said_of_it() {
        let full = io::Error::from(ErrorKind::StorageFull);
        let error = anyhow::Error::new(full).context("cannot write a.txt");
        assert!(of(&error).unwrap().starts_with("Make room"));
        assert_eq!(of(&anyhow::anyhow!("there are no pictures")), None);
    }

    #[cfg(unix)]
    #[test]
    fn failing_disks_and_limits_are_known_by_their_numbers() {
        let of_number = |number| of(&io::Error::from_raw_os_error(number).into());
        assert!(of_number(5).unwrap().contains("failed"));
        assert!(of_number(24).unwrap().contains("ulimit -n"));
        assert_eq!(of_number(2), None);
    }
}
