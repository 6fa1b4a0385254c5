//! The end of a run: which pictures count, where they are stored, and the fate of every row.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;

use rayon::prelude::*;

use super::error::io_error;
use super::folder::{Folder, Place};
use super::list::{Row, UrlList};
use super::picture_file::PictureFile;
use super::record::{COLUMNS, Fetch};
use super::{DownloadError, Fate};

/// Results of the URLs, by requested form.
pub(super) type Fetches = HashMap<String, Fetch>;

/// The places of pictures, by hash.
pub(super) type Places = HashMap<String, (PictureFile, BTreeSet<Place>)>;

/// The fate of a row.
#[derive(Debug)]
pub(super) struct Outcome<'a> {
    pub(super) row: &'a Row,
    pub(super) fate: Fate,
    /// One line; for pictures only if there is something to report.
    pub(super) reason: String,
    fetch: Option<&'a Fetch>,
}

impl Outcome<'_> {
    /// The picture that counts for the row.
    pub(super) fn picture(&self) -> Option<&PictureFile> {
        let picture = self.fetch.and_then(|fetch| fetch.result.as_ref().ok());
        picture.filter(|_| self.fate == Fate::Ok)
    }
}

/// The rows with the same bytes.
#[derive(Default)]
struct Bytes<'a> {
    urls: HashSet<&'a str>,
    /// The labels, each with the line of its first row.
    labels: BTreeMap<&'a str, u64>,
    n_rows: usize,
}

impl Bytes<'_> {
    fn fate(&self, placeholder_at: usize) -> Fate {
        if self.urls.len() >= placeholder_at {
            Fate::Placeholder
        } else if self.labels.len() > 1 {
            Fate::Contradiction
        } else {
            Fate::Ok
        }
    }

    fn reason(&self, fate: Fate) -> String {
        match fate {
            Fate::Placeholder => format!(
                "{} URLs gave these very bytes; it is what servers give for pictures that are gone",
                self.urls.len()
            ),
            Fate::Contradiction => {
                let labels = self.labels.iter();
                let labels: Vec<_> = labels
                    .map(|(label, line)| format!("'{label}' (line {line})"))
                    .collect();
                format!("the same bytes are {}", labels.join(" and "))
            }
            _ if self.n_rows > 1 => format!("{} rows have these very bytes", self.n_rows),
            _ => String::new(),
        }
    }
}

/// The fate of every row, in the order of the list.
pub(super) fn outcomes<'a>(
    list: &'a UrlList,
    fetches: &'a Fetches,
    placeholder_at: usize,
) -> Vec<Outcome<'a>> {
    let same_bytes = same_bytes(list, fetches);
    let outcome = |row: &'a Row| {
        let refused = |fate, reason: &str| (fate, reason.to_owned(), None);
        let (fate, reason, fetch) = match (&row.requested, &row.label_problem) {
            (Err(problem), _) => refused(Fate::BadUrl, problem),
            (_, Some(problem)) => refused(Fate::BadLabel, problem),
            (Ok(url), None) => match fetches.get(url) {
                None => refused(Fate::NotTried, "the run was stopped before its turn"),
                Some(fetch) => match &fetch.result {
                    Err(refused) => (refused.fate, refused.reason.clone(), Some(fetch)),
                    Ok(file) => {
                        let bytes = &same_bytes[&*file.blake3];
                        let fate = bytes.fate(placeholder_at);
                        (fate, bytes.reason(fate), Some(fetch))
                    }
                },
            },
        };
        Outcome {
            row,
            fate,
            reason,
            fetch,
        }
    };
    list.rows.iter().map(outcome).collect()
}

/// The rows of each picture, by its hash.
fn same_bytes<'a>(list: &'a UrlList, fetches: &'a Fetches) -> HashMap<&'a str, Bytes<'a>> {
    let mut same: HashMap<&str, Bytes> = HashMap::new();
    for row in &list.rows {
        let Some(url) = row.wanted() else { continue };
        let Some(Ok(file)) = fetches.get(url).map(|fetch| &fetch.result) else {
            continue;
        };
        let bytes = same.entry(&file.blake3).or_default();
        bytes.urls.insert(url);
        bytes.labels.entry(&row.label).or_insert(row.line);
        bytes.n_rows += 1;
    }
    same
}

