//! What happened, in Prometheus' text format, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper ends of the buckets of batch sizes.
const SIZES: [f64; 6] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
/// Upper ends of the buckets of times, in seconds.
const SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Counters since the server was started.
#[derive(Default)]
pub struct Metrics {
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    /// By path and status.
    requests: BTreeMap<(&'static str, u16), u64>,
    pictures: u64,
    /// By kind.
    failures: BTreeMap<&'static str, u64>,
    batches: Histogram<{ SIZES.len() }>,
    waiting: Histogram<{ SECONDS.len() }>,
    predicting: Histogram<{ SECONDS.len() }>,
}

/// How many observations are at most at each end, and their sum.
struct Histogram<const N: usize> {
    at_most: [u64; N],
    n: u64,
    sum: f64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self {
            at_most: [0; N],
            n: 0,
            sum: 0.0,
        }
    }
}

impl<const N: usize> Histogram<N> {
    fn observe(&mut self, ends: &[f64; N], value: f64) {
        for (count, end) in self.at_most.iter_mut().zip(ends) {
            *count += u64::from(value <= *end);
        }
        self.n += 1;
        self.sum += value;
    }

    fn write(&self, text: &mut String, name: &str, labels: &str, ends: &[f64; N]) {
        let comma = if labels.is_empty() { "" } else { "," };
        for (count, end) in self.at_most.iter().zip(ends) {
            let _ = writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{end}\"}} {count}");
        }
        let _ = writeln!(
            text,
            "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {}",
            self.n
        );
        let braces = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{labels}}}")
        };
        let _ = writeln!(
            text,
            "{name}_sum{braces} {}\n{name}_count{braces} {}",
            self.sum, self.n
        );
    }
}

impl Metrics {
    fn with(&self, count: impl FnOnce(&mut Counted)) {
        count(&mut self.counted.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A request to this path was answered with this status.
    pub fn request(&self, path: &'static str, status: u16) {
        self.with(|counted| *counted.requests.entry((path, status)).or_default() += 1);
    }

    /// A batch of so many pictures goes through the trunk.
    pub fn batch(&self, n: usize) {
        self.with(|counted| {
            counted.pictures += n as u64;
            counted.batches.observe(&SIZES, n as f64);
        });
    }

    /// A picture could not be used.
    pub fn failed(&self, kind: &'static str) {
        self.with(|counted| *counted.failures.entry(kind).or_default() += 1);
    }

    /// A request waited so long before its batch began.
    pub fn waited(&self, time: Duration) {
        self.with(|counted| counted.waiting.observe(&SECONDS, time.as_secs_f64()));
    }

    /// A batch took so long.
    pub fn predicted(&self, time: Duration) {
        self.with(|counted| counted.predicting.observe(&SECONDS, time.as_secs_f64()));
    }

    /// All of it as text; `n_waiting` pictures wait now.
    pub fn to_text(&self, n_waiting: usize) -> String {
        let mut text = String::new();
        let head = |text: &mut String, name: &str, kind: &str, help: &str| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        };
        self.with(|counted| {
            head(
                &mut text,
                "cnn_codes_requests_total",
                "counter",
                "Requests by path and status.",
            );
            for ((path, status), n) in &counted.requests {
                let _ = writeln!(
                    text,
                    "cnn_codes_requests_total{{path=\"{path}\",status=\"{status}\"}} {n}"
                );
            }
            head(
                &mut text,
                "cnn_codes_pictures_total",
                "counter",
                "Pictures that went to the trunk.",
            );
            let _ = writeln!(text, "cnn_codes_pictures_total {}", counted.pictures);
            head(
                &mut text,
                "cnn_codes_failures_total",
                "counter",
                "Pictures that could not be used, by kind.",
            );
            for (kind, n) in &counted.failures {
                let _ = writeln!(text, "cnn_codes_failures_total{{kind=\"{kind}\"}} {n}");
            }
            head(
                &mut text,
                "cnn_codes_waiting_pictures",
                "gauge",
                "Pictures in the queue.",
            );
            let _ = writeln!(text, "cnn_codes_waiting_pictures {n_waiting}");
            head(
                &mut text,
                "cnn_codes_batch_size",
                "histogram",
                "Pictures that go through the trunk together.",
            );
            counted
                .batches
                .write(&mut text, "cnn_codes_batch_size", "", &SIZES);
            head(
                &mut text,
                "cnn_codes_stage_seconds",
                "histogram",
                "Seconds of a request in the queue, of a batch in the trunk.",
            );
            let stage = "cnn_codes_stage_seconds";
            counted
                .waiting
                .write(&mut text, stage, "stage=\"queue\"", &SECONDS);
            counted
                .predicting
                .write(&mut text, stage, "stage=\"predict\"", &SECONDS);
        });
        text
    }
}
