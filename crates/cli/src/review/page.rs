//! The page.

use axum::response::Response;
use maud::html;

use crate::web;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page. It has nothing of the pictures: these are asked for with the token.
pub async fn page() -> Response {
    let body = html! {
        header {
            h1 { "Which labels are wrong?" }
            p #about {}
            nav #parts aria-label="Pictures" {}
        }
        main {
            p #message role="alert" hidden {}
            section #judge hidden {
                p { strong { "These pictures judge the heads." } " A label that is changed here changes the judge: errors before \
                    and after are then not counted alike. Correct what is surely wrong, whatever the heads say of it." }
                label { input #purpose type="checkbox"; " Change labels of pictures that judge" }
            }
            section #look hidden {
                div #picture { img #large alt=""; p #nopicture .note hidden {} }
                div #decide {
                    p #place .note {}
                    p #why {}
                    p #path .name {}
                    p { "Label: " strong #label {} " " span #said .flag {} }
                    div #classes .buttons {}
                    div .buttons {
                        button #keep type="button" { "Keep " kbd { "Enter" } }
                        button #aside type="button" { "Set aside " kbd { "X" } }
                        button #undo type="button" { "Undo " kbd { "U" } }
                    }
                    div .buttons {
                        button #previous type="button" { kbd { "←" } " Back" }
                        button #following type="button" { "Next " kbd { "→" } }
                        button #big type="button" { "Large " kbd { "B" } }
                    }
                    h2 { "Nearest training pictures" }
                    ol #neighbours {}
                }
            }
            p #nothing hidden {}
            section #coming hidden { h2 { "In the queue" } ol #queue {} }
            section #training {
                h2 { "Train again" }
                p #changes {}
                div .buttons { button #train type="button" { "Train again" } }
                p #stage role="status" aria-live="polite" {}
                progress #progress .bar hidden {}
                div #tablebox tabindex="0" role="region" aria-label="What trainings changed" { table #rounds hidden {
                    caption { "Errors before and after. Out of fold: two logistic regressions in the same folds, judged by the \
                               corrected labels." }
                    thead { tr {
                        th scope="col" { "Labels" }
                        th scope="col" { "Before, by the old labels" }
                        th scope="col" { "Before" }
                        th scope="col" { "After" }
                        th scope="col" { "Better with probability" }
                        th scope="col" { "On the validation set" }
                    } }
                    tbody {}
                } }
                p #verdict .note {}
            }
            noscript { p { "This page needs its script. Labels can be corrected in relabel.csv as well." } }
        }
        dialog #zoom aria-label="The picture, large" { img #zoomed alt=""; }
    };
    web::page::page("Review", &body)
}

/// Its script.
pub async fn script() -> Response {
    web::page::script(SCRIPT)
}

/// Its style.
pub async fn style() -> Response {
    web::page::style(STYLE)
}
