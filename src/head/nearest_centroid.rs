//! The nearest centroid: the class whose mean code has the most similar direction. It learns only
//! one mean per class, so other heads should do better.
//!
//! For training codes x (N, D) with the mean m (D):
//!
//! ```text
//! z   = (x - m) / |x - m|             centred, and of length 1
//! c_k = mean of z over the samples of class k
//! logit_k = z . c_k / |c_k|           the cosine of the angle between them, from -1 to 1
//! ```
//!
//! Centring and scaling to length 1 are the transformation CL2N of Y. Wang, W.-L. Chao, K.
//! Weinberger and L. van der Maaten, "SimpleShot: Revisiting nearest-neighbor classification for
//! few-shot learning" (2019), section 3. The cosine to each class's centroid is the decision rule
//! of E.-H. Han and G. Karypis, "Centroid-based document classification" (2000), equation 1.
//!
//! Cosines differ little, so without a fitted temperature the probabilities are nearly equal. A
//! class without training samples gets the probability 0.

use ndarray::{Array1, Array2, ArrayView2, s};
use serde::{Deserialize, Serialize};

use super::saved::{SavedHeadError, Tensors};
use super::span::Centred;
use super::{
    ABSENT_BIAS, CodesView, Fit, Head, HeadError, HeadKind, Layer, PREDICTED_ROWS, Samples,
};
use crate::progress::{Stopped, Watch};

/// Options of the nearest centroid: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NearestCentroidOptions {}

/// The directions of the class means; see the module.
#[derive(Clone, Debug, PartialEq)]
pub struct NearestCentroid {
    /// The mean m (D).
    mean: Array1<f32>,
    /// c_k / |c_k| in column k (D, K); zeros for a class without samples, and for one whose samples
    /// cancel out.
    directions: Array2<f32>,
    /// 0 for each class (K) with samples; for other classes so low that their probability is 0.
    bias: Array1<f32>,
}

impl NearestCentroid {
    /// Computes the means of training samples, in two passes over the codes with sums in f64.
    ///
    /// # Errors
    /// [`HeadError::OneClass`] before any work, [`HeadError::Read`].
    pub(crate) fn fit(train: &Samples) -> Result<Self, HeadError> {
        train.require_two_classes()?;
        let train = &train.of_views();
        let centred = Centred::new(train.codes().clone());
        let mut sums = Array2::<f64>::zeros((train.n_classes(), train.n_features()));
        centred.for_each_chunk(|first, codes| {
            let labels = &train.labels()[first..first + codes.nrows()];
            for (code, &label) in codes.rows().into_iter().zip(labels) {
                let mut direction = code.mapv(f64::from) - &centred.mean;
                to_length_1(&mut direction);
                sums.row_mut(label)
                    .zip_mut_with(&direction, |sum, z| *sum += z);
            }
        });
        train.codes().check()?;
        let mut directions = Array2::zeros((train.n_features(), train.n_classes()));
        for (class, sum) in sums.rows().into_iter().enumerate() {
            // The code is the mean, and has no direction.
            let mut sum = sum.to_owned();
            to_length_1(&mut sum);
            directions.column_mut(class).assign(&sum.mapv(|z| z as f32));
        }
        let bias = |count| if count > 0 { 0.0 } else { ABSENT_BIAS };
        Ok(Self {
            mean: centred.mean.mapv(|mean| mean as f32),
            directions,
            bias: train.class_counts().into_iter().map(bias).collect(),
        })
    }

    /// The mean m (D) of the training codes.
    #[must_use]
    pub fn mean(&self) -> &Array1<f32> {
        &self.mean
    }

    /// Directions of the classes (D, K), of length 1.
    #[must_use]
    pub fn directions(&self) -> ArrayView2<'_, f32> {
        self.directions.view()
    }

    /// Logits (N, K) of codes (N, D).
    ///
    /// # Errors
    /// [`HeadError::FeatureMismatch`] if the codes have another D; [`HeadError::Read`].
    pub(crate) fn logits(&self, codes: &CodesView) -> Result<Array2<f32>, HeadError> {
        let (expected, actual) = (self.mean.len(), codes.n_features());
        if expected != actual {
            return Err(HeadError::FeatureMismatch { expected, actual });
        }
        let mut logits = Array2::zeros((codes.n_rows(), self.bias.len()));
        codes.for_each_chunk(PREDICTED_ROWS, |first, codes| {
            let mut z = &codes - &self.mean;
            for mut row in z.rows_mut() {
                let squares = row.iter().map(|&value| f64::from(value).powi(2));
                let norm = squares.sum::<f64>().sqrt() as f32;
                row /= if norm > 0.0 { norm } else { 1.0 };
            }
            let mut logits = logits.slice_mut(s![first..first + codes.nrows(), ..]);
            logits.assign(&(z.dot(&self.directions) + &self.bias));
        });
        codes.check()?;
        Ok(logits)
    }
}

