//! What an extraction did, for people and for programs.

use std::time::Duration;

use cnn_codes::codes::Manifest;
use cnn_codes::dataset::OtherFiles;
use cnn_codes::extract::{DryRun, Extracted, Failures};
use cnn_codes::messages::{count, visible};
use serde_json::{Value, json};

use crate::{passed_over, remedy, shown};

/// The summary for people.
pub fn text(extracted: &Extracted, other_files: &OtherFiles) -> String {
    let manifest = &extracted.manifest;
    let mut text = headline(extracted);
    for (class, n) in manifest
        .store
        .classes
        .iter()
        .zip(&manifest.counts.per_class)
    {
        text += &format!("  {n:6}  {}\n", visible(class));
    }
    text += &origins(extracted);
    if extracted.elapsed > Duration::ZERO {
        text += &busy(extracted);
    }
    text += &passed_over(other_files);
    if !extracted.failures.is_empty() {
        let list = shown(&extracted.store.join("failures.csv"));
        text += &failures(&extracted.failures, &list);
    }
    text + &format!("store: {}\n", shown(&extracted.store))
}

fn headline(extracted: &Extracted) -> String {
    let manifest = &extracted.manifest;
    let codes = format!(
        "{} of {} ({}, {})",
        count(manifest.counts.pictures, "code", "codes"),
        shape(manifest),
        manifest.store.dtype,
        manifest.store.provider,
    );
    if extracted.elapsed == Duration::ZERO {
        return format!("{codes}: complete already, by this very job\n");
    }
    let seconds = extracted.elapsed.as_secs_f64();
    format!(
        "{codes} in {seconds:.1} s: {:.2} pictures/s\n",
        rate(extracted)
    )
}

/// Pictures that this run dealt with, in a second.
fn rate(extracted: &Extracted) -> f64 {
    let counts = &extracted.manifest.counts;
    let n = (counts.pictures + counts.failures).saturating_sub(extracted.rows.done_before);
    n as f64 / extracted.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
}

fn shape(manifest: &Manifest) -> String {
    let axes: Vec<_> = manifest
        .store
        .row_shape()
        .iter()
        .map(ToString::to_string)
        .collect();
    axes.join("x")
}

/// Where the codes come from, unless all were computed in this run.
fn origins(extracted: &Extracted) -> String {
    let rows = &extracted.rows;
    if extracted.elapsed == Duration::ZERO || rows.computed == extracted.manifest.counts.pictures {
        return String::new();
    }
    let others = [
        (rows.reused, "copied from other stores"),
        (rows.repeated, "of pictures equal to others"),
        (rows.done_before, "pictures done by an earlier run"),
    ];
    let mut text = format!("codes: {} computed", rows.computed);
    for (n, what) in others.into_iter().filter(|(n, _)| *n > 0) {
        text += &format!(", {n} {what}");
    }
    text + "\n"
}

fn busy(extracted: &Extracted) -> String {
    let busy = &extracted.busy;
    let (stage, time) = busy.bottleneck();
    format!(
        "busy: decoding {:.1} s, inference {:.1} s, writing {:.1} s; the bottleneck is {stage}, \
         busy {:.0}% of the time\n",
        busy.decode.as_secs_f64(),
        busy.inference.as_secs_f64(),
        busy.write.as_secs_f64(),
        100.0 * time.as_secs_f64() / extracted.elapsed.as_secs_f64(),
    )
}

fn failures(failures: &Failures, list: &str) -> String {
    let mut text = format!("could not be used: {} ({list})\n", failures.len());
    for (kind, n) in &failures.by_kind {
        text += &format!("  {n:6}  {}\n", kind.replace('_', " "));
    }
    for failure in &failures.first {
        text += &format!(
            "  {}: {}\n",
            visible(&failure.path),
            visible(&remedy::reason(failure))
        );
    }
    let more = failures.len() - failures.first.len();
    if more > 0 {
        text += &format!("  and {more} more\n");
    }
    text
}

/// The summary for programs.
pub fn json(extracted: &Extracted) -> String {
    let manifest = &extracted.manifest;
    let (bottleneck, _) = extracted.busy.bottleneck();
    let document = json!({
        "store": extracted.store.display().to_string(),
        "pictures": manifest.counts.pictures,
        "classes": manifest.store.classes,
        "per_class": manifest.counts.per_class,
        "failures": failures_json(&extracted.failures),
        "shape": manifest.shape(),
        "dtype": manifest.store.dtype,
        "provider": manifest.store.provider,
        "kernels": manifest.store.kernels,
        "computed": extracted.rows.computed,
        "reused": extracted.rows.reused,
        "repeated": extracted.rows.repeated,
        "done_before": extracted.rows.done_before,
        "seconds": extracted.elapsed.as_secs_f64(),
        "pictures_per_second": rate(extracted),
        "busy_seconds": {
            "decode": extracted.busy.decode.as_secs_f64(),
            "inference": extracted.busy.inference.as_secs_f64(),
            "write": extracted.busy.write.as_secs_f64(),
        },
        "bottleneck": bottleneck,
    });
    format!("{document:#}\n")
}

fn failures_json(failures: &Failures) -> Value {
    let first: Vec<_> = failures
        .first
        .iter()
        .map(|failure| json!({ "path": failure.path, "error": remedy::reason(failure) }))
        .collect();
    json!({ "total": failures.len(), "by_kind": failures.by_kind, "first": first })
}

/// The summary of a dry run for people.
pub fn dry_text(run: &DryRun, other_files: &OtherFiles) -> String {
    let mut text = format!(
        "{} can be used, read and decoded in {:.1} s: {:.1} pictures/s\n",
        count(run.usable, "picture", "pictures"),
        run.elapsed.as_secs_f64(),
        dry_rate(run),
    );
    if run.repeated > 0 {
        text += &format!("equal to others, byte for byte: {}\n", run.repeated);
    }
    text += &passed_over(other_files);
    if !run.failures.is_empty() {
        text += &failures(&run.failures, "nothing was written");
    }
    if run.unread > 0 {
        text += &format!(
            "could not be read, because their disk or the system failed: {}; without \
             --accept-unreadable an extraction ends with exit code 1 and tries them again\n",
            run.unread
        );
    }
    text
}

/// The summary of a dry run for programs.
pub fn dry_json(run: &DryRun) -> String {
    let document = json!({
        "usable": run.usable,
        "repeated": run.repeated,
        "failures": failures_json(&run.failures),
        "unread": run.unread,
        "seconds": run.elapsed.as_secs_f64(),
        "pictures_per_second": dry_rate(run),
    });
    format!("{document:#}\n")
}

fn dry_rate(run: &DryRun) -> f64 {
    let n = run.usable + run.failures.len();
    n as f64 / run.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
}
