//! The element types of codes.

use serde::{Deserialize, Serialize};

use crate::files::npy::ElementType;
use crate::named;

/// Element type of codes.npy, little-endian on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE single precision: codes as the trunk computes them.
    #[default]
    F32,
    /// IEEE half precision, half the size; numbers beyond 65,504 do not fit.
    F16,
}

named!(Dtype, "dtype", F32 => "f32", F16 => "f16");

impl Dtype {
    /// Bytes of one element.
    #[must_use]
    pub(crate) const fn size(self) -> usize {
        self.element_type().size()
    }

    /// NumPy's name for it.
    pub(super) const fn element_type(self) -> ElementType {
        match self {
            Self::F32 => ElementType::F32,
            Self::F16 => ElementType::F16,
        }
    }
}
