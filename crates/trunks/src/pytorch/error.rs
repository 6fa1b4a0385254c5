//! Errors of a weights file.

/// Why a weights file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PytorchError {
    /// The file is not in PyTorch's old format.
    #[error("it is no file of weights in PyTorch's old format: {reason}")]
    OtherFormat {
        /// The evidence.
        reason: String,
    },
    /// The file ends early.
    #[error("it is cut short: {what} at byte {place} goes beyond its end")]
    CutShort {
        /// What was being read.
        what: &'static str,
        /// Byte offset of its beginning.
        place: usize,
    },
    /// The file has an instruction that weights do not need.
    #[error(
        "the pickle instruction {code:#04x} at byte {place} is none that weights need; nothing was run"
    )]
    Instruction {
        /// The instruction.
        code: u8,
        /// Its byte offset.
        place: usize,
    },
    /// The file names a Python object that weights do not need.
    #[error(
        "it names {name} of Python at byte {place}, which weights do not need; a file that does may be an \
         attack; nothing was run"
    )]
    Name {
        /// Module and name.
        name: String,
        /// Its byte offset.
        place: usize,
    },
    /// The file contradicts itself.
    #[error("it is damaged at byte {place}: {reason}")]
    Damaged {
        /// The violated condition.
        reason: &'static str,
        /// The byte offset.
        place: usize,
    },
    /// A tensor does not fit its storage.
    #[error("the tensor {name} is damaged: {reason}")]
    Tensor {
        /// Its name.
        name: String,
        /// The violated condition.
        reason: String,
    },
}
