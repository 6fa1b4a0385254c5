//! A classifier's answer for a code: probabilities, and how reliable they are.

use ndarray::{ArrayView1, ArrayView2};

use super::{Classifier, PredictError};
use crate::evaluate::ConformalScores;
use crate::head::saved::Evidence;
use crate::head::{CodesView, HeadError, HeadKind, Near, Neighbours};

/// The answer for one code.
pub(super) struct Answer {
    /// Probabilities (K).
    pub(super) probabilities: Vec<f32>,
    /// The classes of the set, the most probable first, if sets were requested.
    pub(super) set: Option<Vec<usize>>,
    /// Whether the code is unlike the training codes, if outliers were requested.
    pub(super) is_outlier: Option<bool>,
    /// The nearest training codes, if they were requested.
    pub(super) nearest: Option<Vec<Near>>,
}

/// Sets of classes that contain a picture's own class with the requested probability.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sets {
    /// The largest -ln(probability) of a class in the set.
    largest_score: f32,
}

/// Detects pictures that are unlike the training pictures.
#[derive(Clone, Debug)]
pub(super) struct Outliers {
    neighbours: Neighbours,
    /// The largest distance to the nearest training code that does not make an outlier.
    largest_distance: f32,
}

impl Sets {
    /// Sets that contain the own class of a share of pictures, 0 to 1, from evidence on the head of
    /// this kind.
    pub(super) fn new(
        evidence: &Evidence,
        kind: HeadKind,
        share: f64,
    ) -> Result<Self, PredictError> {
        let known = evidence.of_kind(kind);
        let known = known.ok_or(PredictError::NotOutOfFold { kind })?;
        let scores = ConformalScores::new(&known.scores.to_vec(), &known.group_sizes.to_vec());
        let largest_score = scores.threshold(share).ok_or(PredictError::TooFew {
            what: "sets",
            end: "largest",
            wanted: share,
            possible: (1000.0 * scores.highest_level()).floor() / 1000.0,
        })?;
        Ok(Self { largest_score })
    }

    /// The classes by scores (K), each the -ln of a probability, the most probable first. The most
    /// probable class is always in the set.
    fn classes(self, scores: ArrayView1<f32>) -> Vec<usize> {
        let mut classes: Vec<_> = (0..scores.len()).collect();
        // A stable sort keeps equal ones in order.
        classes.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        let n = classes.partition_point(|&class| scores[class] <= self.largest_score);
        classes.truncate(n.max(1));
        classes
    }
}

impl Outliers {
    /// Outliers with a rate of false alarms, 0 to 1, among pictures like the training pictures.
    pub(super) fn new(evidence: &Evidence, rate: f64) -> Result<Self, PredictError> {
        let neighbours = evidence.neighbours.clone();
        let neighbours = neighbours.ok_or(PredictError::NoTrainingCodes)?;
        let distances = neighbours.training_distances().to_vec();
        let scores = ConformalScores::new(&distances, &neighbours.group_sizes().to_vec());
        let largest_distance = scores.threshold(1.0 - rate).ok_or(PredictError::TooFew {
            what: "outliers",
            end: "smallest",
            wanted: rate,
            possible: (1000.0 * (1.0 - scores.highest_level())).ceil() / 1000.0,
        })?;
        Ok(Self {
            neighbours,
            largest_distance,
        })
    }

    /// Whether each code (N) of codes (N, D), as they are stored, is an outlier.
    fn judge(&self, codes: &CodesView) -> Result<Vec<bool>, HeadError> {
        let distances = self.neighbours.distances(codes)?;
        // Rounding gives copies a distance slightly above 0.
        let is_far = |distance: f32| distance > self.largest_distance;
        Ok(distances.into_iter().map(is_far).collect())
    }
}

impl Classifier {
    /// The answer for each picture (N) from the codes of its views (N V, D). The distance to the
    /// training pictures is that of its first view, the picture itself.
    ///
    /// # Errors
    /// As [`Classifier::probabilities`].
    pub(super) fn answers(
        &self,
        codes: &CodesView,
        n_views: usize,
    ) -> Result<Vec<Answer>, HeadError> {
        let (probabilities, scores) = self.judge(codes, n_views)?;
        let codes = &codes.first_views(n_views);
        let outliers = self.outliers.as_ref().map(|outliers| outliers.judge(codes));
        let outliers = outliers.transpose()?;
        let nearest = self.nearest.as_ref();
        let nearest = nearest.map(|(neighbours, k)| neighbours.nearest(codes, *k));
        let mut nearest = nearest.transpose()?.map(Vec::into_iter);
        let sets = self.sets.zip(scores.as_ref().map(|scores| scores.view()));
        let classes =
            |row| sets.map(|(sets, scores): (Sets, ArrayView2<f32>)| sets.classes(scores.row(row)));
        let answers = probabilities.rows().into_iter().enumerate();
        let answers = answers.map(|(row, probabilities)| Answer {
            probabilities: probabilities.to_vec(),
            set: classes(row),
            is_outlier: outliers.as_ref().map(|outliers| outliers[row]),
            nearest: nearest.as_mut().and_then(Iterator::next),
        });
        Ok(answers.collect())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_set_has_the_classes_up_to_the_threshold_and_always_the_most_probable() {
        let classes = |largest_score, scores: [f32; 4]| {
            Sets { largest_score }
                .classes(array![scores[0], scores[1], scores[2], scores[3]].view())
        };
        let scores = [1.0, 0.8, 9.0, 1.0];
        assert_eq!(classes(1.0, scores), [1, 0, 3]);
        assert_eq!(classes(0.9, scores), [1]);
        assert_eq!(classes(0.1, scores), [1]);
        assert_eq!(classes(9.0, scores), [1, 0, 3, 2]);
    }
}
