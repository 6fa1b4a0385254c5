//! A server of the program, and clients that send it bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

/// A verb that listens, and says where on its first line.
pub struct Listening {
    pub process: Child,
    pub port: u16,
    /// What it prints first.
    pub line: String,
}

impl Listening {
    /// Runs the program with these words in a folder, and waits for its address.
    pub fn start(folder: &Path, words: &[&str]) -> Self {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("cnn-codes"));
        command
            .current_dir(folder)
            .env("CNN_CODES_MODELS", super::models())
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line
            .strip_prefix("http://127.0.0.1:")
            .and_then(|rest| rest.split('/').next()?.parse().ok());
        let port = port.unwrap_or_else(|| {
            let mut said = String::new();
            let _ = process.stderr.take().unwrap().read_to_string(&mut said);
            panic!("{line:?} {said}")
        });
        Self {
            process,
            port,
            line: line.trim_end().to_owned(),
        }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }

    /// The status, the head and the body of what is answered to these bytes.
    pub fn raw(&self, request: &[u8]) -> (u16, String, Vec<u8>) {
        let mut stream = self.connect();
        // A server that has seen enough may close before all is sent.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("{:?}", String::from_utf8_lossy(&answer)));
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head, answer[end + 4..].to_vec())
    }

    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> (u16, String, Vec<u8>) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            self.port,
            body.len()
        );
        self.raw(&[head.as_bytes(), body].concat())
    }

    pub fn json(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, Value) {
        let (status, _, body) = self.request(method, path, headers, body);
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// Ends it with SIGTERM; its exit code, and what it said.
    #[cfg(unix)]
    pub fn end(mut self) -> (Option<i32>, String) {
        let pid = i32::try_from(self.process.id()).unwrap();
        // SAFETY: kill takes numbers alone, and the process is our child that was not waited for.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        let code = self.process.wait().unwrap().code();
        let mut said = String::new();
        let mut stderr = self.process.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        (code, said)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
