//! A picture without a row: a line of failures.csv.

/// A picture that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The name that its row would have had.
    pub path: String,
    /// The reason, in one line.
    pub error: String,
    /// The kind of failure, for counting: a stable name in snake_case, such as `not_utf8`.
    pub kind: &'static str,
}

impl Failure {
    /// The kind of a picture or folder that cannot be read for an outside reason.
    pub(crate) const OUT_OF_REACH: &'static str = "out_of_reach";
    /// The kind of a picture whose archive has become shorter.
    pub(crate) const TRUNCATED: &'static str = "truncated";

    /// A picture whose name cannot be written into a table; `path` is the nearest name that can.
    pub(crate) fn not_utf8(path: String) -> Self {
        Self {
            path,
            error: "the name is not UTF-8; rename the file".to_owned(),
            kind: "not_utf8",
        }
    }

    /// Whether the reason lies outside the picture, so that it may be readable another time.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        [Self::OUT_OF_REACH, Self::TRUNCATED].contains(&self.kind)
    }
}
