//! The command line as text that a shell takes.

use std::ffi::OsString;

/// Arguments as a shell would take them, the program by its name alone.
pub fn command_line(arguments: impl Iterator<Item = OsString>) -> String {
    let quoted = arguments.skip(1).map(|argument| {
        let argument = argument.to_string_lossy();
        let is_plain = |c: char| c.is_alphanumeric() || "-_./=,:+@%".contains(c);
        match argument.as_ref() {
            "" => "''".to_owned(),
            plain if plain.chars().all(is_plain) => plain.to_owned(),
            other => format!("'{}'", other.replace('\'', r"'\''")),
        }
    });
    let words: Vec<_> = std::iter::once("cnn-codes".to_owned())
        .chain(quoted)
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_the_command_line_as_it_was() {
        let arguments = [
            "/bin/cnn-codes",
            "report",
            "my head",
            "it's",
            "",
            "a=b",
            "$x",
        ];
        assert_eq!(
            command_line(arguments.iter().map(OsString::from)),
            r"cnn-codes report 'my head' 'it'\''s' '' a=b '$x'"
        );
    }
}
