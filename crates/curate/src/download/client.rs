//! A single request; the only module that uses the HTTP client.

use std::fmt;
use std::io::{self, Read};
use std::time::{Duration, SystemTime};

use ureq::http::{HeaderMap, StatusCode, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, Proxy};

use super::address::{AddressRule, HasCredentials, PrivateAddress, is_public};
use super::{DownloadOptions, Fate};
use cnn_codes::messages::one_line;

/// The longest time for a connection to be made; a reachable host answers sooner.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The default User-Agent: name and version of this program.
pub const USER_AGENT: &str = concat!("cnn-codes/", env!("CARGO_PKG_VERSION"));

/// A client for many threads.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    max_bytes: u64,
}

/// A complete answer of status 2xx with its body.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) bytes: Vec<u8>,
}

/// Why there is no such answer.
pub(super) struct Refusal {
    pub(super) fate: Fate,
    /// The status of the answer, if there was one.
    pub(super) status: Option<u16>,
    /// The reason, in one line.
    pub(super) reason: String,
    /// How long the server asks to wait.
    pub(super) retry_after: Option<Duration>,
}

impl Refusal {
    fn new(fate: Fate, status: Option<u16>, reason: impl ToString) -> Self {
        Self {
            fate,
            status,
            reason: one_line(&reason.to_string()),
            retry_after: None,
        }
    }
}

impl Client {
    pub(super) fn new(options: &DownloadOptions) -> Self {
        let is_allowed = if options.allow_private {
            |_| true
        } else {
            is_public
        };
        Self::with_rule(options, AddressRule::new(is_allowed), RootCerts::WebPki)
    }

    /// With the allowed addresses and the trusted certificate authorities.
    fn with_rule(options: &DownloadOptions, rule: AddressRule, trusted: RootCerts) -> Self {
        // Behind a proxy, the proxy resolves names, and addresses cannot be checked.
        let proxy = options.allow_private.then(Proxy::try_from_env).flatten();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(proxy)
            .tls_config(TlsConfig::builder().root_certs(trusted).build())
            .max_redirects(options.max_redirects)
            .user_agent(&options.user_agent)
            .accept("image/*, */*;q=0.5")
            .accept_encoding("identity")
            .timeout_global(Some(options.timeout))
            .timeout_connect(Some(options.timeout.min(CONNECT_TIMEOUT)))
            .max_idle_connections(options.jobs)
            .max_idle_connections_per_host(options.per_host)
            .build();
        Self {
            agent: Agent::with_parts(config, DefaultConnector::new(), rule),
            max_bytes: options.max_bytes,
        }
    }

    /// Requests `url`, follows redirects, and reads the whole answer.
    pub(super) fn get(&self, url: &str) -> Result<Answer, Refusal> {
        let answer = self.agent.get(url).call();
        let answer = answer.map_err(|error| refusal(error, None))?;
        let status = answer.status().as_u16();
        if !answer.status().is_success() {
            let reason = answer.status().to_string();
            let mut refusal = Refusal::new(Fate::of_status(status), Some(status), reason);
            refusal.retry_after = retry_after(answer.headers(), SystemTime::now());
            return Err(refusal);
        }
        if answer.status() == StatusCode::PARTIAL_CONTENT {
            let reason = "206 Partial Content: only a part came, and all was asked for";
            return Err(Refusal::new(Fate::BadResponse, Some(status), reason));
        }
        let bytes = self.read(answer.into_body(), status)?;
        Ok(Answer { status, bytes })
    }

    fn read(&self, mut body: Body, status: u16) -> Result<Vec<u8>, Refusal> {
        let too_large = |what: String| {
            let reason = format!("{what}, and {} are allowed", self.max_bytes);
            Refusal::new(Fate::TooLarge, Some(status), reason)
        };
        if let Some(length) = body.content_length().filter(|&n| n > self.max_bytes) {
            return Err(too_large(format!("the server announces {length} bytes")));
        }
        let mut bytes = Vec::new();
        // One byte more than allowed, to detect a longer body. The announced length is not trusted
        // for memory.
        let mut reader = body.as_reader().take(self.max_bytes.saturating_add(1));
        let read = reader.read_to_end(&mut bytes);
        read.map_err(|error| refusal(ureq::Error::from(error), Some(status)))?;
        if bytes.len() as u64 > self.max_bytes {
            return Err(too_large("there is more and more to come".to_owned()));
        }
        Ok(bytes)
    }

    /// Ends running requests on other threads, and refuses all further ones.
    pub(super) fn shut_down(&self) {
        self.agent.clone().shutdown();
    }
}

/// Whether the environment names a proxy. It is only used if private addresses are allowed.
#[must_use]
pub fn environment_has_proxy() -> bool {
    Proxy::try_from_env().is_some()
}

