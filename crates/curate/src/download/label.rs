//! Labels as folder names: the same on Linux, macOS and Windows, or refused.

/// The longest file name on common file systems, in bytes.
const MAX_BYTES: usize = 255;

/// Characters that are forbidden in names on Windows, including the separators of other systems.
const FORBIDDEN: &[char] = &['/', '\\', ':', '*', '?', '"', '<', '>', '|'];

/// Names of devices on Windows, whatever follows a dot.
const DEVICES: &[&str] = &["con", "prn", "aux", "nul", "conin$", "conout$"];

/// The name of the table beside the labels' folders.
pub(super) const RESULTS: &str = "results.csv";

/// Why a label cannot be a folder's name; `None` if it can.
///
/// Labels are never changed to fit: two labels could silently become one.
pub(super) fn problem(label: &str) -> Option<String> {
    if label.is_empty() {
        return Some("the label is missing".to_owned());
    }
    if let Some(found) = label.chars().find(|c| FORBIDDEN.contains(c)) {
        return Some(format!("the label has a '{found}', which folders cannot"));
    }
    let problem = if label.chars().any(char::is_control) {
        "the label has a control character, such as a line end"
    } else if label.starts_with('.') {
        "the label begins with a dot; such folders are hidden, and no classes"
    } else if label.ends_with('.') {
        "the label ends with a dot, which Windows would drop"
    } else if label.trim() != label {
        "the label begins or ends with a blank, which some systems would drop"
    } else if label.len() > MAX_BYTES {
        "the label is longer than 255 bytes"
    } else if label.eq_ignore_ascii_case(RESULTS) {
        "the label is the name of the table of results, which lies beside the labels' folders"
    } else if is_device(label) {
        "the label is the name of a device on Windows"
    } else {
        return None;
    };
    Some(problem.to_owned())
}

fn is_device(label: &str) -> bool {
    let stem = label.split('.').next().unwrap_or(label);
    let stem = stem.trim_end().to_lowercase();
    let is_port = |port: &str| {
        let number = stem.strip_prefix(port);
        let mut number = number.unwrap_or_default().chars();
        let digit = number.next();
        digit.is_some_and(|digit| "123456789¹²³".contains(digit)) && number.next().is_none()
    };
    DEVICES.contains(&stem.as_str()) || is_port("com") || is_port("lpt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_folders() {
        for label in [
            "tomato",
            "Äpfel & Birnen",
            "n01440764",
            "a.b",
            "-x",
            "com",
            "com10",
            "console",
            "lpt0",
            "nul-space",
            "日本",
        ] {
            assert_eq!(problem(label), None, "{label}");
        }
    }

    #[test]
    fn what_some_system_takes_for_something_else_is_refused() {
        for label in [
            "",
            ".",
            "..",
            ".download",
            "../x",
            "a/b",
            "/etc",
            "a\\b",
            "C:",
            "C:\\x",
            "a?",
            "a*",
            "<b>",
            "a|b",
            "\"",
            "a\nb",
            "a\0",
            "a\u{85}",
            "a.",
            "a ",
            "\u{a0}a",
            "CON",
            "nul",
            "Aux.txt",
            "nul .x",
            "com1",
            "COM9.tar.gz",
            "lpt³",
            "CONIN$",
            "results.csv",
            "Results.CSV",
        ] {
            assert!(problem(label).is_some(), "{label:?}");
        }
        assert_eq!(problem(&"é".repeat(127)), None);
        assert!(problem(&"é".repeat(128)).is_some());
    }
}
