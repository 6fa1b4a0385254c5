//! Connections: how many, how long, and from whom.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::refused::refused;

/// Connections at a time, where the system lets a process have so many files; others wait in its queue. An idle one
/// takes some 20 KB, and stays for [`HEADER_TIME`].
const MOST_CONNECTIONS: usize = 16_384;
/// Files that are open besides connections: the trunk, the head, this and that.
const OTHER_FILES: usize = 64;
/// How long a client may take for the head of a request, which is how long an idle connection stays.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const HEADER_BYTES: usize = 64 * 1024;
/// How long requests that are at work may take once the server is to end.
const LAST_REQUESTS: Duration = Duration::from_secs(30);
/// How long the server waits where the system has no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(50);

/// Answers connections until `ends` is done, and then what was begun.
pub async fn serve(listener: TcpListener, routes: Router, ends: impl Future<Output = ()>) {
    let room = Arc::new(Semaphore::new(most_connections()));
    let graceful = GracefulShutdown::new();
    let mut connections = http1::Builder::new();
    connections
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES);
    let mut ends = std::pin::pin!(ends);
    loop {
        let next = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            next = next => next,
            () = &mut ends => break,
        };
        let Ok((stream, _)) = accepted else {
            // Too many files are open, or the client is gone already.
            tokio::time::sleep(NO_ROOM).await;
            continue;
        };
        let service = TowerToHyperService::new(routes.clone());
        let connection =
            graceful.watch(connections.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // What a client breaks off is no error of the server's.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(LAST_REQUESTS, graceful.shutdown()).await;
}

/// As many as the system allows, up to [`MOST_CONNECTIONS`].
#[cfg(unix)]
fn most_connections() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = (MOST_CONNECTIONS + OTHER_FILES) as u64;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let possible = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if current.is_some_and(|current| current < possible) {
        let more = Rlimit {
            current: Some(possible),
            maximum,
        };
        // Where it is refused, there are as many as before.
        let _ = setrlimit(Resource::Nofile, more);
    }
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(wanted);
    let allowed = usize::try_from(allowed).unwrap_or(MOST_CONNECTIONS);
    allowed
        .saturating_sub(OTHER_FILES)
        .clamp(1, MOST_CONNECTIONS)
}

#[cfg(not(unix))]
fn most_connections() -> usize {
    MOST_CONNECTIONS
}

/// The names by which this server may be called. A page of another site that makes its own name lead here (DNS
/// rebinding) calls it by that name.
#[derive(Clone)]
pub struct Names(Arc<HashSet<String>>);

impl Names {
    /// Those of an address: loopback's, and what was given to listen on.
    pub fn of(address: SocketAddr, given: Option<&str>) -> Self {
        let port = address.port();
        let mut hosts = vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "[::1]".to_owned(),
        ];
        if !address.ip().is_unspecified() {
            hosts.push(match address {
                SocketAddr::V4(address) => address.ip().to_string(),
                SocketAddr::V6(address) => format!("[{}]", address.ip()),
            });
        }
        hosts.extend(given.map(str::to_lowercase));
        let with_port = hosts.iter().map(|host| format!("{host}:{port}"));
        let mut names: HashSet<_> = with_port.collect();
        if port == 80 {
            names.extend(hosts);
        }
        Self(Arc::new(names))
    }

    /// Whether a request's Host is one of them, and its Origin, where it has one, is this server's own.
    fn allow(&self, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(header::HOST).map(str::to_lowercase);
        if !host.is_some_and(|host| self.0.contains(&host)) {
            return false;
        }
        match headers.get(header::ORIGIN) {
            None => true,
            Some(_) => text(header::ORIGIN)
                .and_then(|origin| origin.strip_prefix("http://"))
                .is_some_and(|host| self.0.contains(&host.to_lowercase())),
        }
    }
}

/// The routes, for clients that call this server by its own name.
pub fn guarded(routes: Router, names: Names) -> Router {
    routes.layer(from_fn_with_state(names, guard))
}

async fn guard(State(names): State<Names>, request: Request, next: Next) -> Response {
    if names.allow(request.headers()) {
        return next.run(request).await;
    }
    refused(
        StatusCode::FORBIDDEN,
        "this server answers to its own name alone: a Host or an Origin of another site was refused \
         (--name adds a name)",
    )
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(pairs: &[(&str, &str)]) -> bool {
        let names = Names::of("127.0.0.1:8000".parse().unwrap(), Some("Demo.example"));
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(
                header::HeaderName::try_from(*name).unwrap(),
                value.parse().unwrap(),
            );
        }
        names.allow(&headers)
    }

    #[test]
    fn only_its_own_names_are_answered() {
        for host in [
            "127.0.0.1:8000",
            "LOCALHOST:8000",
            "[::1]:8000",
            "demo.example:8000",
        ] {
            assert!(allows(&[("host", host)]), "{host}");
        }
        for host in [
            "evil.example:8000",
            "127.0.0.1",
            "127.0.0.1:80",
            "localhost:8000.evil.example",
            "",
        ] {
            assert!(!allows(&[("host", host)]), "{host}");
        }
        assert!(!allows(&[]));
        let here = ("host", "localhost:8000");
        assert!(allows(&[here, ("origin", "http://localhost:8000")]));
        for origin in [
            "http://evil.example",
            "https://localhost:8000",
            "null",
            "http://localhost:8001",
        ] {
            assert!(!allows(&[here, ("origin", origin)]), "{origin}");
        }
    }
}
