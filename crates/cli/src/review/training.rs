//! Training again: what the corrected labels changed, and the new HEAD.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::bail;
use cnn_codes::codes::Corrections;
use cnn_codes::evaluate::MARGIN;
use cnn_codes::progress::{Progress, Watch};
use cnn_codes::train::{Comparison, LabelChange, judge_labels};
use serde::Serialize;

use super::parts::Role;
use super::session::{Session, lock};
use crate::relabel::RelabelArguments;
use crate::remedy;
use crate::stop::Stop;
use crate::train_head::{self, Again, Shown};

/// What is at work, and what came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Job {
    pub running: bool,
    /// What is being done, such as "tuning the MLP".
    pub stage: String,
    pub done: usize,
    pub total: usize,
    /// Why the last training failed.
    pub error: Option<String>,
    pub rounds: Vec<Round>,
}

/// What one training changed.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    pub changed: usize,
    pub set_aside: usize,
    pub added: usize,
    /// Training pictures that judged, out of fold.
    pub judged: usize,
    pub errors_by_old_labels: f64,
    pub errors_before: f64,
    pub errors_after: f64,
    /// Difference of the accuracies, and its 95% interval.
    pub difference: f64,
    pub interval_95: (f64, f64),
    /// How likely the head of after is to be better.
    pub better: f64,
    /// How likely it is to be better by more than one point.
    pub clearly_better: f64,
    pub margin: f64,
    /// The pictures that judge, where they are a validation store.
    pub validation: Option<Validation>,
    pub seconds: f64,
}

/// HEAD of before and of after on the validation store.
#[derive(Clone, Debug, Serialize)]
pub struct Validation {
    pub before: Vec<Errors>,
    pub after: Vec<Errors>,
    /// Labels of it that were corrected: then the two are not judged alike.
    pub labels_changed: usize,
}

/// How a head did.
#[derive(Clone, Debug, Serialize)]
pub struct Errors {
    pub head: &'static str,
    pub errors: usize,
    pub pictures: usize,
}

/// How each head did on the pictures that judge.
pub fn errors(comparison: &Comparison) -> Vec<Errors> {
    let of_head = |head: &cnn_codes::train::HeadResult| Errors {
        head: head.title(),
        errors: head.evaluation.errors,
        pictures: head.evaluation.n,
    };
    comparison.heads.iter().map(of_head).collect()
}

/// Tells the page how far a training is.
struct Told<'a> {
    job: &'a Mutex<Job>,
    stop: &'a Stop,
}

impl Watch for Told<'_> {
    fn stage(&self, name: &str, steps: usize) {
        let mut job = lock(self.job);
        name.clone_into(&mut job.stage);
        (job.done, job.total) = (0, steps);
    }

    fn progress(&self, progress: Progress, _: &dyn fmt::Display) {
        lock(self.job).done = progress.done;
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_wanted()
    }
}

impl Shown for Told<'_> {}

/// Begins to train again, on a thread of its own.
///
/// # Errors
/// If a training is at work already.
pub fn begin(session: &Arc<Session>) -> anyhow::Result<()> {
    {
        let mut job = lock(&session.job);
        if job.running {
            bail!("it is being trained already");
        }
        *job = Job {
            running: true,
            stage: "opening the stores".to_owned(),
            rounds: std::mem::take(&mut job.rounds),
            ..Job::default()
        };
    }
    let begun = session.spawn("train", |session| {
        let trained = train(session);
        let mut job = lock(&session.job);
        job.running = false;
        match trained {
            Ok(round) => job.rounds.push(round),
            Err(error) => job.error = Some(remedy::message(error.as_ref())),
        }
    });
    if begun.is_err() {
        lock(&session.job).running = false;
    }
    begun
}

fn train(session: &Session) -> anyhow::Result<Round> {
    let start = Instant::now();
    let told = Told {
        job: &session.job,
        stop: &session.stop,
    };
    let looked = session.looked();
    let now = session.corrections();
    let learned = [Role::Train, Role::Unlabelled];
    let stores = learned.iter().filter_map(|&role| session.parts.of(role));
    let stores: Vec<_> = stores.map(|part| &part.store).collect();
    let change = judge_labels(&stores, &looked.heads, &looked.before, &now, &told)?;

    let of_role = |role| session.parts.of(role).map(|part| &part.store);
    let place = |role| of_role(role).map(|store| store.dir().to_owned());
    let again = Again {
        train: session.parts.train().store.dir().to_owned(),
        validation: place(Role::Validation),
        relabel: RelabelArguments {
            relabel: Some(session.relabel().to_owned()),
            more: place(Role::Unlabelled),
        },
        out: session.parts.head.clone(),
    };
    let arguments = train_head::Arguments::again(looked.command.as_deref(), &again)?;
    // Those that were judged, whatever was said meanwhile.
    let trained = train_head::train_and_save(&arguments, Some(&now), &told)?;
    told.stage("looking at the labels anew", 0);
    session.look_again(&told)?;
    let validation = of_role(Role::Validation).map(|store| Validation {
        before: errors(&looked.comparison),
        after: errors(&trained),
        labels_changed: n_changed(store, &looked, &now),
    });
    Ok(round(&change, validation, start))
}

/// Pictures of the validation store whose labels are others than HEAD was judged by.
fn n_changed(
    store: &cnn_codes::codes::Store,
    looked: &super::session::Looked,
    now: &Corrections,
) -> usize {
    let classes = &looked.heads.classes;
    let labels = |said: &Corrections| said.labels(store, classes).unwrap_or_default();
    let pairs = labels(&looked.before).into_iter().zip(labels(now));
    pairs.filter(|(before, now)| before != now).count()
}

fn round(change: &LabelChange, validation: Option<Validation>, start: Instant) -> Round {
    Round {
        changed: change.changed,
        set_aside: change.set_aside,
        added: change.added,
        judged: change.judged,
        errors_by_old_labels: change.errors_by_old_labels,
        errors_before: change.errors_before,
        errors_after: change.errors_after,
        difference: change.difference.difference,
        interval_95: change.difference.interval_95,
        better: change.chance_better(),
        clearly_better: change.difference.chances.first,
        margin: MARGIN,
        validation,
        seconds: start.elapsed().as_secs_f64(),
    }
}
