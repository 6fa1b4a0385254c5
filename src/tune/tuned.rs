//! What comes of fine-tuning, and how it is saved.

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

/// A head, and the tail before it where that was tuned.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tuned {
    /// The head alone, for codes of the tuned trunk; of the published one where that stayed.
    pub heads: SavedHead,
    /// The tuned tail; nothing where the frozen head was not beaten.
    pub tail: Option<Tail>,
    /// What was tried, and why this was taken.
    pub choice: Choice,
    /// Which confidence an answer of the tuned head needs, by what it says out of fold.
    pub abstentions: Abstentions,
    /// Where training on all pictures was stopped; nothing where it came to its end.
    pub stopped: Option<StoppedAfter>,
}

/// After which of the chosen epochs training on all pictures was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StoppedAfter {
    /// Epochs that are done.
    pub epochs: usize,
    /// Epochs that were chosen.
    pub of: usize,
}

/// The tuned head against the frozen one, on pictures that chose nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// Pictures.
    pub pictures: usize,
    /// Errors of the frozen head.
    pub frozen_errors: usize,
    /// Errors of the tuned head.
    pub tuned_errors: usize,
    /// Pictures that the frozen head alone has right.
    pub right_to_wrong: usize,
    /// Pictures that the tuned head alone has right.
    pub wrong_to_right: usize,
    /// Accuracy of the tuned head minus that of the frozen one.
    pub difference: Difference,
}

impl Tuned {
    /// The frozen head as it is.
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

    /// Says which trunk the tuned one is, and notes what its codes of the training pictures are, by which outliers
    /// are told.
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

    /// What is told of it, made of what was told of the frozen heads once they were judged on the same pictures.
    #[must_use]
    pub fn report(&self, judged: Report, command: Option<String>, front: &Store) -> Report {
        let tuned = self.tail.as_ref().map(|_| &self.abstentions);
        judged.retold(&self.heads, tuned, command, front)
    }

    /// Writes the head, the tail and all that is told of them into the draft of a head.
    ///
    /// # Errors
    /// [`TuneError`], with the file.
    pub fn write_into(&self, folder: &Path, report: &Report) -> Result<(), TuneError> {
        if let Some(tail) = self.saved_tail()? {
            tail.write_into(folder)?;
        }
        report.write_into(folder)?;
        // Last: with its manifest a draft is a head.
        Ok(self.heads.write_into(folder)?)
    }

    /// The tail's weights, as they are saved beside the head.
    ///
    /// # Errors
    /// [`TuneError::Tail`].
    pub fn saved_tail(&self) -> Result<Option<TunedTail>, TuneError> {
        Ok(self.tail.as_ref().map(TunedTail::of).transpose()?)
    }

    /// Holds the tuned head against the frozen one, a head of `from` behind the `published` tail, on a store that
    /// neither was trained on. Nothing where the frozen head was taken.
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
                // The first of equal ones is predicted.
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

/// The pictures of `front`, and its views of them, with the codes that a tail makes of its own, pooled as `codes` are, which they are called.
/// They are held in memory.
///
/// # Errors
/// [`TuneError`] if the codes cannot be read, or are not such as the tail takes.
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
