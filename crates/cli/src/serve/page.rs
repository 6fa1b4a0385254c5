//! The page: drop, paste or choose pictures, and see their classes.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, html};

use super::routes::Served;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Nothing but what this server itself sends, and pictures that the user chose.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page.
pub async fn page(State(served): State<Arc<Served>>) -> Response {
    let classifier = served.worker.classifier();
    let classes = classifier.classes().join(", ");
    let text = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (served.name) " - cnn-codes" }
                link rel="stylesheet" href="style.css";
                script src="app.js" defer {}
            }
            body {
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
            }
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text.into_string()).into_response()
}

/// Its script.
pub async fn script() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, SCRIPT).into_response()
}

/// Its style.
pub async fn style() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, STYLE).into_response()
}
