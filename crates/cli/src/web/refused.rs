//! What is said to a client whose request is not answered.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// When a client may try again, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// A status, and a sentence, as JSON.
#[derive(Debug)]
pub struct Refused {
    status: StatusCode,
    error: String,
}

/// A refusal.
pub fn refused(status: StatusCode, error: impl Into<String>) -> Refused {
    Refused {
        status,
        error: error.into(),
    }
}

/// As many pictures wait as may.
pub fn busy() -> Refused {
    let error = "as many pictures wait as may; try again in a second";
    refused(StatusCode::SERVICE_UNAVAILABLE, error)
}

/// The request is wrong.
pub fn wrong(error: impl Into<String>) -> Refused {
    refused(StatusCode::BAD_REQUEST, error)
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = json_of(self.status, json!({ "error": self.error }).to_string());
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

/// A document of JSON.
pub fn json_of(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}
