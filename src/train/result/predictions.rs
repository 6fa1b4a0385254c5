//! predictions.csv: every judged picture and head, a row each.

use std::io;

use super::Comparison;

/// Writes a table with the columns row, path, label, fold, head, prediction, confidence, and one
/// `probability of CLASS` for each class; fold is empty for pictures of a validation store.
///
/// # Errors
/// What `out` answers.
pub(super) fn write_predictions(comparison: &Comparison, out: impl io::Write) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    let fixed = [
        "row",
        "path",
        "label",
        "fold",
        "head",
        "prediction",
        "confidence",
    ];
    let classes = &comparison.classes;
    let probabilities = classes
        .iter()
        .map(|class| format!("probability of {class}"));
    table.write_record(fixed.map(str::to_owned).into_iter().chain(probabilities))?;
    let fold = |row: usize| match &comparison.folds {
        Some(folds) => folds[row].to_string(),
        None => String::new(),
    };
    for head in &comparison.heads {
        for (row, probabilities) in head.probabilities.rows().into_iter().enumerate() {
            let predicted = head.evaluation.predicted[row];
            let fixed = [
                row.to_string(),
                comparison.pictures[row].clone(),
                classes[comparison.labels[row]].clone(),
                fold(row),
                head.name.to_owned(),
                classes[predicted].clone(),
                probabilities[predicted].to_string(),
            ];
            let probabilities = probabilities.iter().map(ToString::to_string);
            table.write_record(fixed.into_iter().chain(probabilities))?;
        }
    }
    table.flush()
}
