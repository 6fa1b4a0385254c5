//! What can be wrong with a file of weights.

/// Why a file of weights was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PytorchError {
    /// It is no file of PyTorch's old format.
    #[error("it is no file of weights in PyTorch's old format: {reason}")]
    OtherFormat {
        /// What says so.
        reason: String,
    },
    /// It ends in the middle of something.
    #[error("it is cut short: {what} at byte {place} goes beyond its end")]
    CutShort {
        /// What was being read.
        what: &'static str,
        /// Where that begins.
        place: usize,
    },
    /// It has an instruction that is not needed for weights.
    #[error(
        "the pickle instruction {code:#04x} at byte {place} is none that weights need; nothing was run"
    )]
    Instruction {
        /// The instruction.
        code: u8,
        /// Where it stands.
        place: usize,
    },
    /// It names something of Python that is not needed for weights.
    #[error(
        "it names {name} of Python at byte {place}, which weights do not need; a file that does may be an \
         attack; nothing was run"
    )]
    Name {
        /// Module and name.
        name: String,
        /// Where it stands.
        place: usize,
    },
    /// It contradicts itself.
    #[error("it is damaged at byte {place}: {reason}")]
    Damaged {
        /// What does not hold.
        reason: &'static str,
        /// Where it was found.
        place: usize,
    },
    /// A tensor does not fit its storage.
    #[error("the tensor {name} is damaged: {reason}")]
    Tensor {
        /// Its name.
        name: String,
        /// What does not hold.
        reason: String,
    },
}
