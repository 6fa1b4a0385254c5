//! The result of fine-tuning, and how it is saved.

use std::path::Path;

use cnn_codes_tail::Tail;
use serde::Serialize;

use super::choice::{Choice, OutOfFold};
use super::error::TuneError;
use super::network::Network;
use super::run::Data;
use crate::codes::{CodesIdentity, Store};
use crate::evaluate::{Abstentions, Correctness, Design, Difference, abstentions, fit_temperature};
use crate::head::saved::{Evidence, OutOfFoldScores, SavedHead};
use crate::head::{
    CodesView, Neighbours, OneHead, Samples, group_sizes, negative_log_probabilities, probabilities,
};
use crate::model::{TrunkIdentity, TunedTail};
use crate::train::Report;

/// A head, and the tail before it if it was tuned.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tuned {
    /// The head, for codes of the tuned trunk; of the published trunk if no tail was taken.
    pub heads: SavedHead,
    /// The tuned tail; `None` if the frozen head was not beaten.
    pub tail: Option<Tail>,
    /// What was tried, and why this was chosen.
    pub choice: Choice,
    /// How confident an answer of the tuned head must be, from its predictions out of fold.
    pub abstentions: Abstentions,
    /// Where training on all pictures was stopped; `None` if it finished.
    pub stopped: Option<StoppedAfter>,
}

/// The epoch, of those chosen, after which training on all pictures was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StoppedAfter {
    /// Finished epochs.
    pub epochs: usize,
    /// Chosen number of epochs.
    pub of: usize,
}

/// The tuned head against the frozen one, on pictures that were not used for choices.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// Number of pictures.
    pub pictures: usize,
    /// Errors of the frozen head.
    pub frozen_errors: usize,
    /// Errors of the tuned head.
    pub tuned_errors: usize,
    /// Pictures that only the frozen head has right.
    pub right_to_wrong: usize,
    /// Pictures that only the tuned head has right.
    pub wrong_to_right: usize,
    /// Accuracy of the tuned head minus that of the frozen one.
    pub difference: Difference,
}

impl Tuned {
    /// The frozen head, unchanged.
    pub(super) fn frozen(from: &SavedHead, head: OneHead, choice: Choice) -> Self {
        Self {
            heads: SavedHead {
                heads: vec![head],
                recommended: None,
                ..from.clone()
            },
            tail: None,
            choice,
            abstentions: Abstentions::default(),
            stopped: None,
        }
    }

    /// A tuned tail, and the head with the layers of `network`.
    pub(super) fn new(
        from: &SavedHead,
        head: &OneHead,
        tail: Tail,
        network: &Network,
        choice: Choice,
        data: &Data,
    ) -> Result<Self, TuneError> {
        let mut tuned = network.in_head(head)?;
        let mut evidence = Evidence::default();
        let mut confidences = Abstentions::default();
        if let Some(OutOfFold { rows, logits }) = choice.out_of_fold() {
            let of = |all: &[usize]| -> Vec<usize> { rows.iter().map(|&row| all[row]).collect() };
            let (labels, groups) = (of(data.labels), data.groups.as_deref().map(of));
            if head.temperature() != 1.0 {
                // The frozen head was calibrated.
                let fitted = fit_temperature(logits.view(), &labels, groups.as_deref())?;
                tuned = tuned.with_temperature(fitted.value);
            }
            let temperature = tuned.temperature() as f32;
            let known = probabilities(logits.clone(), temperature);
            confidences = abstentions(known.view(), &labels)?;
            let losses = negative_log_probabilities(logits.clone(), temperature);
            let losses = losses.rows().into_iter().zip(&labels);
            let scores = OutOfFoldScores {
                scores: losses.map(|(losses, &label)| losses[label]).collect(),
                group_sizes: group_sizes(groups.as_deref(), rows.len()).into(),
            };
            evidence.out_of_fold.push((tuned.kind(), scores));
        }
        Ok(Self {
            heads: SavedHead {
                heads: vec![tuned],
                recommended: None,
                evidence,
                ..from.clone()
            },
            tail: Some(tail),
            choice,
            abstentions: confidences,
            stopped: None,
        })
    }

    /// Records the tuned trunk's identity and its codes of the training pictures, which are needed
    /// to detect outliers.
    ///
    /// # Errors
    /// [`TuneError`] if the codes cannot be read.
    pub fn identify(&mut self, trunk: TrunkIdentity, front: &Store) -> Result<(), TuneError> {
        let Some(tail) = &self.tail else {
            return Ok(());
        };
        self.heads.codes.trunk = trunk;
        let mut means = self.heads.codes.clone();
        means.pool = crate::codes::Pool::Avg;
        let store = behind(front, tail, &means)?;
        let samples = Samples::of_store(&store)?;
        let channels = means.output.channels();
        self.heads.evidence.neighbours = Neighbours::of(&samples, channels)?;
        Ok(())
    }

