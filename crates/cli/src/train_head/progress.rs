//! A bar for what is being trained, on a terminal only.

use std::fmt;
use std::sync::Arc;

use cnn_codes::progress::{Progress, Watch};
use indicatif::{ProgressBar, ProgressStyle};

use crate::host::{self, Host};
use crate::stop::Stop;

/// A watch that shows something, and can take it away before other things are said.
pub trait Shown: Watch {
    /// Takes away what is shown.
    fn clear(&self) {}
}

/// Shows progress on stderr, and passes signals on.
pub struct Display<'a> {
    stop: &'a Stop,
    host: Option<Arc<dyn Host>>,
    bar: ProgressBar,
}

impl<'a> Display<'a> {
    /// Begins to show a training.
    pub fn new(stop: &'a Stop) -> Self {
        Self {
            stop,
            host: host::current(),
            bar: ProgressBar::new(0).with_style(style("{prefix} {bar:30} {pos}/{len}{msg}")),
        }
    }
}

impl Shown for Display<'_> {
    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watch for Display<'_> {
    fn stage(&self, name: &str, steps: usize) {
        if let Some(host) = &self.host {
            host.stage(name, steps);
            return;
        }
        self.bar.reset();
        self.bar.set_prefix(name.to_owned());
        self.bar.set_message("");
        self.bar.set_length(steps as u64);
    }

    fn progress(&self, progress: Progress, detail: &dyn fmt::Display) {
        let detail = detail.to_string();
        if let Some(host) = &self.host {
            host.progress(progress, &detail);
            return;
        }
        if !detail.is_empty() {
            self.bar.set_message(format!(": {detail}"));
        }
        self.bar.set_position(progress.done as u64);
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_wanted()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a valid template")
}
