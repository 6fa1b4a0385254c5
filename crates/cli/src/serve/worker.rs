//! The one thread that predicts: requests wait in a queue, and all that wait go through the trunk together.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cnn_codes::dataset::Pictures;
use cnn_codes::predict::{Classifier, Outcome, PredictOptions, Predictor};
use tokio::sync::oneshot;

use super::metrics::Metrics;
use crate::remedy;
use crate::say;
use crate::web::body::Taken;

/// Pictures that go through the trunk at once, where more wait.
const AT_ONCE: usize = 20;

/// A picture file, and what it is called.
pub struct Named {
    pub name: String,
    pub file: Vec<u8>,
}

/// What is said of a request's pictures, in their order, and by whom: the head may be exchanged meanwhile.
pub type Answer = Result<(Arc<Classifier>, Vec<Outcome>), String>;

/// A request that waits.
struct Job {
    pictures: Vec<Named>,
    /// Of the pictures, also where the client has gone away.
    room: Taken,
    since: Instant,
    answer: oneshot::Sender<Answer>,
}

/// Why a request is not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// As many pictures wait as may.
    Busy,
    /// The server is about to end.
    Ending,
}

/// The queue before the thread that predicts.
pub struct Worker {
    jobs: Mutex<Option<Sender<Job>>>,
    waiting: Arc<AtomicUsize>,
    most: usize,
    /// A head that is to be taken before the next batch.
    next: Arc<Mutex<Option<Classifier>>>,
    /// The classifier that answers.
    current: Arc<Mutex<Arc<Classifier>>>,
    ended: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Worker {
    /// Starts the thread, before which at most `most` pictures wait.
    pub fn start(
        predictor: Predictor,
        options: PredictOptions,
        most: usize,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let (jobs, waiting_jobs) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let next = Arc::new(Mutex::new(None));
        let current = Arc::new(Mutex::new(Arc::new(predictor.classifier().clone())));
        let mut at_work = AtWork {
            predictor,
            options,
            waiting: Arc::clone(&waiting),
            next: Arc::clone(&next),
            current: Arc::clone(&current),
            metrics,
        };
        let thread = thread::Builder::new().name("predict".to_owned());
        let ended = thread.spawn(move || at_work.run(&waiting_jobs))?;
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            waiting,
            most,
            next,
            current,
            ended: Mutex::new(Some(ended)),
        })
    }

    /// Puts pictures into the queue.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn take(
        &self,
        pictures: Vec<Named>,
        room: Taken,
    ) -> Result<oneshot::Receiver<Answer>, NotTaken> {
        let jobs = lock(&self.jobs);
        let jobs = jobs.as_ref().ok_or(NotTaken::Ending)?;
        let n = pictures.len();
        let fits =
            |waiting: usize| (waiting + n <= self.most || waiting == 0).then_some(waiting + n);
        self.waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .map_err(|_| NotTaken::Busy)?;
        let (answer, answered) = oneshot::channel();
        let since = Instant::now();
        let job = Job {
            pictures,
            room,
            since,
            answer,
        };
        jobs.send(job).map_err(|_| NotTaken::Ending)?;
        Ok(answered)
    }

    /// How many pictures wait.
    pub fn n_waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The classifier that answers.
    pub fn classifier(&self) -> Arc<Classifier> {
        Arc::clone(&lock(&self.current))
    }

    /// Takes another classifier before the next batch.
    pub fn exchange(&self, classifier: Classifier) {
        *lock(&self.next) = Some(classifier);
    }

    /// Takes no more, and waits until what was taken is answered.
    pub fn end(&self) {
        lock(&self.jobs).take();
        if let Some(ended) = lock(&self.ended).take() {
            // A panic of the thread is in its message.
            let _ = ended.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's own.
struct AtWork {
    predictor: Predictor,
    options: PredictOptions,
    waiting: Arc<AtomicUsize>,
    next: Arc<Mutex<Option<Classifier>>>,
    current: Arc<Mutex<Arc<Classifier>>>,
    metrics: Arc<Metrics>,
}

impl AtWork {
    fn run(&mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let mut batch = vec![first];
            let mut n = batch[0].pictures.len();
            while n < AT_ONCE
                && let Ok(job) = jobs.try_recv()
            {
                n += job.pictures.len();
                batch.push(job);
            }
            self.waiting.fetch_sub(n, Ordering::Relaxed);
            self.exchange();
            // Nobody waits any more for what a client gave up.
            batch.retain(|job| !job.answer.is_closed());
            self.answer(batch);
        }
    }

    /// Takes the head that came meanwhile.
    fn exchange(&mut self) {
        let Some(classifier) = lock(&self.next).take() else {
            return;
        };
        match self.predictor.exchange(classifier) {
            Ok(()) => {
                *lock(&self.current) = Arc::new(self.predictor.classifier().clone());
                say("the head has changed on disk: the new one answers");
            }
            Err(error) => say(&format!(
                "the new head cannot be used, so the old one answers: {}",
                remedy::message(&error)
            )),
        }
    }

    fn answer(&mut self, batch: Vec<Job>) {
        let start = Instant::now();
        let lens: Vec<_> = batch.iter().map(|job| job.pictures.len()).collect();
        let (mut files, mut names, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        let mut rooms = Vec::new();
        for job in batch {
            self.metrics.waited(start - job.since);
            for picture in job.pictures {
                names.push(picture.name);
                files.push(picture.file);
            }
            answers.push(job.answer);
            rooms.push(job.room);
        }
        if files.is_empty() {
            return;
        }
        self.metrics.batch(files.len());
        let outcomes = self.caught(files, names);
        drop(rooms);
        let by = Arc::clone(&lock(&self.current));
        self.metrics.predicted(start.elapsed());
        let mut outcomes = outcomes.map(Vec::into_iter);
        for (answer, len) in answers.into_iter().zip(lens) {
            let part = match &mut outcomes {
                Ok(outcomes) => Ok((Arc::clone(&by), outcomes.by_ref().take(len).collect())),
                Err(error) => Err(error.clone()),
            };
            // A client that went away meanwhile has lost nothing of others.
            let _ = answer.send(part);
        }
    }

    /// [`AtWork::outcomes`], where a panic is an error of this batch alone: the thread answers the next one.
    fn caught(&mut self, files: Vec<Vec<u8>>, names: Vec<String>) -> Result<Vec<Outcome>, String> {
        let work = AssertUnwindSafe(|| self.outcomes(files, names));
        let mistake = "a mistake within the server, which its messages tell of";
        catch_unwind(work).unwrap_or_else(|_| Err(mistake.to_owned()))
    }

    /// What comes of pictures, under their names.
    fn outcomes(
        &mut self,
        files: Vec<Vec<u8>>,
        names: Vec<String>,
    ) -> Result<Vec<Outcome>, String> {
        let mut outcomes = Vec::with_capacity(names.len());
        for batch in self
            .predictor
            .predict(Pictures::in_memory(files), self.options)
        {
            outcomes.extend(batch.map_err(|error| remedy::message(&error))?);
        }
        for (outcome, name) in outcomes.iter_mut().zip(names) {
            match outcome {
                Ok(prediction) => prediction.path = name,
                Err(failure) => {
                    failure.path = name;
                    failure.error = remedy::reason(failure);
                    self.metrics.failed(failure.kind);
                }
            }
        }
        Ok(outcomes)
    }
}

/// Looks every second whether HEAD was exchanged on the disk, and loads what is there then.
pub fn watch(
    head: std::path::PathBuf,
    load: impl Fn() -> anyhow::Result<Classifier> + Send + 'static,
    worker: Arc<Worker>,
) -> anyhow::Result<()> {
    let marker = head.join(cnn_codes::head::saved::MANIFEST);
    let stamp = move || {
        let told = marker.metadata().ok()?;
        Some((told.modified().ok()?, told.len()))
    };
    let mut last = stamp();
    let look = move || loop {
        thread::sleep(Duration::from_secs(1));
        let now = stamp();
        if now.is_none() || now == last {
            continue;
        }
        last = now;
        match load() {
            Ok(classifier) => worker.exchange(classifier),
            Err(error) => say(&format!(
                "the new head cannot be used, so the old one answers: {}",
                remedy::message(error.as_ref())
            )),
        }
    };
    thread::Builder::new()
        .name("watch".to_owned())
        .spawn(look)?;
    Ok(())
}
