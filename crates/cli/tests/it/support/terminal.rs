//! The program on a terminal, where it shows how far it is.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A run of the program on a terminal that `script` of util-linux makes. Its stdout is a file.
pub struct OnTerminal {
    script: Child,
    terminal: BufReader<ChildStdout>,
    /// The program's process.
    id: String,
    /// What the terminal has shown so far.
    shown: String,
    stdout: PathBuf,
}

/// What a run left when it ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    /// What the terminal showed, with all states of the progress bar.
    pub terminal: String,
}

impl OnTerminal {
    /// Starts the program in `folder`. The arguments have no quotes in them.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let program = assert_cmd::cargo::cargo_bin!("cnn-codes").display();
        let arguments = arguments.join("' '");
        // The shell tells its number, and becomes the program.
        let line = format!("echo $$; exec '{program}' '{arguments}' > stdout.txt");
        let mut command = Command::new("script");
        let mut script = super::with_hangups(&mut command)
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut terminal = BufReader::new(script.stdout.take().unwrap());
        let mut id = String::new();
        terminal.read_line(&mut id).unwrap();
        Self {
            script,
            terminal,
            id: id.trim().to_owned(),
            shown: String::new(),
            stdout: folder.join("stdout.txt"),
        }
    }

    /// Waits until the terminal has shown `text`.
    pub fn wait_for(&mut self, text: &str) {
        while !self.shown.contains(text) {
            let piece = self.terminal.fill_buf().unwrap();
            assert!(!piece.is_empty(), "it ended: {}", self.shown);
            self.shown += &String::from_utf8_lossy(piece);
            let n_bytes = piece.len();
            self.terminal.consume(n_bytes);
        }
    }

    /// Sends a signal, as `-INT`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.id]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for the end.
    pub fn end(mut self) -> Ended {
        let mut rest = Vec::new();
        self.terminal.read_to_end(&mut rest).unwrap();
        Ended {
            code: self.script.wait().unwrap().code(),
            stdout: std::fs::read_to_string(self.stdout).unwrap(),
            terminal: self.shown + &String::from_utf8_lossy(&rest),
        }
    }
}
