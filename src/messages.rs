//! Messages of others, fit to be shown.

/// A message in which a damaged file or a server may have left anything, as a line of text.
pub(crate) fn one_line(message: &str) -> String {
    /// Enough for a sentence; whoever fails may quote its input at length.
    const MAX_CHARS: usize = 200;
    let printable = message.replace(|c: char| c.is_control(), " ");
    let words: Vec<&str> = printable.split_whitespace().collect();
    words.join(" ").chars().take(MAX_CHARS).collect()
}
