//! A review: what is known, for the requests that come at once.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use anyhow::{Context, anyhow, bail};
use cnn_codes::codes::{CORRECTIONS, Correction, Corrections};
use cnn_codes::head::Directions;
use cnn_codes::head::saved::SavedHead;
use cnn_codes::picture::memory::Budget;
use cnn_codes::progress::Watch;
use cnn_codes::train::{Comparison, Doubt, Report};

use super::Arguments;
use super::copies::Copies;
use super::parts::{Part, Parts, Role};
use super::queue::{Item, Order, items, queue, to_label};
use super::said::Said;
use super::training::Job;
use crate::say;
use crate::stop::Stop;

/// What HEAD, as it is now, says of the pictures.
pub struct Looked {
    pub heads: SavedHead,
    /// The corrections that HEAD was trained with.
    pub before: Corrections,
    /// How HEAD did.
    pub comparison: Comparison,
    /// The command that made it.
    pub command: Option<String>,
    /// Of each part, in their order: its pictures in the order in which they are worth a look, or why that is not
    /// known.
    pub doubts: Vec<Result<Vec<Doubt>, String>>,
}

/// A review.
pub struct Session {
    pub parts: Parts,
    pub stop: Arc<Stop>,
    pub job: Mutex<Job>,
    pub budget: Budget,
    relabel: std::path::PathBuf,
    next: usize,
    /// Directions of each part's codes, in their order.
    directions: Vec<Directions>,
    said: Mutex<Said>,
    looked: RwLock<Arc<Looked>>,
    copies: RwLock<Copies>,
    at_work: Mutex<Vec<JoinHandle<()>>>,
}

/// What is said of a picture's label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saying {
    Keep,
    Class(String),
    SetAside,
}

impl Session {
    /// Looks at HEAD and its stores, and begins to look for copies.
    pub fn begin(
        arguments: &Arguments,
        parts: Parts,
        relabel: std::path::PathBuf,
        stop: Arc<Stop>,
    ) -> anyhow::Result<Arc<Self>> {
        let said = Said::open(&relabel)?;
        let codes = SavedHead::load(&parts.head)?.codes;
        let directions = parts.all.iter().map(|part| {
            let store = part.store.taken_as(&codes)?;
            Ok(Directions::of_store(&store)?)
        });
        let directions: Vec<_> = directions.collect::<anyhow::Result<_>>()?;
        let looked = look(&parts, &*stop)?;
        let session = Arc::new(Self {
            relabel,
            next: arguments.next,
            directions,
            said: Mutex::new(said),
            looked: RwLock::new(Arc::new(looked)),
            copies: RwLock::default(),
            job: Mutex::default(),
            budget: Budget::default(),
            at_work: Mutex::default(),
            parts,
            stop,
        });
        session.spawn("copies", |session| {
            let copies = Copies::of(session.parts.train(), &*session.stop);
            *session
                .copies
                .write()
                .unwrap_or_else(PoisonError::into_inner) = copies;
        })?;
        Ok(session)
    }

