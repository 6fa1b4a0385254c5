//! Why a download failed.

use std::io;
use std::path::{Path, PathBuf};

use super::Downloaded;
use cnn_codes::dataset::DatasetError;
use cnn_codes::progress::Stopped;
use cnn_codes_files::{PathError, path_error};

/// Why a download failed, or was stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The list of URLs cannot be understood.
    #[error("{0}")]
    List(#[from] DatasetError),
    /// The list of URLs has no header line.
    #[error("{list} is empty; its first line names the columns: url and label")]
    EmptyList {
        /// The list.
        list: String,
    },
    /// A column of the list has the name of a column of results.csv.
    #[error("{list} has a column '{column}', which results.csv has too; rename it")]
    Column {
        /// The list.
        list: String,
        /// The name.
        column: String,
    },
    /// Two labels would share a folder on systems that ignore case.
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
    /// results.csv was not written by a download, or was changed.
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
        /// The existing results.
        path: PathBuf,
        /// Number of their URLs.
        n: usize,
    },
    /// A file system operation failed.
    #[error("{0}")]
    Io(#[from] PathError),
    /// No picture is usable, including those of earlier runs.
    #[error("none of the {} rows gave a picture{}; {} has the reason for each", .0.n_rows, first(.0), .0.results.display())]
    NothingUsable(Box<Downloaded>),
    /// The watch stopped it. Finished work is in results.csv.
    #[error("{source}; {done} of {total} URLs are done: the same command goes on from there")]
    Stopped {
        /// The stop.
        source: Stopped,
        /// Number of URLs whose fate is known.
        done: usize,
        /// Number of URLs in the list.
        total: usize,
    },
}

fn first(downloaded: &Downloaded) -> String {
    let first = downloaded.failures.first();
    first.map_or(String::new(), |first| {
        format!("; the first, {}: {}", first.path, first.error)
    })
}

/// For `map_err`: an I/O error with the operation and its path.
pub(super) fn io_error(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> DownloadError {
    let error = path_error(action, path);
    move |source| error(source).into()
}
