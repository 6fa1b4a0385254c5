//! The command line, and as text that a shell takes.

use std::ffi::OsString;
use std::sync::OnceLock;

use crate::host;

/// The words of the process, where they are not those that the system tells: of Python's, behind the script.
static OF_PROCESS: OnceLock<Vec<OsString>> = OnceLock::new();

/// Sets the words of the process, once.
pub fn set_words(words: Vec<OsString>) {
    let _ = OF_PROCESS.set(words);
}

/// The words of the command line, the program's name first.
pub fn words() -> Vec<OsString> {
    let of_process = || OF_PROCESS.get().cloned();
    let of_system = || std::env::args_os().collect();
    host::words().or_else(of_process).unwrap_or_else(of_system)
}

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

/// The words of a command as [`command_line`] writes it; nothing where a quotation does not end.
pub fn words_of(command: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None, false);
    let mut characters = command.chars();
    while let Some(c) = characters.next() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_with(String::new);
            }
            c if quoted => word.get_or_insert_with(String::new).push(c),
            ' ' => words.extend(word.take()),
            '\\' => word
                .get_or_insert_with(String::new)
                .push(characters.next()?),
            c => word.get_or_insert_with(String::new).push(c),
        }
    }
    words.extend(word);
    (!quoted).then_some(words)
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
        let command = command_line(arguments.iter().map(OsString::from));
        let words = words_of(&command).unwrap();
        assert_eq!(words[1..], arguments[1..]);
        assert_eq!(words_of("cnn-codes 'a"), None);
    }
}
