//! HEAD/evaluations.csv: how often, and on what, heads in this place were judged after their training.

use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use cnn_codes::codes::Store;
use cnn_codes::head::saved::MANIFEST;
use cnn_codes::messages::count;
use cnn_codes::train::Comparison;
use cnn_codes_files::{Existing, FileDraft, regular};
use serde::{Deserialize, Serialize};

use super::shown;

/// The file of HEAD.
const EVALUATIONS: &str = "evaluations.csv";

/// What was noted.
#[derive(Debug, Default)]
pub struct Evaluations {
    /// From the first on.
    pub all: Vec<Evaluation>,
}

/// One run of `evaluate`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Evaluation {
    /// When, in seconds since 1970.
    unix_seconds: u64,
    /// The store, as it was given.
    pub store: String,
    /// Number of judged pictures.
    pub pictures: usize,
    /// Hash over the pictures' hashes.
    pictures_blake3: String,
    /// Errors of each head, such as `mlp 2; logistic 1`.
    pub errors: String,
    /// Hash of head.json, by which a head that was trained anew is told from the one before it; lists of
    /// before have none.
    #[serde(default)]
    head_blake3: String,
}

impl Evaluations {
    /// Those that HEAD lists; none if it has no such file.
    pub fn read(head: &Path) -> anyhow::Result<Self> {
        let path = head.join(EVALUATIONS);
        let cannot = || {
            format!(
                "cannot read {}, the list of evaluations; move it away to begin another",
                shown(&path)
            )
        };
        let mut text = Vec::new();
        match regular::open(&path) {
            Ok(mut file) => file.read_to_end(&mut text).with_context(cannot)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(anyhow::Error::from(error).context(cannot())),
        };
        let all = csv::Reader::from_reader(text.as_slice());
        let all = all.into_deserialize().collect::<Result<_, _>>();
        Ok(Self {
            all: all.with_context(cannot)?,
        })
    }

    /// Leaves the folders of the stores out, and with them the name of the user.
    pub fn forget_folders(&mut self) {
        for run in &mut self.all {
            let name = Path::new(&run.store).file_name();
            run.store = name.map_or(String::new(), |name| name.display().to_string());
        }
    }

    /// Adds the run that judged `store`, under the name `called`.
    pub fn add(
        &mut self,
        head: &Path,
        store: &Store,
        called: String,
        comparison: &Comparison,
    ) -> anyhow::Result<()> {
        let errors = comparison.heads.iter();
        let errors = errors.map(|head| format!("{} {}", head.name, head.evaluation.errors));
        self.all.push(Evaluation {
            unix_seconds: unix_seconds(),
            store: called,
            pictures: comparison.labels.len(),
            pictures_blake3: pictures_hash(store),
            errors: errors.collect::<Vec<_>>().join("; "),
            head_blake3: head_hash(head)?,
        });
        Ok(())
    }

    /// Writes the list into HEAD, unless it is empty.
    pub fn write(&self, head: &Path) -> anyhow::Result<()> {
        if self.all.is_empty() {
            return Ok(());
        }
        let path = head.join(EVALUATIONS);
        let mut table = csv::Writer::from_writer(Vec::new());
        for evaluation in &self.all {
            table.serialize(evaluation)?;
        }
        FileDraft::write(&path, &table.into_inner()?)
            .and_then(|draft| draft.publish(Existing::Replace))
            .with_context(|| format!("cannot write {}", shown(&path)))
    }

    /// How many there are, of which heads and on what; `head` is the one that is there now. Nothing without
    /// any.
    pub fn sentence(&self, head: &Path) -> anyhow::Result<Option<String>> {
        let Some(last) = self.all.last() else {
            return Ok(None);
        };
        let now = head_hash(head)?;
        let n = self.all.len();
        let before = self.all.iter().filter(|run| run.head_blake3 != now).count();
        let same = self
            .all
            .iter()
            .filter(|run| run.pictures_blake3 == last.pictures_blake3)
            .count();
        let of_before = match before {
            0 => String::new(),
            n => format!(", {n} of them of heads that were in its place before"),
        };
        Ok(Some(format!(
            "{} lists {} of this HEAD{of_before}; this store was judged {}",
            shown(&head.join(EVALUATIONS)),
            count(n, "evaluation", "evaluations"),
            match same {
                1 => "for the first time".to_owned(),
                n => format!("{n} times"),
            }
        )))
    }
}

impl Evaluation {
    /// When it was, such as `Fri, 27 Nov 2026 18:23:13 GMT`.
    pub fn date(&self) -> String {
        let after = Duration::from_secs(self.unix_seconds);
        // The format ends with the year 9999.
        let time = UNIX_EPOCH.checked_add(after.min(Duration::from_secs(253_402_300_799)));
        time.map_or(String::new(), httpdate::fmt_http_date)
    }
}

/// Seconds since 1970; as <https://reproducible-builds.org/specs/source-date-epoch/> has it where that is
/// set.
fn unix_seconds() -> u64 {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok();
    let given = given.and_then(|seconds| seconds.parse().ok());
    given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.unwrap_or_default().as_secs()
    })
}

/// A hash over the pictures' hashes, in the order of the rows.
fn pictures_hash(store: &Store) -> String {
    let mut pictures = blake3::Hasher::new();
    for row in store.pictures() {
        pictures.update(row.blake3.as_bytes());
    }
    pictures.finalize().to_hex().to_string()
}

fn head_hash(head: &Path) -> anyhow::Result<String> {
    let path = head.join(MANIFEST);
    let mut text = Vec::new();
    regular::open(&path)
        .and_then(|mut file| file.read_to_end(&mut text))
        .with_context(|| format!("cannot read {}", shown(&path)))?;
    Ok(blake3::hash(&text).to_hex().to_string())
}
