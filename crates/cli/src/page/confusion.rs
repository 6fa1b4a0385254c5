//! Confusion matrices, whose cells choose what the gallery shows.

use maud::{Markup, html};

use super::gallery::Gallery;
use super::names;
use cnn_codes::train::{Comparison, HeadResult};

/// Most classes whose matrix is drawn; of more, the most frequent confusions are listed.
const MAX_CLASSES: usize = 40;

/// Confusions that are listed.
const MAX_LISTED: usize = 50;

/// Characters of a class's name at a matrix.
const NAME_LENGTH: usize = 24;

/// One cell: label, prediction, and how many pictures.
type Cell = (usize, usize, usize);

pub(super) fn section(comparison: &Comparison, gallery: &Gallery) -> Markup {
    html! {
        section #confusion {
            h2 { "Confusion matrix" }
            p { "A row for each label, a column for each prediction. A number shows its pictures below." }
            div.plots {
                @for (index, head) in comparison.heads.iter().enumerate() {
                    figure {
                        figcaption { (names::capitalised(names::head(head.name))) }
                        @if comparison.classes.len() <= MAX_CLASSES {
                            (matrix(comparison, index, head, gallery))
                        } @else {
                            (list(comparison, index, head, gallery))
                        }
                    }
                }
            }
        }
    }
}

fn matrix(comparison: &Comparison, index: usize, head: &HeadResult, gallery: &Gallery) -> Markup {
    let classes = &comparison.classes;
    html! {
        div.scroll tabindex="0" role="region" aria-label={ "Confusion matrix of the " (names::head(head.name)) } {
            table.confusion {
                thead {
                    tr {
                        td { span.unseen { "label, prediction" } }
                        @for class in classes {
                            th scope="col" title=(names::visible(class)) {
                                span { bdi { (names::shortened(class, NAME_LENGTH)) } }
                            }
                        }
                    }
                }
                tbody {
                    @for (label, counts) in head.evaluation.confusion.rows().into_iter().enumerate() {
                        @let support = counts.sum();
                        tr {
                            th scope="row" title=(names::visible(&classes[label])) {
                                bdi { (names::shortened(&classes[label], NAME_LENGTH)) }
                            }
                            @for (predicted, &n) in counts.iter().enumerate() {
                                td class=(shade(label == predicted, n, support)) {
                                    @if n == 0 { "0" } @else {
                                        (link(comparison, index, (label, predicted, n), gallery))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// How strongly a cell is coloured: by its share of the label's pictures, in fifths.
fn shade(is_right: bool, n: usize, support: usize) -> String {
    if n == 0 {
        return "zero".to_owned();
    }
    let fifth = (5 * n).div_ceil(support.max(1));
    format!("{} s{fifth}", if is_right { "right" } else { "wrong" })
}

/// The number of a cell, which leads to its pictures.
fn link(comparison: &Comparison, index: usize, cell: Cell, gallery: &Gallery) -> Markup {
    let (label, predicted, n) = cell;
    let name = names::head(comparison.heads[index].name);
    let of = |class: usize| names::shortened(&comparison.classes[class], 60);
    let shown = gallery.count(index, label, predicted);
    let words = format!(
        "label {}, {name}'s prediction {}: {}",
        of(label),
        of(predicted),
        names::pictures(n)
    );
    let words = if shown < n {
        format!("{words}, {shown} of them in this page")
    } else {
        words
    };
    html! {
        a href="#gallery" data-head=(index) data-cell={ (label) "-" (predicted) } data-words=(words)
            aria-label=(words) title=(words) { (n) }
    }
}

/// The most frequent confusions.
fn list(comparison: &Comparison, index: usize, head: &HeadResult, gallery: &Gallery) -> Markup {
    let confusion = &head.evaluation.confusion;
    let mut cells: Vec<Cell> = confusion
        .indexed_iter()
        .filter(|&((label, predicted), &n)| label != predicted && n > 0)
        .map(|((label, predicted), &n)| (label, predicted, n))
        .collect();
    cells.sort_by_key(|&(label, predicted, n)| (std::cmp::Reverse(n), label, predicted));
    let n_cells = cells.len();
    cells.truncate(MAX_LISTED);
    html! {
        p.note {
            "The matrix of " (comparison.classes.len()) " classes is too large to be drawn: these are the "
            (cells.len()) " most frequent of " (n_cells) " kinds of confusion."
        }
        div.scroll tabindex="0" role="region" aria-label={ "Confusions of the " (names::head(head.name)) } {
            table {
                thead { tr {
                    th scope="col" { "Label" } th scope="col" { "Prediction" } th scope="col" { "Pictures" }
                } }
                tbody {
                    @for cell in cells {
                        tr {
                            td { (names::class(cell.0, &comparison.classes)) }
                            td { (names::class(cell.1, &comparison.classes)) }
                            td.number { (link(comparison, index, cell, gallery)) }
                        }
                    }
                }
            }
        }
    }
}
