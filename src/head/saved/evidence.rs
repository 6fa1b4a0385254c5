//! evidence.safetensors: results of each head on training pictures outside its fold, and directions
//! of the training codes. Sets of classes and outliers are computed from them.

use std::io;
use std::path::Path;

use ndarray::Array1;

use super::SavedHeadError;
use super::tensors::{Tensors, TensorsToWrite};
use crate::files::Open;
use crate::head::{HeadKind, Neighbours};

/// The file, inside a HEAD directory; older HEADs have none.
pub(crate) const EVIDENCE: &str = "evidence.safetensors";

/// A HEAD's data about the training pictures.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Evidence {
    /// Out-of-fold scores of each head, at most one per kind; empty if there were no folds.
    pub out_of_fold: Vec<(HeadKind, OutOfFoldScores)>,
    /// The training codes, used to detect outliers.
    pub neighbours: Option<Neighbours>,
}

/// Scores of training pictures (N) by heads that were trained outside the pictures' folds.
#[derive(Clone, Debug, PartialEq)]
pub struct OutOfFoldScores {
    /// -ln of the probability of each picture's own class (N), at the head's temperature; 0 or
    /// more.
    pub scores: Array1<f32>,
    /// Number of these pictures in the group of each (N), including itself.
    pub group_sizes: Array1<f32>,
}

impl Evidence {
    /// Out-of-fold scores of the head of this kind, if there are any.
    #[must_use]
    pub fn of_kind(&self, kind: HeadKind) -> Option<&OutOfFoldScores> {
        let mut all = self.out_of_fold.iter();
        all.find(|(other, _)| *other == kind)
            .map(|(_, scores)| scores)
    }

    fn is_empty(&self) -> bool {
        self.out_of_fold.is_empty() && self.neighbours.is_none()
    }

    /// Refuses contradictions, heads of other kinds, and codes with other channels.
    pub(super) fn validate(&self, kinds: &[HeadKind], channels: usize) -> Result<(), String> {
        for (index, (kind, of_head)) in self.out_of_fold.iter().enumerate() {
            let mut others = self.out_of_fold[..index].iter();
            if !kinds.contains(kind) || others.any(|(other, _)| other == kind) {
                return Err(format!(
                    "it tells of {kind} without a head of that kind, or twice"
                ));
            }
            let OutOfFoldScores {
                scores,
                group_sizes,
            } = of_head;
            if scores.iter().any(|&score| score < 0.0) {
                return Err(format!("a score of {kind} is below 0"));
            }
            check_group_sizes(group_sizes, scores.len())?;
        }
        let Some(neighbours) = &self.neighbours else {
            return Ok(());
        };
        let (n, found) = neighbours.directions.dim();
        if found != channels {
            return Err(format!(
                "its training codes have {found} channels, and the codes of the heads {channels}"
            ));
        }
        if neighbours.distances.len() != n {
            return Err(format!(
                "it has {n} training codes and {} distances",
                neighbours.distances.len()
            ));
        }
        check_group_sizes(&neighbours.group_sizes, n)
    }

    /// Writes the file to `path`, unless there is nothing to write.
    pub(super) fn write(&self, path: &Path) -> Result<(), SavedHeadError> {
        if self.is_empty() {
            return Ok(());
        }
        let mut tensors = TensorsToWrite::default();
        for (kind, of_head) in &self.out_of_fold {
            tensors.vector(&format!("{kind}.score"), of_head.scores.view());
            let sizes = of_head.group_sizes.view();
            tensors.vector(&format!("{kind}.group_size"), sizes);
        }
        if let Some(neighbours) = &self.neighbours {
            tensors.matrix("training.direction", neighbours.directions.view());
            tensors.vector("training.distance", neighbours.distances.view());
            tensors.vector("training.group_size", neighbours.group_sizes.view());
        }
        tensors.write(path)
    }

    /// Reads the file; a missing file means that there is no evidence.
    pub(super) fn read(
        path: &Path,
        open: Open,
        kinds: &[HeadKind],
    ) -> Result<Self, SavedHeadError> {
        let mut tensors = match Tensors::read(path, open) {
            Err(SavedHeadError::Read { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                return Ok(Self::default());
            }
            read => read?,
        };
        let mut evidence = Self::default();
        for &kind in kinds {
            let Some(scores) = tensors.any_vector(&format!("{kind}.score"))? else {
                continue;
            };
            let group_sizes = tensors.vector(&format!("{kind}.group_size"), scores.len())?;
            let of_head = OutOfFoldScores {
                scores,
                group_sizes,
            };
            evidence.out_of_fold.push((kind, of_head));
        }
        if let Some(directions) = tensors.any_matrix("training.direction")? {
            let n = directions.nrows();
            evidence.neighbours = Some(Neighbours {
                directions,
                distances: tensors.vector("training.distance", n)?,
                group_sizes: tensors.vector("training.group_size", n)?,
            });
        }
        tensors.finish()?;
        Ok(evidence)
    }
}

fn check_group_sizes(sizes: &Array1<f32>, n: usize) -> Result<(), String> {
    if sizes.len() != n {
        return Err(format!(
            "it has {n} pictures and {} group sizes",
            sizes.len()
        ));
    }
    match sizes.iter().find(|&&size| size < 1.0) {
        Some(size) => Err(format!("a group has {size} pictures")),
        None => Ok(()),
    }
}
