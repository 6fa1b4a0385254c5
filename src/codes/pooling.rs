//! Pooling over height and width, and the order of a code's axes.

use serde::{Deserialize, Serialize};

use crate::named;

/// How a trunk's output (H, W, C) is pooled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// Not at all: (H, W, C).
    #[default]
    None,
    /// The mean over H and W: (C).
    Avg,
    /// The largest value over H and W: (C).
    Max,
}

named!(Pool, "pooling", None => "none", Avg => "avg", Max => "max");

impl Pool {
    /// Shape of a pooled code, from the trunk's output shape (channels last, without N).
    ///
    /// Outputs that are vectors already do not change.
    #[must_use]
    pub(crate) fn shape(self, output: &[usize]) -> Vec<usize> {
        match (self, output) {
            (Self::None, _) | (_, [] | [_]) => output.to_vec(),
            (Self::Avg | Self::Max, [.., channels]) => vec![*channels],
        }
    }

    /// Pools the codes of V views of a picture, one after the other, each as by [`Pool::append`].
    pub(crate) fn append_views(
        self,
        codes: &[f32],
        n_views: usize,
        channels: usize,
        pooled: &mut Vec<f32>,
    ) {
        for code in codes.chunks_exact(codes.len() / n_views) {
            self.append(code, channels, pooled);
        }
    }

    /// Pools one code of `channels` channels, given channels last, and appends it to `pooled`.
    ///
    /// The mean is summed in float64, so that the order of the positions changes it by at most a
    /// rounding.
    pub(crate) fn append(self, code: &[f32], channels: usize, pooled: &mut Vec<f32>) {
        match self {
            Self::None => pooled.extend_from_slice(code),
            Self::Avg => {
                let positions = (code.len() / channels) as f64;
                pooled.extend((0..channels).map(|channel| {
                    let values = code[channel..].iter().step_by(channels);
                    (values.map(|&value| f64::from(value)).sum::<f64>() / positions) as f32
                }));
            }
            Self::Max => pooled.extend((0..channels).map(|channel| {
                let values = code[channel..].iter().step_by(channels);
                values.fold(f32::NEG_INFINITY, |largest, &value| largest.max(value))
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two positions of three channels.
    const CODE: [f32; 6] = [1.0, -2.0, 5.0, 3.0, -4.0, 5.0];

    #[test]
    fn pooling_goes_over_positions_and_keeps_channels() {
        let pooled = |pool: Pool| {
            let mut pooled = Vec::new();
            pool.append(&CODE, 3, &mut pooled);
            pooled
        };
        assert_eq!(pooled(Pool::Avg), [2.0, -3.0, 5.0]);
        assert_eq!(pooled(Pool::Max), [3.0, -2.0, 5.0]);
        assert_eq!(pooled(Pool::None), CODE);
        assert_eq!(Pool::Avg.shape(&[7, 7, 512]), [512]);
        assert_eq!(Pool::None.shape(&[7, 7, 512]), [7, 7, 512]);
        assert_eq!(Pool::Max.shape(&[4096]), [4096]);
    }
}
