//! What can become of a URL.

use serde::{Deserialize, Serialize};

use cnn_codes::named;

/// What became of a row: the column `status` of results.csv.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// A picture that `extract-features` can use lies in the label's folder.
    Ok,
    /// A picture, but the same bytes came from many URLs: what a server gives for one that is gone.
    Placeholder,
    /// A picture, but the same bytes came under another label too.
    Contradiction,
    /// The label cannot be a folder's name; nothing was fetched.
    BadLabel,
    /// The URL cannot be fetched by http or https; nothing was.
    BadUrl,
    /// The host is not on the public internet.
    PrivateAddress,
    /// The host's name does not resolve.
    NoSuchHost,
    /// The host could not be connected to, or closed before it answered.
    NoConnection,
    /// The answer was not whole in time.
    TimedOut,
    /// The answer ended before its end.
    CutOff,
    /// No safe connection: a certificate that has run out, is of another host, or is not trusted.
    Tls,
    /// What came is not http, or not to be understood.
    BadResponse,
    /// Redirected too often.
    TooManyRedirects,
    /// The server asks for less haste (429, 503).
    Throttled,
    /// The server failed (408, 425, and 5xx but 501, 503 and 505).
    ServerError,
    /// The server said no: 404, 403, and so on.
    HttpError,
    /// More bytes than are allowed.
    TooLarge,
    /// What came is no picture that could be decoded.
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
    /// Whether another attempt may end better, in this run or in the next.
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

    /// Whether a picture was had, whatever became of it then.
    pub(super) fn is_picture(self) -> bool {
        matches!(self, Self::Ok | Self::Placeholder | Self::Contradiction)
    }

    /// Whether the next run leaves a URL of this fate alone.
    pub(super) fn is_settled(self) -> bool {
        // A private address depends on an option, and asking again costs no request.
        !self.is_transient() && self != Self::PrivateAddress && self != Self::NotTried
    }

    /// The fate of an answer by its status, where that is not a success.
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
