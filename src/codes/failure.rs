//! A picture that has no row: a line of failures.csv.

/// A picture that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The name that its row would have had.
    pub path: String,
    /// Why, in one line.
    pub error: String,
    /// The kind of failure, for counting: stable words in snake_case, as `not_utf8`.
    pub kind: &'static str,
}

impl Failure {
    /// The kind of a picture or folder that cannot be read for a reason that is not its own.
    pub(crate) const OUT_OF_REACH: &'static str = "out_of_reach";
    /// The kind of a picture whose archive has become shorter.
    pub(crate) const TRUNCATED: &'static str = "truncated";

    /// A picture whose name cannot be written into a table; `path` is the nearest that can.
    pub(crate) fn not_utf8(path: String) -> Self {
        Self {
            path,
            error: "the name is not UTF-8; rename the file".to_owned(),
            kind: "not_utf8",
        }
    }

    /// Whether the reason is not the picture's own: the same picture may be read another time.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        [Self::OUT_OF_REACH, Self::TRUNCATED].contains(&self.kind)
    }
}
