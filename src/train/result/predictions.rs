//! predictions.csv: one row for every evaluated picture and head.

use std::io;

use super::Comparison;

/// Writes a table with the columns row, path, label, fold, head, prediction, confidence, right,
/// group, and one `probability of CLASS` per class. `fold` has one number per dealing, separated by
/// `;`, and is empty for pictures of a validation store. `right` is the share of seeds or dealings
/// with which the picture was classified correctly. `group` is a number, and is empty without
/// groups.
///
/// # Errors
/// The error of `out`.
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
        "right",
        "group",
    ];
    let classes = &comparison.classes;
    let probabilities = classes
        .iter()
        .map(|class| format!("probability of {class}"));
    table.write_record(fixed.map(str::to_owned).into_iter().chain(probabilities))?;
    let group = |row: usize| match &comparison.groups {
        Some(groups) => groups[row].to_string(),
        None => String::new(),
    };
    let folds = |row: usize| {
        let folds = comparison
            .dealings
            .iter()
            .map(|folds| folds[row].to_string());
        folds.collect::<Vec<_>>().join(";")
    };
    for head in &comparison.heads {
        for (row, probabilities) in head.probabilities.rows().into_iter().enumerate() {
            let predicted = head.evaluation.predicted[row];
            let fixed = [
                row.to_string(),
                comparison.pictures[row].clone(),
                classes[comparison.labels[row]].clone(),
                folds(row),
                head.name.to_owned(),
                classes[predicted].clone(),
                probabilities[predicted].to_string(),
                head.right[row].to_string(),
                group(row),
            ];
            let probabilities = probabilities.iter().map(ToString::to_string);
            table.write_record(fixed.into_iter().chain(probabilities))?;
        }
    }
    table.flush()
}
