//! Why a download broke off.

use std::io;
use std::path::{Path, PathBuf};

use super::Downloaded;
use cnn_codes::dataset::DatasetError;
use cnn_codes::progress::Stopped;
use cnn_codes_files::{PathError, path_error};

/// Why a download broke off, or left nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The list of URLs cannot be understood.
    #[error("{0}")]
    List(#[from] DatasetError),
    /// The list of URLs has not even a first line.
    #[error("{list} is empty; its first line names the columns: url and label")]
    EmptyList {
        /// The list.
        list: String,
    },
    /// A column of the list is called as one of results.csv.
    #[error("{list} has a column '{column}', which results.csv has too; rename it")]
    Column {
        /// The list.
        list: String,
        /// The name.
        column: String,
    },
    /// Two labels would be one folder where names are compared without case.
    #[error("{list}: the labels '{}' (line {}) and '{}' (line {}) differ only in case, and are one folder on macOS and Windows; spell them alike or apart", labels[0], lines[0], labels[1], lines[1])]
    LabelCase {
        /// The list.
        list: String,
        /// The labels.
        labels: [String; 2],
        /// The line of each.
        lines: [u64; 2],
    },
    /// Another process downloads into the same folder.
    #[error("another process is downloading into {}", out.display())]
    Busy {
        /// The folder.
        out: PathBuf,
    },
    /// A results.csv that was not written by a download, or was changed.
    #[error("{}, line {line}: {problem}; no download wrote this file", path.display())]
    Results {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// The folder holds the results of another list.
    #[error("{} is of another list: none of its {n} URLs is in this one", path.display())]
    OtherList {
        /// The results that are there.
        path: PathBuf,
        /// How many URLs they have.
        n: usize,
    },
    /// The file system said no.
    #[error("{0}")]
    Io(#[from] PathError),
    /// Not one picture can be used, those of earlier runs included.
    #[error("none of the {} rows gave a picture{}; {} has the reason for each", .0.n_rows, first(.0), .0.results.display())]
    NothingUsable(Box<Downloaded>),
    /// Its watch stopped it. What was done is in results.csv.
    #[error("{source}; {done} of {total} URLs are done: the same command goes on from there")]
    Stopped {
        /// That it was stopped.
        source: Stopped,
        /// URLs whose fate is known.
        done: usize,
        /// URLs of the list.
        total: usize,
    },
}

fn first(downloaded: &Downloaded) -> String {
    let first = downloaded.failures.first();
    first.map_or(String::new(), |first| {
        format!("; the first, {}: {}", first.path, first.error)
    })
}

/// For `map_err`: an I/O error with what was tried, and on what.
pub(super) fn io_error(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> DownloadError {
    let error = path_error(action, path);
    move |source| error(source).into()
}
