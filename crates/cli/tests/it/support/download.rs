//! A list to download from, the command that does, and what it leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::http_server::picture;

/// A folder with a list to download from.
pub struct Place {
    pub folder: tempfile::TempDir,
}

impl Place {
    /// With a list of these rows, each a URL and a label.
    pub fn new<T: AsRef<str>>(rows: &[(T, &str)]) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        place.list(rows);
        place
    }

    pub fn list<T: AsRef<str>>(&self, rows: &[(T, &str)]) {
        let mut csv = String::from("url,label\n");
        for (url, label) in rows {
            csv += &format!("{},{label}\n", url.as_ref());
        }
        fs::write(self.folder.path().join("urls.csv"), csv).unwrap();
    }

    pub fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    pub fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("cnn-codes"));
        command.current_dir(self.folder.path());
        for proxy in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
            command.env_remove(proxy).env_remove(proxy.to_lowercase());
        }
        command.args(["download", "urls.csv", "--out", "out"]);
        command.args(["--retry-wait", "0.01"]);
        command.args(more);
        command
    }

    /// Runs with private addresses allowed; exit code, stdout, stderr.
    pub fn run(&self, more: &[&str]) -> (Option<i32>, String, String) {
        end(self.start(more))
    }

    pub fn start(&self, more: &[&str]) -> Child {
        let mut command = self.command(more);
        command.arg("--allow-private");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    pub fn results(&self) -> Vec<BTreeMap<String, String>> {
        let mut reader = csv::Reader::from_path(self.out().join("results.csv")).unwrap();
        reader.deserialize().map(Result::unwrap).collect()
    }

    /// A column of results.csv.
    pub fn column(&self, name: &str) -> Vec<String> {
        let rows = self.results().into_iter();
        rows.map(|mut row| row.remove(name).unwrap()).collect()
    }

    /// Files in the folders of labels, as `label/name`.
    pub fn pictures(&self) -> Vec<String> {
        let mut names = Vec::new();
        for folder in fs::read_dir(self.out()).unwrap().flatten() {
            let label = folder.file_name().into_string().unwrap();
            if label.starts_with('.') || folder.path().is_file() {
                continue;
            }
            for file in fs::read_dir(folder.path()).unwrap().flatten() {
                let name = file.file_name().into_string().unwrap();
                names.push(format!("{label}/{name}"));
            }
        }
        names.sort();
        names
    }
}

pub fn end(child: Child) -> (Option<i32>, String, String) {
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Where the picture of `seed` goes.
pub fn path_of(label: &str, seed: &str) -> String {
    format!("{label}/{}.png", blake3::hash(&picture(seed)).to_hex())
}
