//! The files of HEAD that tell how its heads were judged.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::{
    Comparison, JudgedPicture, Provenance, Report, ReportError, write_judged_pictures,
    write_predictions,
};
use crate::files::fill;

/// The comparison for programs, inside a HEAD directory.
pub const METRICS: &str = "metrics.json";
/// Every judged picture and head, inside a HEAD directory.
pub const PREDICTIONS: &str = "predictions.csv";
/// Where the heads come from, inside a HEAD directory.
pub const PROVENANCE: &str = "provenance.json";
/// Every judged picture, inside a HEAD directory.
pub const JUDGED_PICTURES: &str = "pictures.csv";
/// The page for people, inside a HEAD directory.
pub const REPORT: &str = "report.html";

/// Writes all of them into `dir`, which has the heads already and none of these. The report's
/// thumbnails are of pictures below `root`.
///
/// # Errors
/// [`ReportError`], with the file.
pub fn write_judgement(
    dir: &Path,
    comparison: &Comparison,
    provenance: &Provenance,
    pictures: &[JudgedPicture],
    root: Option<&Path>,
) -> Result<(), ReportError> {
    write(&dir.join(PREDICTIONS), |file| {
        write_predictions(comparison, file)
    })?;
    write(&dir.join(METRICS), |file| {
        writeln!(file, "{:#}", comparison.to_json())
    })?;
    write(&dir.join(PROVENANCE), |file| {
        writeln!(file, "{:#}", provenance.to_json())
    })?;
    write(&dir.join(JUDGED_PICTURES), |file| {
        write_judged_pictures(pictures, file)
    })?;
    let page = Report::read(dir)?.to_html(root);
    write(&dir.join(REPORT), |file| file.write_all(page.as_bytes()))
}

/// Writes a new file, or leaves none.
fn write(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), ReportError> {
    File::create_new(path)
        .and_then(|file| fill(file, path, write))
        .map_err(|source| ReportError::Write {
            path: path.to_owned(),
            source,
        })
}
