//! The page: drop, paste or choose pictures, and see their classes.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::html;

use super::routes::Served;
use crate::web;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page.
pub async fn page(State(served): State<Arc<Served>>) -> Response {
    let classifier = served.worker.classifier();
    let classes = classifier.classes().join(", ");
    let body = html! {
                header {
                    h1 { "What is on your pictures?" }
                    p { "The head " bdi { (served.name) } " (" (classifier.name()) ") knows "
                        (classifier.classes().len()) " classes: " bdi { (classes) } "." }
                }
                main {
                    section id="drop" aria-label="Pictures" {
                        p { strong { "Drop pictures or folders here" } ", paste a picture, or choose:" }
                        p.buttons {
                            label.button { "Pictures" input id="files" type="file" accept="image/*" multiple; }
                            label.button { "A folder" input id="folder" type="file" webkitdirectory; }
                        }
                        p.note { "They go to this server, and are not kept." }
                    }
                    p id="status" role="status" aria-live="polite" {}
                    section id="results" hidden {
                        div.buttons {
                            h2 { "Results" }
                            button id="save" type="button" { "Save as CSV" }
                            button id="clear" type="button" { "Clear" }
                        }
                        ol id="list" {}
                    }
                    noscript { p { "This page needs its script. Without it: "
                        code { "curl -T new.jpg http://ADDRESS/predict" } } }
                }
    };
    web::page::page(&served.name, &body)
}

/// Its script.
pub async fn script() -> Response {
    web::page::script(SCRIPT)
}

/// Its style.
pub async fn style() -> Response {
    web::page::style(STYLE)
}
