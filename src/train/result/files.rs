//! The files of a HEAD with the evaluation of its heads.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::judged_pictures::write_judged_pictures;
use super::predictions::write_predictions;
use super::{Comparison, Origin};
use crate::files::fill;
use crate::train::TrainError;

/// The comparison for programs, inside a HEAD directory.
pub(crate) const METRICS: &str = "metrics.json";
/// Predictions for every evaluated picture and head, inside a HEAD directory.
pub(crate) const PREDICTIONS: &str = "predictions.csv";
/// The provenance of the heads, inside a HEAD directory.
pub(crate) const PROVENANCE: &str = "provenance.json";
/// The evaluated pictures, inside a HEAD directory.
pub(crate) const JUDGED_PICTURES: &str = "pictures.csv";
/// The page for people, inside a HEAD directory.
pub const REPORT: &str = "report.html";

/// Writes all of them but the page into `dir`, which must not have them yet.
///
/// # Errors
/// [`TrainError::Write`], with the file.
pub(in crate::train) fn write_judgement(
    dir: &Path,
    comparison: &Comparison,
    origin: &Origin,
) -> Result<(), TrainError> {
    write(&dir.join(PREDICTIONS), |file| {
        write_predictions(comparison, file)
    })?;
    write(&dir.join(METRICS), |file| {
        writeln!(file, "{:#}", comparison.to_json())
    })?;
    write(&dir.join(PROVENANCE), |file| {
        writeln!(file, "{:#}", origin.provenance.to_json())
    })?;
    write(&dir.join(JUDGED_PICTURES), |file| {
        write_judged_pictures(&origin.pictures, file)
    })
}

/// Writes a new file, whole or not at all.
pub(in crate::train) fn write(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), TrainError> {
    File::create_new(path)
        .and_then(|file| fill(file, path, write))
        .map_err(|source| TrainError::Write {
            path: path.to_owned(),
            source,
        })
}
