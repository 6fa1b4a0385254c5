//! What `export` prints.

use std::fmt::Write;
use std::path::Path;

use cnn_codes::export::{Drift, ExportOptions, LargestInside, Precision};
use cnn_codes::head::saved::SavedHead;
use cnn_codes::messages::visible;
use serde_json::json;

use crate::shown;

/// All that there is to say of an export.
pub struct Summary<'a> {
    pub out: &'a Path,
    pub card: Option<&'a Path>,
    pub bytes: u64,
    pub head: &'a SavedHead,
    pub options: ExportOptions,
    /// The pictures of the check; nothing where they were made up.
    pub checked_on: Option<&'a Path>,
    pub drift: Option<Drift>,
}

impl Summary<'_> {
    /// For people.
    pub fn to_text(&self) -> String {
        let trunk = visible(&self.head.codes.trunk.name);
        let what = if self.card.is_some() {
            format!("pixels through {trunk} and")
        } else {
            format!("codes of {trunk} through")
        };
        let mut text = format!(
            "{}: {:.1} MB, {what} the {} head, {} classes, {}\n",
            shown(self.out),
            self.bytes as f64 / 1e6,
            self.options.head,
            self.head.classes.len(),
            self.options.precision,
        );
        if let Some(card) = self.card {
            let _ = writeln!(text, "card: {}", shown(card));
        }
        match &self.drift {
            Some(drift) => text.push_str(&self.drift_text(drift)),
            None if self.options.precision == Precision::Float16 => text.push_str(
                "drift: not measured for a head alone; an export with the trunk measures it\n",
            ),
            None => {}
        }
        text
    }

    fn drift_text(&self, drift: &Drift) -> String {
        let on = match self.checked_on {
            Some(folder) => format!("pictures of {}", shown(folder)),
            None => "made-up pictures".to_owned(),
        };
        let mut text = format!(
            "drift: probabilities differ by {:.1e} at the most, {:.1e} on average, and {} of {} \
             predictions change ({on}, {})\n",
            drift.largest, drift.mean, drift.n_changed, drift.n_pictures, drift.provider,
        );
        if drift.n_unusable > 0 {
            let _ = writeln!(text, "pictures that cannot be used: {}", drift.n_unusable);
        }
        if let Some(LargestInside { tensor, value }) = &drift.largest_inside {
            let _ = writeln!(
                text,
                "largest value inside: {value:.0} in '{}'; float16 ends at 65504",
                visible(tensor)
            );
        }
        text
    }

    /// For programs.
    pub fn to_json(&self) -> serde_json::Value {
        let drift = self.drift.as_ref().map(|drift| {
            let inside = drift.largest_inside.as_ref();
            json!({
                "checked_on": self.checked_on,
                "provider": drift.provider.name(),
                "pictures": drift.n_pictures,
                "unusable": drift.n_unusable,
                "largest": drift.largest,
                "mean": drift.mean,
                "changed_predictions": drift.n_changed,
                "largest_inside": inside.map(|LargestInside { tensor, value }| {
                    json!({ "tensor": tensor, "value": value })
                }),
            })
        });
        json!({
            "file": self.out,
            "card": self.card,
            "bytes": self.bytes,
            "head": self.options.head,
            "precision": self.options.precision,
            "classes": self.head.classes,
            "drift": drift,
        })
    }
}
