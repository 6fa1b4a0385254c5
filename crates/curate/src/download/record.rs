//! The records of earlier runs: results.csv, and the journal of an unfinished run.
//!
//! During a run, each URL whose fate is known adds a line to `.download/journal.jsonl`. At the end
//! results.csv is replaced as a whole, and the journal is emptied. A killed run leaves both, and
//! the journal is newer. Neither is trusted about pictures: a picture only counts if a file with
//! its hash exists.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::error::io_error;
use super::folder::Folder;
use super::picture_file::PictureFile;
use super::{DownloadError, Fate, label, url};
use cnn_codes_files::{JsonLines, WholeLines};

/// The columns of results.csv before the list's other columns.
///
/// `status` is a [`Fate`]; only rows with `ok` have their picture in a label's folder. The path of
/// a picture that was set aside, as a placeholder or contradiction, begins with `.download/`. Paths
/// are relative to the folder of results.csv. `width` and `height` are those of the upright
/// picture. `http_status` is that of the last answer. `attempts` counts the requests for the URL in
/// the last run that made any.
pub const COLUMNS: &[&str] = &[
    "url",
    "label",
    "status",
    "path",
    "blake3",
    "bytes",
    "width",
    "height",
    "http_status",
    "attempts",
    "reason",
];

/// How often the journal is synced. A lost line costs one request.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// The result of requesting a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fetch {
    /// The picture, or why there is none.
    pub(super) result: Result<PictureFile, Refused>,
    /// The status of the last answer, if there was one.
    pub(super) http_status: Option<u16>,
    /// Number of requests for the URL, in the last run that made any.
    pub(super) attempts: u32,
}

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refused {
    pub(super) fate: Fate,
    /// The reason, in one line.
    pub(super) reason: String,
}

/// The records of earlier runs.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Results of URLs, by requested form.
    pub(super) fetches: HashMap<String, Fetch>,
    /// The labels whose folders may hold a picture, by its hash.
    pub(super) labels: HashMap<String, BTreeSet<String>>,
}

impl Known {
    /// Reads results.csv and then the journal, if they exist.
    pub(super) fn read(folder: &Folder) -> Result<Self, DownloadError> {
        let mut known = Self::default();
        let path = folder.results();
        if let Some(file) = open(&path)? {
            known.read_results(&path, file)?;
        }
        let path = folder.journal();
        if let Some(file) = open(&path)? {
            let read = known.read_journal(BufReader::new(file));
            read.map_err(io_error("read", &path))?;
        }
        Ok(known)
    }

    /// Adds the rows of results.csv; messages name it `path`.
    fn read_results(&mut self, path: &Path, file: impl Read) -> Result<(), DownloadError> {
        let wrong = |line: u64, problem: String| DownloadError::Results {
            path: path.to_owned(),
            line,
            problem,
        };
        let failed = |error: csv::Error| {
            let line = error.position().map_or(1, csv::Position::line);
            wrong(line, error.to_string())
        };
        let mut reader = csv::Reader::from_reader(file);
        let header = reader.headers().map_err(failed)?;
        if !header.iter().zip(COLUMNS).all(|(a, b)| a == *b) || header.len() < COLUMNS.len() {
            let problem = format!("the columns do not begin with {}", COLUMNS.join(","));
            return Err(wrong(1, problem));
        }
        for record in reader.records() {
            let record = record.map_err(failed)?;
            let line = record.position().map_or(0, csv::Position::line);
            self.add_result(&record)
                .ok_or_else(|| wrong(line, "the row cannot be understood".to_owned()))?;
        }
        Ok(())
    }

    /// Adds a row; `None` if a download did not write it.
    fn add_result(&mut self, record: &csv::StringRecord) -> Option<()> {
        let [
            url,
            label,
            status,
            path,
            blake3,
            bytes,
            width,
            height,
            http,
            attempts,
            reason,
        ] = std::array::from_fn(|column| &record[column]);
        let fate: Fate = status.parse().ok()?;
        if matches!(fate, Fate::BadUrl | Fate::BadLabel | Fate::NotTried) {
            return Some(());
        }
        let result = if fate.is_picture() {
            let file = PictureFile {
                blake3: blake3.to_owned(),
                bytes: bytes.parse().ok()?,
                width: width.parse().ok()?,
                height: height.parse().ok()?,
                extension: path.rsplit('.').next()?.to_owned(),
            };
            if !file.is_sound() || label::problem(label).is_some() {
                return None;
            }
            let labels = self.labels.entry(file.blake3.clone()).or_default();
            labels.insert(label.to_owned());
            Ok(file)
        } else {
            let reason = reason.to_owned();
            Err(Refused { fate, reason })
        };
        let fetch = Fetch {
            result,
            http_status: http.parse().ok(),
            attempts: attempts.parse().ok()?,
        };
        self.fetches.insert(url::requested(url).ok()?, fetch);
        Some(())
    }

