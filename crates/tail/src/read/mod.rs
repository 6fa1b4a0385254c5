//! Reads layers from an ONNX graph, between two of its tensors.
//!
//! ```text
//! constants  tensors whose values are in the file
//! form       the operation of one node, or why a tail cannot have it
//! path       the nodes between two tensors, and where else the trunk could be cut
//! build      these nodes as layers: layouts resolved, activations and normalizations merged into convolutions
//! ```

mod build;
mod constants;
mod form;
mod path;

use ort_winograd::OnnxModel;

use self::build::Builder;
use self::constants::Constants;
use self::path::Path;
use crate::{Tail, TailError};

impl Tail {
    /// Reads the layers of `model` between the tensors `from` and `to`.
    ///
    /// In the graph, `from` may have its channels first or last; batches always have them last. A
    /// tail may have: `Conv` of 3 x 3 and 1 x 1 in one group and depthwise, with stride 1;
    /// `BatchNormalization` after one of these, which is folded into its weights; `Relu`, `Clip`
    /// from 0 to 6, `MaxPool`, `AveragePool`, `GlobalAveragePool`, `Add` of two tensors; and
    /// `Identity`, `Transpose`, `Flatten` and `Reshape` if they only change the layout. If several
    /// layers share weights, each gets its own copy.
    ///
    /// # Errors
    /// [`TailError::NoTensor`], [`TailError::NotAlone`] or [`TailError::NothingToTune`] if there is
    /// no tail between the tensors; [`TailError::Operator`] or [`TailError::Form`] if it has a node
    /// that a tail cannot have; [`TailError::Weights`] if weights are not float32, or not as long
    /// as their shape.
    pub fn read(model: &OnnxModel, from: &str, to: &str) -> Result<Self, TailError> {
        let constants = Constants::of(model.graph());
        let path = Path::between(model.graph(), &constants, from, to)?;
        Builder::new(&path, &constants).build()
    }
}
