//! Who may ask: who knows the token of the printed address.

use anyhow::anyhow;
use axum::http::{HeaderMap, header};

/// Bytes of a token.
const BYTES: usize = 16;

/// A random token. Other users of this machine reach the server too, and do not know it.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    pub fn random() -> anyhow::Result<Self> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(|error| anyhow!("no random numbers: {error}"))?;
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        Ok(Self(digits.collect()))
    }

    /// 32 hexadecimal digits.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether a request has it: `Authorization: Bearer TOKEN`.
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION);
        let given = given.and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer "));
        // Hashes are compared in a time that tells nothing.
        given.is_some_and(|given| {
            blake3::hash(given.trim().as_bytes()) == blake3::hash(self.0.as_bytes())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_alone_opens() {
        let token = Token::random().unwrap();
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            token.is_in(&headers)
        };
        assert!(with(&format!("Bearer {}", token.text())));
        assert!(!with(token.text()));
        assert!(!with("Bearer "));
        assert!(!with(&format!("Bearer {}", &token.text()[1..])));
        assert!(!token.is_in(&HeaderMap::new()));
        assert_ne!(token.text(), Token::random().unwrap().text());
    }
}