/// Converts an error of the client.
fn refusal(error: ureq::Error, status: Option<u16>) -> Refusal {
    use ureq::Error;

    let (fate, reason) = match error {
        Error::Timeout(_) => (
            Fate::TimedOut,
            "not done in the time that is allowed".to_owned(),
        ),
        Error::HostNotFound => (Fate::NoSuchHost, "the host's name is not known".to_owned()),
        Error::TooManyRedirects => {
            let reason = "redirected more often than is allowed";
            (Fate::TooManyRedirects, reason.to_owned())
        }
        Error::Rustls(error) => (Fate::Tls, unsafe_connection(&error)),
        Error::Tls(error) => (Fate::Tls, unsafe_connection(&error)),
        Error::Io(error) => from_io(&error, status),
        Error::Other(error) if error.is::<PrivateAddress>() => {
            (Fate::PrivateAddress, error.to_string())
        }
        Error::Other(error) if error.is::<HasCredentials>() => {
            (Fate::BadResponse, error.to_string())
        }
        Error::ConnectionFailed | Error::ConnectProxyFailed(_) => {
            (Fate::NoConnection, error.to_string())
        }
        error => (Fate::BadResponse, error.to_string()),
    };
    Refusal::new(fate, status, reason)
}

/// Converts a connection error, before or during an answer.
fn from_io(error: &io::Error, status: Option<u16>) -> (Fate, String) {
    let fate = match (error.kind(), status) {
        (io::ErrorKind::TimedOut, _) => Fate::TimedOut,
        (_, Some(_)) => return (Fate::CutOff, format!("the answer is cut off: {error}")),
        // The TLS library marks rejected certificates like this.
        (io::ErrorKind::InvalidData, None) => return (Fate::Tls, unsafe_connection(error)),
        _ => Fate::NoConnection,
    };
    (fate, error.to_string())
}

fn unsafe_connection(error: &dyn fmt::Display) -> String {
    format!("no safe connection comes about: {error}")
}

/// How long a server asks to wait: seconds, or the time until a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    // A date in the past allows a request at once.
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener};
    use std::path::Path;

    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ServerConfig, ServerConnection, Stream};
    use ureq::tls::Certificate;

    use super::*;

    #[test]
    fn a_server_says_how_long_to_wait_in_seconds_or_by_a_date() {
        // RFC 9110, 10.2.3 and 5.6.7; the date is 784111777 s after 1970 (RFC 9110's example).
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 100);
        let waits = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(waits("120"), Some(120));
        assert_eq!(waits("Sun, 06 Nov 1994 08:49:37 GMT"), Some(100));
        assert_eq!(waits("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(waits("soon"), None);
        assert_eq!(waits("-5"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    const OPTIONS: DownloadOptions = DownloadOptions {
        jobs: 1,
        per_host: 1,
        timeout: Duration::from_secs(60),
        retries: 0,
        retry_wait: Duration::ZERO,
        max_wait: Duration::ZERO,
        max_bytes: 1000,
        max_redirects: 5,
        user_agent: String::new(),
        allow_private: false,
        placeholder_at: 5,
        retry_all: false,
    };

    #[test]
    fn a_redirect_to_an_address_that_is_not_allowed_is_not_followed() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x.png", server.local_addr().unwrap());
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            let answer = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:9/x.png\r\n\
                          Content-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let rule = AddressRule::new(|address| address == Ipv4Addr::LOCALHOST);
        let client = Client::with_rule(&OPTIONS, rule, RootCerts::WebPki);
        let refusal = client.get(&url).err().unwrap();
        answering.join().unwrap();
        assert_eq!(refusal.fate, Fate::PrivateAddress);
        assert!(refusal.reason.contains("127.0.0.2"), "{}", refusal.reason);
    }

    /// A file of tests/fixtures/tls.
    fn fixture(name: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
        std::fs::read(folder.join(name)).unwrap()
    }

    /// Asks a server at `host` that shows the certificate of 127.0.0.1.
    fn ask_by_https(host: &str, trusted: RootCerts) -> Result<Answer, Refusal> {
        let chain = vec![CertificateDer::from(fixture("server.der"))];
        let key = PrivateKeyDer::try_from(fixture("server.key.der")).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut connection = ServerConnection::new(config.into()).unwrap();
            let mut tls = Stream::new(&mut connection, &mut stream);
            let answered = tls
                .read(&mut [0; 4096])
                .and_then(|_| tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbytes"));
            // The client hangs up where it does not trust.
            drop(answered);
        });
        let client = Client::with_rule(&OPTIONS, AddressRule::new(|_| true), trusted);
        client.get(&format!("https://{host}:{port}/"))
    }

    #[test]
    fn a_certificate_counts_only_if_a_trusted_authority_gave_it_for_this_host() {
        let authority = fixture("authority.der");
        let authority = Certificate::from_der(&authority).to_owned();
        let tests_authority = || RootCerts::new_with_certs(std::slice::from_ref(&authority));
        let answer = ask_by_https("127.0.0.1", tests_authority()).ok().unwrap();
        assert_eq!((answer.status, &*answer.bytes), (200, &b"bytes"[..]));

        let refused = |host, trusted| {
            let refusal = ask_by_https(host, trusted).err().unwrap();
            assert_eq!(refusal.fate, Fate::Tls, "{}", refusal.reason);
            refusal.reason
        };
        let reason = refused("127.0.0.1", RootCerts::WebPki);
        let expected = "no safe connection comes about: invalid peer certificate: UnknownIssuer";
        assert_eq!(reason, expected);
        let reason = refused("localhost", tests_authority());
        assert!(reason.contains("not valid for name"), "{reason}");
    }
}