/// A vector of zeros does not change.
fn to_length_1(vector: &mut Array1<f64>) {
    let norm = vector.dot(vector).sqrt();
    if norm > 0.0 {
        *vector /= norm;
    }
}

impl Head for NearestCentroid {
    type Options = NearestCentroidOptions;

    const KIND: HeadKind = HeadKind::NearestCentroid;
    const TITLE: &'static str = "nearest centroid";
    const FITTING: &'static str = "fitting";

    fn validate(_options: &NearestCentroidOptions) -> Result<(), HeadError> {
        Ok(())
    }

    fn training_bytes(train: &Samples, _options: &NearestCentroidOptions) -> usize {
        size_of::<f64>() * train.n_features() * train.n_classes()
    }

    fn fit<'s>(
        train: &Samples<'s>,
        _validation: Option<&Samples<'s>>,
        _options: &NearestCentroidOptions,
        watch: &dyn Watch,
    ) -> Result<Fit<Self>, HeadError> {
        if watch.is_stopped() {
            return Err(HeadError::Stopped(Stopped));
        }
        let present = train.class_counts().into_iter().filter(|&count| count > 0);
        Ok(Fit {
            remark: format!(
                "the directions of {} class means, seen from the mean of {} pictures",
                present.count(),
                train.len()
            ),
            model: Self::fit(train)?,
            convergence: None,
            history: Vec::new(),
            is_stopped: false,
        })
    }

    fn logits(&self, codes: &CodesView) -> Result<Array2<f32>, HeadError> {
        self.logits(codes)
    }

    fn shape(&self) -> (usize, usize) {
        self.directions.dim()
    }

    fn layers(&self) -> Vec<Layer<'_>> {
        vec![
            Layer::Centre {
                name: "nearest-centroid.mean",
                mean: self.mean.view(),
            },
            Layer::UnitLength,
            Layer::Dense {
                name: "nearest-centroid".into(),
                weights: self.directions(),
                bias: self.bias.view(),
            },
        ]
    }

    fn from_tensors(
        _options: &NearestCentroidOptions,
        shape: (usize, usize),
        tensors: &mut Tensors,
    ) -> Result<Self, SavedHeadError> {
        Ok(Self {
            mean: tensors.vector("nearest-centroid.mean", shape.0)?,
            directions: tensors.matrix("nearest-centroid.weight", shape)?,
            bias: tensors.vector("nearest-centroid.bias", shape.1)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn directions_and_logits_by_hand() {
        // About their mean (1, 1), two samples of class 0 lie along (1, 0) and (0, 1), and two of
        // class 2 opposite of them; class 1 has none.
        let codes = array![[3.0, 1.0], [1.0, 2.0], [0.0, 1.0], [0.0, 0.0]];
        let samples = Samples::new(codes.view(), &[0, 0, 2, 2], 3).unwrap();
        let model = NearestCentroid::fit(&samples).unwrap();
        assert_eq!(model.mean(), array![1.0, 1.0]);
        let half = 0.5f32.sqrt();
        let near = |a: f32, b: f32| (a - b).abs() < 1e-6;
        assert!(near(model.directions()[[0, 0]], half) && near(model.directions()[[1, 0]], half));
        assert_eq!(model.directions().column(1), array![0.0, 0.0]);
        // (-1, 0) and (-1, -1) / sqrt 2 together, of length 1: 22.5 degrees below (-1, 0).
        let angle = 22.5f32.to_radians();
        assert!(near(model.directions()[[0, 2]], -angle.cos()));
        assert!(near(model.directions()[[1, 2]], -angle.sin()));
        // (1, 1) is the mean: of no direction.
        let logits = model
            .logits(&CodesView::from(array![[2.0, 2.0], [1.0, 1.0]].view()))
            .unwrap();
        assert!(near(logits[[0, 0]], 1.0));
        let expected = -(45f32 - 22.5).to_radians().cos();
        assert!(near(logits[[0, 2]], expected), "{logits}");
        assert_eq!((logits[[1, 0]], logits[[1, 2]]), (0.0, 0.0));
        let probabilities = crate::head::probabilities(logits, 1.0);
        assert_eq!(probabilities.column(1), array![0.0, 0.0]);
    }

    #[test]
    fn codes_of_another_length_are_refused() {
        let codes = array![[1.0, 0.0], [0.0, 1.0]];
        let samples = Samples::new(codes.view(), &[0, 1], 2).unwrap();
        let model = NearestCentroid::fit(&samples).unwrap();
        let short = array![[1.0]];
        let error = model.logits(&CodesView::from(short.view())).unwrap_err();
        let (expected, actual) = (2, 1);
        assert_eq!(error, HeadError::FeatureMismatch { expected, actual });
    }
}
