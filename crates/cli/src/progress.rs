//! How far a long job is: a bar on a terminal, elsewhere a line now and then.

use std::fmt::{self, Write};
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cnn_codes::progress::{Progress, Watch};
use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};

use super::host::{self, Host};
use super::say;
use super::stop::Stop;

/// How often a line is printed where there is no terminal, as in a scheduler's log.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Shows on stderr how far a job is that counts pictures, and passes signals on to it.
pub struct PictureDisplay<'a> {
    stop: &'a Stop,
    host: Option<Arc<dyn Host>>,
    bar: Option<ProgressBar>,
    /// When the last line was printed, and how far the job was then.
    last_line: Mutex<(Instant, usize)>,
}

impl<'a> PictureDisplay<'a> {
    /// Begins to show a job of `total` pictures, which a signal stops.
    pub fn new(total: usize, stop: &'a Stop) -> Self {
        let host = host::current();
        if let Some(host) = &host {
            host.stage("pictures", total);
        }
        let has_bar = host.is_none() && std::io::stderr().is_terminal();
        let bar = has_bar.then(|| ProgressBar::new(total as u64).with_style(style()));
        Self {
            stop,
            host,
            bar,
            last_line: Mutex::new((Instant::now(), 0)),
        }
    }

    fn begin(&self, progress: Progress) {
        if progress.done_before > 0 {
            say(&format!(
                "going on after {} of {} pictures, which an earlier run did",
                progress.done_before, progress.total
            ));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(progress.done_before as u64);
            bar.reset_eta();
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Watch for PictureDisplay<'_> {
    fn progress(&self, progress: Progress, _detail: &dyn fmt::Display) {
        if let Some(host) = &self.host {
            host.progress(progress, &unusable(progress));
            return;
        }
        let mut last_line = self
            .last_line
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (last, before) = *last_line;
        if progress.done == progress.done_before {
            self.begin(progress);
            *last_line = (Instant::now(), progress.done);
        } else if let Some(bar) = &self.bar {
            bar.set_position(progress.done as u64);
            bar.set_message(unusable(progress));
        } else if last.elapsed() >= LINE_EVERY {
            say(&line(progress, before, last.elapsed()));
            *last_line = (Instant::now(), progress.done);
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_wanted()
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {pos}/{len} pictures{rate}{msg}")
        .expect("a valid template")
        .with_key("rate", |state: &ProgressState, text: &mut dyn Write| {
            if state.per_sec() > 0.0 {
                // A text that cannot be written into is the caller's to tell.
                let _ = write!(
                    text,
                    ", {:.1} pictures/s, {:#} left",
                    state.per_sec(),
                    HumanDuration(state.eta())
                );
            }
        })
}

fn unusable(progress: Progress) -> String {
    match progress.failures {
        0 => String::new(),
        n => format!(", {n} unusable"),
    }
}

/// A line about the pictures since `before`, in the time since then.
fn line(progress: Progress, before: usize, time: Duration) -> String {
    let rate = (progress.done - before) as f64 / time.as_secs_f64();
    let left = Duration::from_secs_f64(progress.total.saturating_sub(progress.done) as f64 / rate);
    format!(
        "{} of {} pictures, {rate:.1} pictures/s, about {} left{}",
        progress.done,
        progress.total,
        HumanDuration(left),
        unusable(progress)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_what_came_since_the_last_one() {
        let progress = Progress {
            done: 1300,
            done_before: 100,
            total: 4900,
            failures: 2,
        };
        assert_eq!(
            line(progress, 700, Duration::from_secs(30)),
            "1300 of 4900 pictures, 20.0 pictures/s, about 3 minutes left, 2 unusable"
        );
    }
}
