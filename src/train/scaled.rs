//! Samples read through a scaling that was fitted to them.

use crate::head::scaling::{Scaling, ScalingKind};
use crate::head::{HeadError, Samples};

/// Scaled samples, and their scaling.
pub(super) struct ScaledSamples<'a> {
    pub(super) scaling: Scaling,
    pub(super) samples: Samples<'a>,
}

/// Fits a scaling to samples, and reads them through it.
pub(super) fn scale<'a>(
    samples: &Samples<'a>,
    kind: ScalingKind,
) -> Result<ScaledSamples<'a>, HeadError> {
    let scaling = Scaling::fit(kind, samples);
    Ok(ScaledSamples {
        samples: samples.scaled(scaling.clone())?,
        scaling,
    })
}
