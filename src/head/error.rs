//! Errors of a head, apart from its files.

use crate::progress::Stopped;

/// Why a head could not be trained or used.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum HeadError {
    /// There is nothing to train on.
    #[error(
        "there are {samples} samples of {features} features; a head needs at least one of each"
    )]
    Empty {
        /// N.
        samples: usize,
        /// D.
        features: usize,
    },
    /// The numbers of codes and labels differ.
    #[error("there are {codes} codes and {labels} labels; extract the store again")]
    CountMismatch {
        /// Rows of the codes.
        codes: usize,
        /// Number of labels.
        labels: usize,
    },
    /// The numbers of samples and groups differ.
    #[error("there are {samples} samples and groups of {groups}; give the group of each")]
    GroupMismatch {
        /// Number of samples.
        samples: usize,
        /// Number of groups given.
        groups: usize,
    },
    /// The codes have no labels.
    #[error(
        "the pictures have no labels, so a head can neither be trained nor judged on them; extract them from class folders, or from a table with labels"
    )]
    Unlabelled,
    /// A label is not a class.
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
        /// The file, and the system's error.
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
    /// All training samples belong to one class.
    #[error(
        "all {samples} training samples are of class {class}; a head needs pictures of at least two classes"
    )]
    OneClass {
        /// N.
        samples: usize,
        /// The class of all samples.
        class: usize,
    },
    /// The codes have another length than the training codes.
    #[error(
        "the codes have {actual} features and the head takes {expected}; use codes of the trunk, recipe and pooling that the head was trained on"
    )]
    FeatureMismatch {
        /// D of the head, or of the training codes.
        expected: usize,
        /// D of the codes given.
        actual: usize,
    },
    /// The validation samples have a different number of classes.
    #[error(
        "the validation samples have {actual} classes and the training samples {expected}; both stores need the same class folders"
    )]
    ClassMismatch {
        /// K of the training samples.
        expected: usize,
        /// K of the validation samples.
        actual: usize,
    },
    /// The shapes of the layers do not match.
    #[error("the layers do not fit together: {reason}")]
    Layers {
        /// Which layers, and how they differ.
        reason: String,
    },
    /// An option is out of range.
    #[error("{option} is {value}, and has to be {expected}")]
    InvalidOption {
        /// The option, in words: "dropout".
        option: &'static str,
        /// The given value.
        value: String,
        /// The allowed values: "at least 0 and below 1".
        expected: &'static str,
    },
    /// The loss or the weights overflowed.
    #[error(transparent)]
    Diverged(#[from] Diverged),
    /// Training was stopped before there was a result.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// A dependency panicked while a head was trained.
    #[error("training broke off: {message}. This is a bug; please report it")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// The logistic regression has no finite parameters.
    #[error(
        "the logistic regression failed: {reason}. Scale the codes, or raise the L2 strength (it is {l2})"
    )]
    Solver {
        /// What is not finite, and linfa's message.
        reason: String,
        /// The strength of the L2 penalty.
        l2: f64,
    },
}

/// The loss or the weights overflowed during training.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
#[error(
    "training diverged in epoch {epoch}: {what} is no longer a finite number. \
     Lower the learning rate (it is {learning_rate}), or scale the codes (their largest value is {largest_code})"
)]
#[non_exhaustive]
pub struct Diverged {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// "the loss" or "a weight".
    pub what: &'static str,
    /// The learning rate in use.
    pub learning_rate: f64,
    /// Largest absolute value among the training codes.
    pub largest_code: f32,
}
