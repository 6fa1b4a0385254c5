//! Pictures in the order in which they are worth a look.

use cnn_codes::codes::{Corrections, Store};
use cnn_codes::head::saved::SavedHead;
use cnn_codes::head::{CodesView, Directions};
use cnn_codes::predict::Classifier;
use cnn_codes::progress::Watch;
use cnn_codes::train::{Doubt, LabelErrorOptions, Why, doubts, doubts_of, next_to_label};

use serde::Deserialize;

use super::parts::{Part, Role};

/// Pictures of which nothing speaks but that the head is least sure of them.
const MOST_UNSURE: usize = 200;

/// How pictures without labels are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Those first whose labels would teach most.
    #[default]
    Doubt,
    /// By the hash of the file, which knows nothing of what it shows: a control.
    Random,
}

/// A picture that is worth a look.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// What a head says of it; its row is that of the store as it was extracted.
    pub doubt: Doubt,
    /// A picture that shows the same and has another label.
    pub copy_of: Option<usize>,
}

/// The pictures of a part in the order in which they are worth a look, by the labels that HEAD was trained with.
pub fn queue(
    part: &Part,
    heads: &SavedHead,
    before: &Corrections,
    watch: &dyn Watch,
) -> anyhow::Result<Vec<Doubt>> {
    let labels = before.labels(&part.store, &heads.classes)?;
    match part.role {
        Role::Train => out_of_fold(part, heads, before, &labels, watch),
        Role::Validation => judged(part, heads, before, &labels),
        Role::Unlabelled => {
            let mut doubts = classified(&part.store, heads, None)?;
            doubts.retain(|doubt| labels[doubt.row].is_none());
            Ok(doubts)
        }
    }
}

/// Which of the pictures without labels are to be labelled next.
pub fn to_label(
    part: &Part,
    open: &[Doubt],
    directions: &Directions,
    n: usize,
    order: Order,
) -> Vec<Item> {
    let find = |row| open.iter().find(|doubt| doubt.row == row).copied();
    let wanted = match order {
        Order::Doubt => next_to_label(open, directions, n),
        Order::Random => {
            let pictures = part.store.pictures();
            let mut rows: Vec<_> = open.iter().map(|doubt| doubt.row).collect();
            rows.sort_by_key(|&row| *pictures[row].blake3.as_bytes());
            rows.truncate(n);
            rows
        }
    };
    let item = |doubt| Item {
        doubt,
        copy_of: None,
    };
    wanted.into_iter().filter_map(find).map(item).collect()
}

/// Judged by heads that were trained on the other pictures.
fn out_of_fold(
    part: &Part,
    heads: &SavedHead,
    before: &Corrections,
    labels: &[Option<usize>],
    watch: &dyn Watch,
) -> anyhow::Result<Vec<Doubt>> {
    let (store, _) = before.apply(&part.store, &heads.classes)?;
    let store = store.taken_as(&heads.codes)?;
    let found = doubts(&store, &LabelErrorOptions::default(), watch)?;
    Ok(in_part(found, labels))
}

/// Judged by HEAD, which was not trained on them.
fn judged(
    part: &Part,
    heads: &SavedHead,
    before: &Corrections,
    labels: &[Option<usize>],
) -> anyhow::Result<Vec<Doubt>> {
    let (store, _) = before.apply(&part.store, &heads.classes)?;
    Ok(in_part(classified(&store, heads, store.labels())?, labels))
}

fn classified(
    store: &Store,
    heads: &SavedHead,
    labels: Option<&[usize]>,
) -> anyhow::Result<Vec<Doubt>> {
    let store = store.taken_as(&heads.codes)?;
    let Some(classifier) = Classifier::new(heads.clone(), None) else {
        anyhow::bail!("HEAD has no head");
    };
    let probabilities = classifier.probabilities(&CodesView::from(&store))?;
    Ok(doubts_of(labels, &probabilities))
}

/// Doubts of the pictures that have a label, with the rows of all pictures.
fn in_part(doubts: Vec<Doubt>, labels: &[Option<usize>]) -> Vec<Doubt> {
    let labelled = labels.iter().enumerate();
    let rows: Vec<_> = labelled
        .filter_map(|(row, label)| label.map(|_| row))
        .collect();
    let place = |doubt: Doubt| Doubt {
        row: rows[doubt.row],
        ..doubt
    };
    doubts.into_iter().map(place).collect()
}

/// What is shown of these: labels that the codes speak against and wrong predictions, then copies with different
/// labels, outliers, and the least sure. `copies` has pairs of rows that show the same and have different labels.
pub fn items(doubts: &[Doubt], copies: &[(usize, usize)]) -> Vec<Item> {
    let items = doubts.iter().map(|&doubt| Item {
        doubt,
        copy_of: (copies.iter())
            .find(|(one, _)| *one == doubt.row)
            .map(|&(_, other)| other),
    });
    let rank = |item: &Item| match (item.doubt.why, item.copy_of) {
        (Why::Label | Why::Wrong, _) => 0,
        (_, Some(_)) => 1,
        (Why::Outlier(_), None) => 2,
        (Why::Unsure, None) => 3,
    };
    let mut items: Vec<Item> = items.collect();
    // Equal ones stay in the order of the doubts.
    items.sort_by_key(rank);
    let n_unsure = items.iter().filter(|item| rank(item) == 3).count();
    items.truncate(items.len() - n_unsure.saturating_sub(MOST_UNSURE));
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_come_behind_wrong_predictions_and_the_least_sure_are_cut() {
        let doubt = |row, why| Doubt {
            row,
            why,
            predicted: 0,
            probability: 0.5,
            of_label: Some(0.5),
            margin: 0.0,
        };
        let mut doubts = vec![
            doubt(4, Why::Label),
            doubt(2, Why::Wrong),
            doubt(7, Why::Outlier(4.0)),
        ];
        doubts.extend((10..400).map(|row| doubt(row, Why::Unsure)));
        let shown = items(&doubts, &[(4, 300), (300, 4)]);
        let rows: Vec<_> = shown.iter().map(|item| item.doubt.row).collect();
        assert_eq!(rows[..5], [4, 2, 300, 7, 10]);
        assert_eq!(shown[0].copy_of, Some(300));
        assert_eq!(rows.len(), 4 + MOST_UNSURE);
    }
}
