//! Pages, their styles and scripts, and what they are allowed.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

/// Colours, letters and buttons of all pages.
const STYLE: &str = include_str!("style.css");
/// Nothing but what this server itself sends, and pictures that the user chose, or that the page made of answers.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

const SAFE: [(HeaderName, HeaderValue); 2] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
];

/// A page with `style.css` and `app.js` beside it.
pub fn page(title: &str, body: &Markup) -> Response {
    let text = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " - cnn-codes" }
                link rel="stylesheet" href="style.css";
                script src="app.js" defer {}
            }
            body { (body) }
        }
    };
    let policy = [(header::CONTENT_SECURITY_POLICY, POLICY)];
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (SAFE, policy, kind, text.into_string()).into_response()
}

/// There is no icon, and browsers ask for one.
pub async fn icon() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// A page's script.
pub fn script(text: &'static str) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (SAFE, kind, text).into_response()
}

/// A page's own style, after that of all pages.
pub fn style(own: &str) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    (SAFE, kind, format!("{STYLE}{own}")).into_response()
}
