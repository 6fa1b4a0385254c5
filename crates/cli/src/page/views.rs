//! What views of the pictures brought.

use cnn_codes::train::Comparison;
use maud::{Markup, html};

use super::names;

pub(super) fn section(comparison: &Comparison) -> Markup {
    let Some(views) = &comparison.views else {
        return html! {};
    };
    html! {
        section #views {
            h2 { "What the views brought" }
            p { (names::capitalised(&views.heading())) }
            ul {
                @for head in &views.heads { li { (names::typographic(&head.sentence())) } }
            }
        }
    }
}
