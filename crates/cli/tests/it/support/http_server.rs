//! A server on loopback that does what servers ought not to, on std's sockets alone.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use image::{ImageFormat, Rgb, RgbImage};

/// What came in and what goes on.
#[derive(Default)]
struct State {
    /// How often each path was asked for.
    hits: HashMap<String, usize>,
    /// Requests that are being answered, and the most that there were.
    n_active: usize,
    max_active: usize,
    /// The header lines of the last request.
    headers: Vec<String>,
    /// What pictures are asked for is put off for so long.
    delay: Duration,
}

/// A server that lives as long as the test binary.
pub struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || {
                    // A client that goes away is the client's affair.
                    let _ = serve(&stream, &state);
                });
            }
        });
        Self { address, state }
    }

    /// With the time that it takes to answer.
    pub fn start_slow(delay: Duration) -> Self {
        let server = Self::start();
        server.state.lock().unwrap().delay = delay;
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn hits(&self, path: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.hits.get(path).copied().unwrap_or(0)
    }

    pub fn all_hits(&self) -> usize {
        self.state.lock().unwrap().hits.values().sum()
    }

    pub fn max_active(&self) -> usize {
        self.state.lock().unwrap().max_active
    }

    pub fn last_headers(&self) -> Vec<String> {
        self.state.lock().unwrap().headers.clone()
    }
}

/// A PNG of 6 x 4 pixels that no other `seed` has.
pub fn picture(seed: &str) -> Vec<u8> {
    encoded(seed, ImageFormat::Png)
}

fn encoded(seed: &str, format: ImageFormat) -> Vec<u8> {
    let hash = blake3::hash(seed.as_bytes());
    let picture = RgbImage::from_fn(6, 4, |x, y| {
        let byte = hash.as_bytes()[(x + 6 * y) as usize];
        Rgb([byte, byte ^ 0x55, byte.wrapping_mul(3)])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn serve(stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let headers: Vec<_> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let (n, delay) = {
        let mut state = state.lock().unwrap();
        state.headers = headers;
        state.n_active += 1;
        state.max_active = state.max_active.max(state.n_active);
        let n = state.hits.entry(path.clone()).or_insert(0);
        *n += 1;
        (*n, state.delay)
    };
    thread::sleep(delay);
    // Counted as gone before the last byte is: the client's next request may be here at once.
    let answer = answer(&path, n);
    state.lock().unwrap().n_active -= 1;
    let mut stream = stream;
    match answer {
        Answer::Whole(bytes) => stream.write_all(&bytes),
        Answer::Stall(bytes) => {
            stream.write_all(&bytes)?;
            stream.flush()?;
            thread::sleep(Duration::from_secs(30));
            Ok(())
        }
        Answer::Endless(bytes) => {
            stream.write_all(&bytes)?;
            loop {
                stream.write_all(&[b'x'; 4096])?;
            }
        }
    }
}

enum Answer {
    Whole(Vec<u8>),
    /// And then nothing, with the connection open.
    Stall(Vec<u8>),
    /// And then more and more.
    Endless(Vec<u8>),
}

fn answer(path: &str, n: usize) -> Answer {
    let (kind, name) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let png = picture(name);
    let half = &png[..png.len() / 2];
    let whole = |status: &str, more: &str, body: &[u8]| {
        let mut bytes = head(status, more, body.len());
        bytes.extend(body);
        Answer::Whole(bytes)
    };
    let ok = || whole("200 OK", "", &png);
    match kind {
        "png" => ok(),
        "jpg" => whole("200 OK", "", &encoded(name, ImageFormat::Bmp)),
        "same" => whole("200 OK", "", &picture("gone")),
        "copy" => whole("200 OK", "", &picture(name.split('/').next().unwrap())),
        "to" => whole("302 Found", &format!("Location: /{name}\r\n"), b""),
        "out" => whole("302 Found", "Location: ftp://127.0.0.1/x.png\r\n", b""),
        // A redirect with a password; the name is the host, and the path on it.
        "login" => whole(
            "302 Found",
            &format!("Location: http://me:word@{name}\r\n"),
            b"",
        ),
        "part" => whole("206 Partial Content", "", &png),
        "rude" => whole("404 \x1b[2J\x1b]0;owned\x07", "", b""),
        "loop" => whole("302 Found", &format!("Location: {path}\r\n"), b""),
        "silent" => Answer::Stall(Vec::new()),
        "stall" => Answer::Stall([&head("200 OK", "", png.len())[..], half].concat()),
        "cut" => Answer::Whole([&head("200 OK", "", png.len())[..], half].concat()),
        "hang-up" => Answer::Whole(Vec::new()),
        "short" => Answer::Whole([&head("200 OK", "", half.len())[..], &png].concat()),
        "type" => whole("200 OK", "Content-Type: text/html\r\n", &png),
        "page" => whole(
            "200 OK",
            "Content-Type: image/png\r\n",
            b"<html>gone</html>",
        ),
        "empty" => whole("200 OK", "Content-Type: image/png\r\n", b""),
        "huge" => Answer::Stall(head("200 OK", "", usize::MAX / 2)),
        "endless" => Answer::Endless(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec()),
        "garbage" => Answer::Whole(b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec()),
        "once" if n == 1 => whole("503 Service Unavailable", "", b""),
        "throttle" if n == 1 => whole("429 Too Many Requests", "Retry-After: 1\r\n", b""),
        "patient" if n == 1 => whole("429 Too Many Requests", "Retry-After: 99999\r\n", b""),
        "once" | "throttle" | "patient" => ok(),
        "down" => whole("500 Internal Server Error", "", b""),
        _ => whole("404 Not Found", "", b"no such picture"),
    }
}

fn head(status: &str, more: &str, length: usize) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n")
        .into_bytes()
}
