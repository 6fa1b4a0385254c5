//! What to do where the system, and not the user, was at fault.

use std::io::{self, ErrorKind};

/// Numbers that `ErrorKind` has no names for.
#[cfg(unix)]
mod number {
    pub const EIO: i32 = 5;
    pub const ENFILE: i32 = 23;
    pub const EMFILE: i32 = 24;
}

/// A sentence for the line below an error, if the system's answer is at its end. The answer is found
/// by its number in the text: libraries for CSV and for temporary files pass on no more than that,
/// nor does ONNX Runtime.
pub fn of(error: &str) -> Option<&'static str> {
    let marks = ["(os error ", "system error number "];
    let answer = marks.iter().find_map(|mark| error.rsplit_once(mark))?.1;
    let n_digits = answer.bytes().take_while(u8::is_ascii_digit).count();
    let number = answer[..n_digits].parse().ok()?;
    match io::Error::from_raw_os_error(number).kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("Make room on that disk, and give the same command again.")
        }
        ErrorKind::ReadOnlyFilesystem => {
            Some("That disk is read-only: make it writable, or choose a place on another.")
        }
        ErrorKind::Interrupted => Some("A signal came between: give the same command again."),
        _ => of_number(number),
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

    #[cfg(unix)]
    #[test]
    fn disks_limits_and_signals_have_remedies_and_other_causes_none() {
        for (number, word) in [
            (4, "signal"),
            (5, "failed"),
            (24, "ulimit -n"),
            (28, "room"),
        ] {
            let cause = io::Error::from_raw_os_error(number);
            let error = format!("cannot write a.txt: {cause}; nothing was left behind");
            assert!(of(&error).unwrap().contains(word), "{error}");
        }
        let onnxruntime = "Load model from a.onnx failed:system error number 24";
        assert!(of(onnxruntime).unwrap().contains("ulimit -n"));
        let absent = io::Error::from_raw_os_error(2);
        assert_eq!(of(&format!("cannot read a.txt: {absent}")), None);
        assert_eq!(of("there are no pictures"), None);
    }
}