    /// Works on a thread of its own, for whose end the session waits.
    pub fn spawn(
        self: &Arc<Self>,
        name: &str,
        work: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> anyhow::Result<()> {
        let session = Arc::clone(self);
        let spawned = thread::Builder::new().name(name.to_owned());
        let spawned = spawned.spawn(move || work(&session));
        lock(&self.at_work).push(spawned.context("cannot start a thread")?);
        Ok(())
    }

    /// Waits for what is at work: it asks whether to stop.
    pub fn end(&self) {
        let at_work = std::mem::take(&mut *lock(&self.at_work));
        for thread in at_work {
            // A panic of the thread is in its message.
            let _ = thread.join();
        }
    }

    /// Where corrections go.
    pub fn relabel(&self) -> &Path {
        &self.relabel
    }

    /// What HEAD, as it is now, says.
    pub fn looked(&self) -> Arc<Looked> {
        let looked = self.looked.read();
        Arc::clone(&looked.unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks anew, once HEAD was trained again.
    pub fn look_again(&self, watch: &dyn Watch) -> anyhow::Result<()> {
        let looked = look(&self.parts, watch)?;
        *self.looked.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(looked);
        Ok(())
    }

    /// What was said until now.
    pub fn corrections(&self) -> Corrections {
        lock(&self.said).corrections().clone()
    }

    pub fn copies(&self) -> Copies {
        let copies = self.copies.read();
        copies.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The place of a part, and the part.
    pub fn part(&self, role: Role) -> anyhow::Result<(usize, &Part)> {
        let parts = self.parts.all.iter().enumerate();
        let found = parts.into_iter().find(|(_, part)| part.role == role);
        found.context("there is no such store in this review")
    }

    /// The part, once a row of it is known to be there.
    pub fn row(&self, role: Role, row: usize) -> anyhow::Result<&Part> {
        let (_, part) = self.part(role)?;
        match row < part.store.pictures().len() {
            true => Ok(part),
            false => bail!("there is no such picture"),
        }
    }

    /// The pictures of a part that are worth a look; `order` is that of pictures without labels.
    pub fn items(&self, role: Role, order: Order) -> anyhow::Result<Vec<Item>> {
        let (place, part) = self.part(role)?;
        let looked = self.looked();
        let doubts = looked.doubts[place]
            .as_ref()
            .map_err(|why| anyhow!("{why}"))?;
        match role {
            Role::Train => {}
            Role::Validation => return Ok(items(doubts, &[])),
            Role::Unlabelled => {
                let directions = &self.directions[place];
                return Ok(to_label(part, doubts, directions, self.next, order));
            }
        }
        let labels = looked.before.labels(&part.store, &looked.heads.classes)?;
        Ok(items(doubts, &self.copies().contradictions(&labels)))
    }

    /// The training pictures that are nearest to a picture, and how far they are.
    pub fn nearest(&self, role: Role, row: usize, k: usize) -> anyhow::Result<Vec<(usize, f32)>> {
        let (place, _) = self.part(role)?;
        let of = &self.directions[place];
        Ok(of.nearest(row, &self.directions[0], k, place == 0))
    }

    /// Says something of a picture; it is on the disk when this returns.
    pub fn say(&self, role: Role, row: usize, saying: &Saying, why: &str) -> anyhow::Result<()> {
        let part = self.row(role, row)?;
        let classes = self.looked().heads.classes.clone();
        let picture = &part.store.pictures()[row];
        let old = picture.label.map(|label| classes[label].as_str());
        let mut said = lock(&self.said);
        let now = said.corrections().of(picture);
        let now = now.map_or(old.map(str::to_owned), |now| {
            now.new.as_deref().map(str::to_owned)
        });
        let (new, what) = match saying {
            Saying::SetAside => (None, "set aside"),
            Saying::Class(class) if !classes.contains(class) => {
                bail!("'{class}' is none of the classes: {}", classes.join(", "))
            }
            Saying::Class(class) => (Some(class.as_str()), "changed"),
            Saying::Keep => match &now {
                Some(now) => (Some(now.as_str()), "kept"),
                None => bail!("it has no label that could be kept"),
            },
        };
        let why = match why {
            "" => what.to_owned(),
            why => format!("{what}: {why}"),
        };
        said.say(picture, old, new, &why)
    }

    /// Takes back what was said last.
    pub fn undo(&self) -> anyhow::Result<Option<Correction>> {
        lock(&self.said).undo()
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads HEAD, and has it and others of its kind judge the pictures.
fn look(parts: &Parts, watch: &dyn Watch) -> anyhow::Result<Looked> {
    let heads = SavedHead::load(&parts.head)?;
    let report = Report::read(&parts.head)?;
    let before = Corrections::read_if_there(&parts.head.join(CORRECTIONS))?;
    let of_part = |part: &Part| {
        let doubts = queue(part, &heads, &before, watch);
        doubts.map_err(|error| {
            let error = format!("{error:#}");
            say(&format!(
                "the {:?} pictures cannot be judged: {error}",
                part.role
            ));
            error
        })
    };
    let doubts = parts.all.iter().map(of_part).collect();
    Ok(Looked {
        before,
        comparison: report.comparison,
        command: report.provenance.command,
        doubts,
        heads,
    })
}
