//! The judged pictures as cards: mistakes first, then what was right by a narrow margin.

use std::path::Path;

use maud::{Markup, html};

use super::names;
use super::thumbnails::{Inline, Thumbnail, Wanted, thumbnails};
use cnn_codes::train::{Comparison, HeadResult, Report};

/// Most pictures in a page, for its size.
const MAX_PICTURES: usize = 200;

/// Most of them that were misclassified, so that some that were not are seen.
const MAX_MISTAKES: usize = 160;

/// What the page shows of the judged pictures.
pub(super) struct Gallery {
    /// Misclassified by a head or more, the most confident mistakes first.
    mistakes: Vec<Card>,
    /// Classified right by all heads, the least sure ones first.
    right: Vec<Card>,
    /// How many there are of both.
    n_mistakes: usize,
    n_right: usize,
}

/// One picture.
struct Card {
    row: usize,
    label: usize,
    /// Prediction of each head, and its probability.
    opinions: Vec<(usize, f32)>,
    thumbnail: Thumbnail,
}

impl Gallery {
    /// Chooses pictures, and makes thumbnails of those below `root`.
    pub(super) fn of(report: &Report, root: Option<&Path>) -> Self {
        let comparison = &report.comparison;
        let (mut mistakes, mut right): (Vec<_>, Vec<_>) = (0..comparison.labels.len())
            .map(|row| (row, sureness(comparison, row)))
            .partition(|(_, sureness)| matches!(sureness, Sureness::Wrong(_)));
        mistakes.sort_by(|(_, a), (_, b)| b.value().total_cmp(&a.value()));
        right.sort_by(|(_, a), (_, b)| a.value().total_cmp(&b.value()));
        let (n_mistakes, n_right) = (mistakes.len(), right.len());
        mistakes.truncate(MAX_MISTAKES.max(MAX_PICTURES.saturating_sub(n_right)));
        right.truncate(MAX_PICTURES - mistakes.len());
        let rows = || mistakes.iter().chain(&right).map(|&(row, _)| row);
        let wanted: Vec<_> = rows()
            .map(|row| Wanted {
                path: &comparison.pictures[row],
                blake3: report.pictures[row].blake3,
            })
            .collect();
        let mut cards: Vec<_> = rows()
            .zip(thumbnails(root, &wanted))
            .map(|(row, thumbnail)| Card {
                row,
                label: comparison.labels[row],
                opinions: opinions(comparison, row).collect(),
                thumbnail,
            })
            .collect();
        let right = cards.split_off(mistakes.len());
        Self {
            mistakes: cards,
            right,
            n_mistakes,
            n_right,
        }
    }

    /// How many pictures of a cell of a head's confusion matrix are shown.
    pub(super) fn count(&self, head: usize, label: usize, predicted: usize) -> usize {
        let cards = self.mistakes.iter().chain(&self.right);
        cards
            .filter(|card| card.label == label && card.opinions[head].0 == predicted)
            .count()
    }

    /// Whether the picture of a row is shown.
    pub(super) fn shows(&self, row: usize) -> bool {
        let mut cards = self.mistakes.iter().chain(&self.right);
        cards.any(|card| card.row == row)
    }

    pub(super) fn section(&self, comparison: &Comparison) -> Markup {
        let (shown, n) = (
            self.mistakes.len() + self.right.len(),
            comparison.labels.len(),
        );
        html! {
            section #gallery {
                h2 { "Pictures" }
                @if shown < n {
                    p.warning {
                        "This page holds " (shown) " of the " (n) " judged pictures: "
                        (self.mistakes.len()) " of " (self.n_mistakes) " misclassified ones, the most confident "
                        "mistakes first, and the " (self.right.len()) " least sure of " (self.n_right)
                        " right ones. All are in predictions.csv."
                    }
                }
                p.filter {
                    span #filter role="status" tabindex="-1" { "All " (shown) " pictures are shown." }
                    button #everything type="button" hidden { "Show all (Esc)" }
                }
                h3 {
                    "Misclassified"
                    @if comparison.heads.len() > 1 { " by a head or both" }
                    ", most confident mistakes first"
                }
                (list(&self.mistakes, comparison, "No picture was misclassified."))
                h3 { "Classified right, least sure first" }
                (list(&self.right, comparison, "None."))
            }
        }
    }
}

/// How sure heads are of a picture.
#[derive(Clone, Copy)]
enum Sureness {
    /// Probability of the most confident mistake.
    Wrong(f32),
    /// Probability that the least sure head gives.
    Right(f32),
}

impl Sureness {
    fn value(self) -> f32 {
        match self {
            Self::Wrong(probability) | Self::Right(probability) => probability,
        }
    }
}

fn sureness(comparison: &Comparison, row: usize) -> Sureness {
    let label = comparison.labels[row];
    let wrong = opinions(comparison, row).filter(|&(predicted, _)| predicted != label);
    let wrong = wrong.map(|(_, probability)| probability).reduce(f32::max);
    let least = || {
        opinions(comparison, row)
            .map(|(_, p)| p)
            .fold(1.0, f32::min)
    };
    wrong.map_or_else(|| Sureness::Right(least()), Sureness::Wrong)
}

/// What each head takes a picture for, and how probable that is to it.
fn opinions(comparison: &Comparison, row: usize) -> impl Iterator<Item = (usize, f32)> {
    comparison.heads.iter().map(move |head| {
        let predicted = head.evaluation.predicted[row];
        (predicted, head.probabilities[[row, predicted]])
    })
}

fn list(cards: &[Card], comparison: &Comparison, nothing: &str) -> Markup {
    html! {
        @if cards.is_empty() { p.empty { (nothing) } }
        ul.cards {
            @for card in cards { (card.markup(comparison)) }
        }
    }
}

impl Card {
    fn markup(&self, comparison: &Comparison) -> Markup {
        let path = names::visible(&comparison.pictures[self.row]);
        let cell = |head: usize| {
            let (predicted, _) = self.opinions.get(head)?;
            Some(format!("{}-{predicted}", self.label))
        };
        html! {
            li.card id={ "picture-" (self.row) } tabindex="-1" data-h0=[cell(0)] data-h1=[cell(1)] {
                div.picture { (self.picture(&path)) }
                p.path title=(path) { bdi { (path) } }
                p.label { span.what { "label" } " " (names::class(self.label, &comparison.classes)) }
                @for (head, &opinion) in comparison.heads.iter().zip(&self.opinions) {
                    (self.opinion(head, opinion, &comparison.classes))
                }
            }
        }
    }

    fn picture(&self, path: &str) -> Markup {
        html! {
            @match &self.thumbnail {
                Thumbnail::Shown(Inline { uri, size: (width, height) }) => {
                    img src=(uri) alt=(path) width=(width) height=(height);
                }
                Thumbnail::Absent(reason) => {
                    span.absent { strong { "No picture" } br; (names::shortened(reason, 120)) }
                }
            }
        }
    }

    fn opinion(&self, head: &HeadResult, opinion: (usize, f32), classes: &[String]) -> Markup {
        let (predicted, probability) = opinion;
        let is_right = predicted == self.label;
        html! {
            p.opinion.wrong[!is_right] {
                span.what {
                    (if is_right { "✓ " } else { "✗ " })
                    span.unseen { (if is_right { "right: " } else { "wrong: " }) }
                    (names::head(head.name))
                }
                span.number { (super::probability(probability)) }
                (names::class(predicted, classes))
                svg.confidence viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" {
                    rect.all width="100" height="4" {}
                    rect.part width=(super::plot::rounded(100.0 * f64::from(probability))) height="4" {}
                }
            }
        }
    }
}
