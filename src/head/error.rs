//! What can go wrong with a head, apart from its files.

use crate::progress::Stopped;

/// Why a head could not be trained or used.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum HeadError {
    /// There is nothing to learn from.
    #[error(
        "there are {samples} samples of {features} features; a head needs at least one of each"
    )]
    Empty {
        /// N.
        samples: usize,
        /// D.
        features: usize,
    },
    /// Codes and labels do not belong together.
    #[error("there are {codes} codes and {labels} labels; extract the store again")]
    CountMismatch {
        /// Rows of the codes.
        codes: usize,
        /// Number of labels.
        labels: usize,
    },
    /// Samples and groups do not belong together.
    #[error("there are {samples} samples and groups of {groups}; give the group of each")]
    GroupMismatch {
        /// Number of samples.
        samples: usize,
        /// Number of groups given.
        groups: usize,
    },
    /// There are codes without labels.
    #[error(
        "the pictures have no labels, so a head can neither be trained nor judged on them; extract them from class folders, or from a table with labels"
    )]
    Unlabelled,
    /// A label names no class.
    #[error(
        "row {row} has label {label}, and there are {n_classes} classes (labels start at 0); extract the store again"
    )]
    UnknownLabel {
        /// Row of the codes.
        row: usize,
        /// The label.
        label: usize,
        /// K.
        n_classes: usize,
    },
    /// A store's file could not be read while a head was trained on it.
    #[error("{reason}")]
    Read {
        /// The file, and what the system answered.
        reason: String,
    },
    /// A code holds NaN or an infinity.
    #[error(
        "the code in row {row} holds NaN or infinity; look at that picture in images.csv, and extract the store again"
    )]
    NotFinite {
        /// Row of the codes.
        row: usize,
    },
    /// All training samples are of one class.
    #[error(
        "all {samples} training samples are of class {class}; a head needs pictures of at least two classes"
    )]
    OneClass {
        /// N.
        samples: usize,
        /// The class that all samples have.
        class: usize,
    },
    /// Codes of another length than the head was trained on.
    #[error(
        "the codes have {actual} features and the head takes {expected}; use codes of the trunk, recipe and pooling that the head was trained on"
    )]
    FeatureMismatch {
        /// D of the head, or of the training codes.
        expected: usize,
        /// D of the codes given.
        actual: usize,
    },
    /// Validation samples of another set of classes.
    #[error(
        "the validation samples have {actual} classes and the training samples {expected}; both stores need the same class folders"
    )]
    ClassMismatch {
        /// K of the training samples.
        expected: usize,
        /// K of the validation samples.
        actual: usize,
    },
    /// Layers whose shapes do not fit together.
    #[error("the layers do not fit together: {reason}")]
    Layers {
        /// Which, and how they differ.
        reason: String,
    },
    /// An option outside its range.
    #[error("{option} is {value}, and has to be {expected}")]
    InvalidOption {
        /// The option, in words: "dropout".
        option: &'static str,
        /// What was given.
        value: String,
        /// What would be good: "at least 0 and below 1".
        expected: &'static str,
    },
    /// The loss or the weights overflowed.
    #[error(transparent)]
    Diverged(#[from] Diverged),
    /// Training was stopped before there was anything to keep.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// A dependency panicked while a head was trained.
    #[error("training broke off: {message}. This is a bug; please report it")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The logistic regression has no finite parameters.
    #[error(
        "the logistic regression failed: {reason}. Scale the codes, or raise the L2 strength (it is {l2})"
    )]
    Solver {
        /// What is not finite, and what linfa said.
        reason: String,
        /// The strength of the L2 penalty.
        l2: f64,
    },
}

/// The loss or the weights of a training overflowed.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
#[error(
    "training diverged in epoch {epoch}: {what} is no longer a finite number. \
     Lower the learning rate (it is {learning_rate}), or scale the codes (their largest value is {largest_code})"
)]
#[non_exhaustive]
pub struct Diverged {
    /// The epoch, from 1.
    pub epoch: usize,
    /// "the loss" or "a weight".
    pub what: &'static str,
    /// The learning rate in use.
    pub learning_rate: f64,
    /// Largest absolute value among the training codes.
    pub largest_code: f32,
}