    /// The report of the tuned head, made from the frozen heads' report on the same pictures.
    #[must_use]
    pub fn report(&self, judged: Report, command: Option<String>, front: &Store) -> Report {
        let tuned = self.tail.as_ref().map(|_| &self.abstentions);
        judged.retold(&self.heads, tuned, command, front)
    }

    /// Writes the head, the tail and the reports into the draft of a HEAD.
    ///
    /// # Errors
    /// [`TuneError`], with the file.
    pub fn write_into(&self, folder: &Path, report: &Report) -> Result<(), TuneError> {
        if let Some(tail) = self.saved_tail()? {
            tail.write_into(folder)?;
        }
        report.write_into(folder)?;
        // Written last: with its manifest, a draft is a HEAD.
        Ok(self.heads.write_into(folder)?)
    }

    /// The tail's weights, in the form that is saved beside the head.
    ///
    /// # Errors
    /// [`TuneError::Tail`].
    pub fn saved_tail(&self) -> Result<Option<TunedTail>, TuneError> {
        Ok(self.tail.as_ref().map(TunedTail::of).transpose()?)
    }

    /// Compares the tuned head with the frozen one, a head of `from` on the `published` tail, on a
    /// store that neither was trained on. `None` if the frozen head was kept.
    ///
    /// # Errors
    /// [`TuneError`].
    pub fn compare(
        &self,
        from: &SavedHead,
        published: &Tail,
        judging: &Store,
    ) -> Result<Option<Comparison>, TuneError> {
        let (Some(tail), Some(tuned)) = (&self.tail, self.heads.heads.first()) else {
            return Ok(None);
        };
        let Some(frozen) = from.of_kind(tuned.kind()) else {
            return Ok(None);
        };
        let data = Data::new(judging, from)?;
        data.check(tail, &from.codes.output)?;
        let rows: Vec<_> = (0..data.labels.len()).collect();
        let channels = from.codes.output.channels();
        let right = |head: &OneHead, tail: &Tail| -> Result<Vec<bool>, TuneError> {
            let network = Network::of(head, from.scaling.clone(), from.codes.pool, channels)?;
            let logits = data.logits(tail, &network, &rows)?;
            let pairs = logits.rows().into_iter().zip(data.labels);
            let is_right = |(logits, &label): (ndarray::ArrayView1<f32>, &usize)| {
                // Of equal ones, the first is predicted.
                (0..logits.len()).all(|other| match other < label {
                    true => logits[other] < logits[label],
                    false => logits[other] <= logits[label],
                })
            };
            Ok(pairs.map(is_right).collect())
        };
        let (before, after) = (right(frozen, published)?, right(tuned, tail)?);
        let count = |of: fn(bool, bool) -> bool| {
            let pairs = before.iter().zip(&after);
            pairs.filter(|&(&before, &after)| of(before, after)).count()
        };
        let design = Design {
            groups: data.groups.as_deref(),
            dealings: &[],
        };
        Ok(Some(Comparison {
            pictures: rows.len(),
            frozen_errors: count(|before, _| !before),
            tuned_errors: count(|_, after| !after),
            right_to_wrong: count(|before, after| before && !after),
            wrong_to_right: count(|before, after| !before && after),
            difference: Difference::new(
                &Correctness::new(vec![after.clone()])?,
                &Correctness::new(vec![before.clone()])?,
                &design,
            )?,
        }))
    }
}

/// The pictures and views of `front`, with codes that a tail computes from its codes, pooled as in
/// `codes`. The result has the identity `codes`, and is held in memory.
///
/// # Errors
/// [`TuneError`] if the codes cannot be read, or do not fit the tail.
pub fn behind(front: &Store, tail: &Tail, codes: &CodesIdentity) -> Result<Store, TuneError> {
    let data = Data::unlabelled(front)?;
    data.check(tail, &codes.output)?;
    let rows: Vec<_> = (0..front.pictures().len()).collect();
    let n_views = data.n_views();
    let mut made = Vec::with_capacity(rows.len() * n_views * codes.code_len());
    let channels = codes.output.channels();
    data.outputs(tail, &rows, |rows, outputs| {
        let pool = codes.pool;
        pool.append_views(outputs, rows.len() * n_views, channels, &mut made);
    })?;
    let store = front.with_codes(codes.clone(), made);
    CodesView::from(&store).check()?;
    Ok(store)
}
