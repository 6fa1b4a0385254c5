//! The possible fates of a URL.

use serde::{Deserialize, Serialize};

use cnn_codes::named;

/// The fate of a row: the column `status` of results.csv.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The picture is in the label's folder, and `extract-features` can use it.
    Ok,
    /// A picture, but the same bytes came from many URLs: a server's placeholder for removed
    /// pictures.
    Placeholder,
    /// A picture, but the same bytes also came under another label.
    Contradiction,
    /// The label cannot be a folder's name; nothing was requested.
    BadLabel,
    /// The URL is not of http or https; nothing was requested.
    BadUrl,
    /// The host is not on the public internet.
    PrivateAddress,
    /// The host's name does not resolve.
    NoSuchHost,
    /// The host could not be connected to, or closed the connection before it answered.
    NoConnection,
    /// The answer was not complete in time.
    TimedOut,
    /// The answer ended early.
    CutOff,
    /// No safe connection: a certificate is expired, belongs to another host, or is not trusted.
    Tls,
    /// The answer is not valid HTTP.
    BadResponse,
    /// Too many redirects.
    TooManyRedirects,
    /// The server asks for fewer requests (429, 503).
    Throttled,
    /// The server failed (408, 425, and 5xx except 501, 503 and 505).
    ServerError,
    /// The server refused: 404, 403, and so on.
    HttpError,
    /// The answer is larger than allowed.
    TooLarge,
    /// The answer could not be decoded as a picture.
    NotAPicture,
    /// The run was stopped before its turn.
    NotTried,
}

named!(Fate, "status",
    Ok => "ok",
    Placeholder => "placeholder",
    Contradiction => "contradiction",
    BadLabel => "bad_label",
    BadUrl => "bad_url",
    PrivateAddress => "private_address",
    NoSuchHost => "no_such_host",
    NoConnection => "no_connection",
    TimedOut => "timed_out",
    CutOff => "cut_off",
    Tls => "tls",
    BadResponse => "bad_response",
    TooManyRedirects => "too_many_redirects",
    Throttled => "throttled",
    ServerError => "server_error",
    HttpError => "http_error",
    TooLarge => "too_large",
    NotAPicture => "not_a_picture",
    NotTried => "not_tried",
);

impl Fate {
    /// Whether another attempt may succeed, in this run or in the next.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::NoSuchHost
                | Self::NoConnection
                | Self::TimedOut
                | Self::CutOff
                | Self::Throttled
                | Self::ServerError
        )
    }

    /// Whether a picture was received, whatever happened to it.
    pub(super) fn is_picture(self) -> bool {
        matches!(self, Self::Ok | Self::Placeholder | Self::Contradiction)
    }

    /// Whether the next run skips a URL with this fate.
    pub(super) fn is_settled(self) -> bool {
        // A private address depends on an option, and checking again costs no request.
        !self.is_transient() && self != Self::PrivateAddress && self != Self::NotTried
    }

    /// The fate for the status of an unsuccessful answer.
    pub(super) fn of_status(status: u16) -> Self {
        match status {
            429 | 503 => Self::Throttled,
            408 | 425 | 500 | 502 | 504 | 506..=599 => Self::ServerError,
            _ => Self::HttpError,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_spells_every_fate_as_the_table_does() {
        for name in Fate::NAMES {
            let fate: Fate = name.parse().unwrap();
            assert_eq!(serde_json::to_string(&fate).unwrap(), format!("\"{name}\""));
        }
    }

    #[test]
    fn haste_and_failing_servers_pass_and_refusals_stay() {
        for status in [408, 425, 429, 500, 502, 503, 504, 520, 599] {
            assert!(Fate::of_status(status).is_transient(), "{status}");
        }
        for status in [300, 304, 400, 401, 403, 404, 410, 451, 501, 505] {
            assert!(Fate::of_status(status).is_settled(), "{status}");
        }
    }
}
