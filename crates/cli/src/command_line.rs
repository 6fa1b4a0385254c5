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

/// Arguments of which paths keep their last components alone, as well behind a `=`.
pub fn without_folders(
    arguments: impl Iterator<Item = OsString>,
) -> impl Iterator<Item = OsString> {
    arguments.map(|argument| {
        let argument = argument.to_string_lossy();
        let (option, value) = match argument.split_once('=') {
            Some((option, value)) if option.starts_with('-') => (format!("{option}="), value),
            _ => (String::new(), &*argument),
        };
        let last = value
            .split(std::path::is_separator)
            .rfind(|part| !part.is_empty());
        OsString::from(option + last.unwrap_or(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_folders_paths_keep_their_last_components() {
        let arguments = [
            "/bin/cnn-codes",
            "--train",
            "/home/a/codes/train/",
            "--out=../b/head",
            "0.5",
            "/",
        ];
        let arguments = without_folders(arguments.iter().map(OsString::from));
        assert_eq!(
            command_line(arguments),
            "cnn-codes --train train --out=head 0.5 /"
        );
    }

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