/// Moves every picture to its place: those that count into the folders of their labels, all others
/// aside. Returns how many were removed from a label's folder because no row refers to them any
/// more.
pub(super) fn arrange(
    folder: &Folder,
    outcomes: &[Outcome],
    places: &Places,
) -> Result<usize, DownloadError> {
    let hash = |outcome: &Outcome| {
        let result = outcome.fetch.map(|fetch| &fetch.result);
        result.and_then(|result| Some(result.as_ref().ok()?.blake3.clone()))
    };
    let known: HashSet<String> = outcomes.iter().filter_map(hash).collect();
    let wanted: HashMap<&str, &str> = outcomes
        .iter()
        .filter_map(|outcome| Some((&*outcome.picture()?.blake3, &*outcome.row.label)))
        .collect();
    let mut n_taken_out = 0;
    for (hash, (file, lies_in)) in places {
        let target = wanted.get(&**hash).copied();
        for place in lies_in.iter().filter(|place| place.as_deref() != target) {
            folder.bring(file, place, target)?;
        }
        n_taken_out += usize::from(!known.contains(hash) && lies_in.iter().any(Option::is_some));
    }
    let labels: BTreeSet<&str> = wanted.into_values().collect();
    folder.sync(labels.into_iter())?;
    Ok(n_taken_out)
}

/// Replaces results.csv as a whole.
pub(super) fn write_results(
    folder: &Folder,
    list: &UrlList,
    outcomes: &[Outcome],
) -> Result<(), DownloadError> {
    let path = folder.results();
    let table = table(list, outcomes).map_err(io_error("write", &path))?;
    folder.write_whole(&path, &table)
}

fn table(list: &UrlList, outcomes: &[Outcome]) -> io::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let others = list.other_columns.iter().map(String::as_str);
    table.write_record(COLUMNS.iter().copied().chain(others))?;
    for outcome in outcomes {
        let row = outcome.row;
        let others = row.others.iter().map(String::as_str);
        let fields = fields(outcome);
        table.write_record(fields.iter().map(String::as_str).chain(others))?;
    }
    let table = table.into_inner();
    table.map_err(|error| io::Error::other(error.to_string()))
}

/// The fields of [`COLUMNS`].
fn fields(outcome: &Outcome) -> [String; 11] {
    let Outcome { row, fate, .. } = outcome;
    let text = |number: Option<u64>| number.map_or(String::new(), |number| number.to_string());
    let file = outcome.fetch.and_then(|fetch| fetch.result.as_ref().ok());
    let place = (*fate == Fate::Ok).then_some(&*row.label);
    let status = outcome.fetch.and_then(|fetch| fetch.http_status);
    [
        row.url.clone(),
        row.label.clone(),
        fate.to_string(),
        file.map_or(String::new(), |file| Folder::relative(place, file)),
        file.map_or(String::new(), |file| file.blake3.clone()),
        text(file.map(|file| file.bytes)),
        text(file.map(|file| file.width.into())),
        text(file.map(|file| file.height.into())),
        text(status.map(u64::from)),
        text(outcome.fetch.map(|fetch| fetch.attempts.into())),
        outcome.reason.clone(),
    ]
}

/// The places of the pictures of earlier runs that still exist and are complete.
pub(super) fn find_places(
    folder: &Folder,
    list: &UrlList,
    fetches: &Fetches,
    known_labels: &HashMap<String, BTreeSet<String>>,
) -> Places {
    let mut candidates: HashMap<&str, (&PictureFile, BTreeSet<Place>)> = HashMap::new();
    for file in fetches
        .values()
        .filter_map(|fetch| fetch.result.as_ref().ok())
    {
        let labels = known_labels.get(&file.blake3);
        let labels = labels.into_iter().flatten().cloned().map(Some);
        let (_, places) = candidates
            .entry(&file.blake3)
            .or_insert_with(|| (file, BTreeSet::from([None])));
        places.extend(labels);
    }
    // A run that was killed while moving pictures may have left this.
    for row in &list.rows {
        let fetch = row.wanted().and_then(|url| fetches.get(url));
        if let Some(Ok(file)) = fetch.map(|fetch| &fetch.result)
            && let Some((_, places)) = candidates.get_mut(&*file.blake3)
        {
            places.insert(Some(row.label.clone()));
        }
    }
    candidates
        .into_par_iter()
        .map(|(hash, (file, places))| {
            let found = folder.found(file, places.into_iter().collect());
            (hash.to_owned(), (file.clone(), found.into_iter().collect()))
        })
        .filter(|(_, (_, places)): &(String, (PictureFile, BTreeSet<Place>))| !places.is_empty())
        .collect()
}
