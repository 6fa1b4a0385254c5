//! pictures.csv: the evaluated pictures, each with its position on the map of codes.

use std::io;

use super::principal_components::principal_components;
use crate::codes::Store;
use crate::head::Samples;

/// Most pictures whose codes are mapped: time and memory grow with the square of their number.
const MAX_MAPPED: usize = 1000;

/// The columns of pictures.csv.
const COLUMNS: [&str; 4] = ["row", "blake3", "component_1", "component_2"];

/// A row of pictures.csv.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedPicture {
    /// BLAKE3 of the file.
    pub blake3: blake3::Hash,
    /// Position on the map: the code's first two principal components. Of more than 1,000 pictures,
    /// 1,000 evenly spaced ones are mapped; the others have `None`.
    pub place: Option<[f64; 2]>,
}

/// The evaluated pictures of a store, on the map of their codes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mapped {
    /// The pictures, in the order of the store's rows.
    pub(super) pictures: Vec<JudgedPicture>,
    /// Share of the variance of the mapped codes along both axes of the map, 0 to 1.
    pub(super) explained_variance: [f64; 2],
}

impl Mapped {
    /// Maps the pictures of `store`; `judged` holds their codes as the heads read them.
    pub(super) fn of(store: &Store, judged: &Samples) -> Self {
        let n = judged.len();
        let n_mapped = n.min(MAX_MAPPED);
        let mapped: Vec<_> = (0..n_mapped).map(|index| index * n / n_mapped).collect();
        let components = principal_components(judged.codes(), &mapped);
        let unmapped = |blake3| JudgedPicture {
            blake3,
            place: None,
        };
        let mut pictures: Vec<_> = (store.pictures().iter())
            .map(|row| unmapped(row.blake3))
            .collect();
        for (&row, scores) in mapped.iter().zip(components.scores.rows()) {
            pictures[row].place = Some([scores[0], scores[1]]);
        }
        Self {
            pictures,
            explained_variance: components.explained,
        }
    }
}

/// Writes a table with the columns row, blake3, component_1 and component_2, one row per evaluated
/// picture; components are empty for pictures that are not on the map.
///
/// # Errors
/// The error of `out`.
pub(super) fn write_judged_pictures(
    pictures: &[JudgedPicture],
    out: impl io::Write,
) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(COLUMNS)?;
    for (row, picture) in pictures.iter().enumerate() {
        let [first, second] = picture.place.map_or_else(Default::default, |place| {
            place.map(|score| score.to_string())
        });
        let blake3 = picture.blake3.to_hex();
        table.write_record([&row.to_string(), blake3.as_str(), &first, &second])?;
    }
    table.flush()
}