    fn read_journal(&mut self, reader: impl BufRead) -> io::Result<()> {
        let mut lines = WholeLines::new(reader);
        while let Some(line) = lines.next_line()? {
            // A line damaged by a power failure costs one request.
            let entry = serde_json::from_slice::<(String, Fetch)>(line);
            if let Ok((url, fetch)) = entry
                && fetch.result.as_ref().map_or(true, PictureFile::is_sound)
            {
                self.fetches.insert(url, fetch);
            }
        }
        Ok(())
    }
}

/// Opens a file; `None` if it does not exist.
fn open(path: &Path) -> Result<Option<File>, DownloadError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

/// The files in the folder that `results` and `journal` make a download read, for fuzzing.
///
/// `results` and `journal` are the contents of results.csv and journal.jsonl. The paths are
/// relative to the folder, with `/` between folders, and sorted.
///
/// # Errors
/// [`DownloadError::Results`] with the line of results.csv that is at fault.
#[doc(hidden)]
pub fn recorded_files(results: &[u8], journal: &[u8]) -> Result<Vec<String>, DownloadError> {
    let mut known = Known::default();
    known.read_results(Path::new("results.csv"), results)?;
    let read = known.read_journal(journal);
    read.map_err(io_error("read", Path::new("journal.jsonl")))?;
    let mut paths = Vec::new();
    for file in known
        .fetches
        .values()
        .filter_map(|fetch| fetch.result.as_ref().ok())
    {
        paths.push(Folder::relative(None, file));
        let labels = known.labels.get(&file.blake3).into_iter().flatten();
        paths.extend(labels.map(|label| Folder::relative(Some(label), file)));
    }
    paths.sort_unstable();
    Ok(paths)
}

/// The journal of a run.
#[derive(Debug)]
pub(super) struct Journal {
    lines: JsonLines,
    last_sync: Instant,
}

impl Journal {
    /// Opens the journal after its last whole line.
    pub(super) fn open(folder: &Folder) -> Result<Self, DownloadError> {
        let path = folder.journal();
        Ok(Self {
            lines: JsonLines::open_at_end(&path).map_err(io_error("open", &path))?,
            last_sync: Instant::now(),
        })
    }

    /// Adds the result of a URL.
    pub(super) fn append(&mut self, url: &str, fetch: &Fetch) -> io::Result<()> {
        self.lines.append(&(url, fetch))?;
        if self.last_sync.elapsed() >= SYNC_EVERY {
            self.lines.sync()?;
            self.last_sync = Instant::now();
        }
        Ok(())
    }

    /// Empties the journal after results.csv was written.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.lines.cut(0)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn picture(extension: &str) -> Fetch {
        Fetch {
            result: Ok(PictureFile {
                blake3: "0f".repeat(32),
                bytes: 5,
                width: 3,
                height: 2,
                extension: extension.to_owned(),
            }),
            http_status: Some(200),
            attempts: 1,
        }
    }

    #[test]
    fn wherever_a_kill_cuts_the_journal_its_whole_lines_count_and_it_goes_on_after_them() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let mut journal = Journal::open(&folder).unwrap();
        journal.append("http://a/1", &picture("png")).unwrap();
        journal.append("http://a/2", &picture("jpg")).unwrap();
        let whole = fs::read(folder.journal()).unwrap();
        for length in 0..=whole.len() {
            fs::write(folder.journal(), &whole[..length]).unwrap();
            let n_lines = whole[..length].iter().filter(|&&b| b == b'\n').count();
            let mut journal = Journal::open(&folder).unwrap();
            journal.append("http://a/3", &picture("gif")).unwrap();
            let known = Known::read(&folder).unwrap();
            assert_eq!(known.fetches.len(), n_lines + 1, "{length}");
            assert_eq!(known.fetches["http://a/3"], picture("gif"));
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_not_believed() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let mut journal = Journal::open(&folder).unwrap();
        journal
            .append("http://a/1", &picture("png/../../x.png"))
            .unwrap();
        assert!(Known::read(&folder).unwrap().fetches.is_empty());

        let hash = "0f".repeat(32);
        let header = COLUMNS.join(",");
        for row in [
            format!("http://a/1,../x,ok,x.png,{hash},1,1,1,200,1,"),
            format!("http://a/1,a,ok,a/x.png,../{hash},1,1,1,200,1,"),
            format!("http://a/1,a,ok,a/x.exe,{hash},1,1,1,200,1,"),
            format!("http://a/1,a,well,a/x.png,{hash},1,1,1,200,1,"),
            format!("http://a/1,a,ok,a/x.png,{hash},many,1,1,200,1,"),
        ] {
            fs::write(folder.results(), format!("{header}\n{row}\n")).unwrap();
            let error = Known::read(&folder).unwrap_err().to_string();
            assert!(
                error.contains("results.csv, line 2: the row cannot be understood"),
                "{error}"
            );
        }
        fs::write(folder.results(), "path,label\nx,y\n").unwrap();
        let error = Known::read(&folder).unwrap_err().to_string();
        assert!(
            error.contains("line 1: the columns do not begin with url,label,status"),
            "{error}"
        );
    }
}
