//! Makes foreign messages and names safe to show.

/// A message from a damaged file or a server, which may hold anything, as one line of text.
pub fn one_line(message: &str) -> String {
    /// Enough for a sentence; a parser may quote its input at length.
    const MAX_CHARS: usize = 200;
    let printable = message.replace(|c: char| c.is_control(), " ");
    let words: Vec<&str> = printable.split_whitespace().collect();
    words.join(" ").chars().take(MAX_CHARS).collect()
}

/// How many there are of something, in words: `1 picture`, `2 pictures`.
#[must_use]
pub fn count(n: usize, one: &str, several: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { several })
}

/// That not one of `n` pictures could be used, and what is wrong with the `first`, its path and the reason.
#[must_use]
pub fn none_could_be_used(n: usize, first: Option<(&str, &str)>) -> String {
    match (n, first) {
        (1, None) => "the only picture could not be used".to_owned(),
        (1, Some((path, why))) => format!("the only picture, {path}, could not be used: {why}"),
        (_, None) => format!("none of the {n} pictures could be used"),
        (_, Some((path, why))) => {
            format!("none of the {n} pictures could be used; the first, {path}: {why}")
        }
    }
}

/// A name in which invisible characters, and those that change the direction of text, are escaped:
/// `\u{1b}`.
///
/// Names of files, classes, archives and servers may hold anything: terminal commands, a line end
/// that begins a forged line, marks that change the direction of text.
#[must_use]
pub fn visible(name: &str) -> String {
    escaped(name, is_unseen, |character| {
        character.escape_unicode().to_string()
    })
}

/// A text of several lines, escaped as by [`visible`] except for line ends.
#[must_use]
pub fn visible_lines(text: &str) -> String {
    let is_escaped = |character| character != '\n' && is_unseen(character);
    escaped(text, is_escaped, |character| {
        character.escape_unicode().to_string()
    })
}

/// A JSON document with the same characters escaped as in JSON: `\u001b`. Its meaning does not
/// change, because such characters only occur in its strings.
#[must_use]
pub fn visible_json(document: &str) -> String {
    let is_escaped = |character| character != '\n' && is_unseen(character);
    escaped(document, is_escaped, |character| {
        format!("\\u{:04x}", u32::from(character))
    })
}

fn escaped(text: &str, is_escaped: fn(char) -> bool, escape: fn(char) -> String) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_escaped(character) {
            shown += &escape(character);
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Control characters, zero-width ones, line separators, and those that change the direction of
/// text (Unicode annex 9). All of them have at most four hexadecimal digits.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_none_is_plural() {
        let counted = [0, 1, 2].map(|n| count(n, "class", "classes"));
        assert_eq!(counted, ["0 classes", "1 class", "2 classes"]);
    }

    #[test]
    fn the_only_picture_is_not_called_the_first_of_one() {
        let told = |n| none_could_be_used(n, Some(("a.jpg", "broken")));
        assert_eq!(
            told(1),
            "the only picture, a.jpg, could not be used: broken"
        );
        assert_eq!(
            told(2),
            "none of the 2 pictures could be used; the first, a.jpg: broken"
        );
    }

    #[test]
    fn what_turns_text_around_is_written_out() {
        assert_eq!(visible("a\u{202e}gpj.b"), r"a\u{202e}gpj.b");
        assert_eq!(visible("a\0\u{200b}\n"), r"a\u{0}\u{200b}\u{a}");
        assert_eq!(visible("é 漢 <b>"), "é 漢 <b>");
    }

    #[test]
    fn what_a_terminal_obeys_is_written_out_and_line_ends_stay_where_there_are_lines() {
        assert_eq!(
            visible("\x1b[2J\u{9b}2J\x7f\r"),
            r"\u{1b}[2J\u{9b}2J\u{7f}\u{d}"
        );
        assert_eq!(visible_lines("a\n\x1b]0;b\x07\n"), "a\n\\u{1b}]0;b\\u{7}\n");
    }

    #[test]
    fn a_json_document_means_the_same_afterwards() {
        let value = serde_json::json!({ "a\u{9b}": ["\x1b\x7f\u{202e}\u{2028}\n", "é"] });
        let shown = visible_json(&format!("{value:#}\n"));
        assert!(
            !shown.contains(|c: char| c != '\n' && is_unseen(c)),
            "{shown}"
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
    }
}
