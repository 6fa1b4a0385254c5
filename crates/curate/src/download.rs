//! Pictures from the web: a list of URLs and labels becomes a folder for each label.
//!
//! ```text
//! UrlList -> schedule -> client -> decode -> .download/HASH.jpg -> settle -> LABEL/HASH.jpg
//! url,label  a few at    public    as for                          once all   results.csv
//!            a time of   addresses  codes                          are known
//!            each host   alone
//! ```
//!
//! A picture only counts after it was decoded with the decoder and the limits of an extraction. Its
//! name is the BLAKE3 of its bytes and its extension that of its format, so a server's answer never
//! decides where a file goes. A picture that came under two labels, or from many URLs, is set aside
//! in `.download`, where no class is searched for.
//!
//! The fate of every row is recorded in results.csv. The next run of the same list only requests
//! URLs that may now succeed.

mod address;
mod client;
mod error;
mod fate;
mod fetch;
mod folder;
mod label;
mod list;
mod picture_file;
mod record;
mod schedule;
mod settle;
mod url;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use self::client::Client;
pub use self::client::{USER_AGENT, environment_has_proxy};
pub use self::error::DownloadError;
use self::error::io_error;
pub use self::fate::Fate;
use self::fetch::{Fetcher, Message};
use self::folder::Folder;
pub use self::list::UrlList;
pub use self::record::COLUMNS;
#[doc(hidden)]
pub use self::record::recorded_files;
use self::record::{Fetch, Journal, Known};
use self::schedule::Schedule;
use self::settle::{Fetches, Outcome, Places};
use cnn_codes::codes::Failure;
use cnn_codes::picture::memory::Budget;
use cnn_codes::progress::{Progress, Stopped, Watch};

/// How often the watch is asked whether to stop while nothing arrives.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// How many failures are reported in full; results.csv lists all.
const N_FIRST: usize = 5;

/// Options of a download.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DownloadOptions {
    /// Parallel requests, at least 1. Each may hold `max_bytes` in memory; pictures that are being
    /// decoded share 384 MiB, whatever their number.
    pub jobs: usize,
    /// Parallel requests to one host, at least 1. Targets of redirects do not count.
    pub per_host: usize,
    /// The longest time for a request, from the name's resolution to the last byte, including
    /// redirects.
    pub timeout: Duration,
    /// How often a URL is requested again after a transient failure.
    pub retries: u32,
    /// The wait before the second attempt; it doubles before each further one.
    pub retry_wait: Duration,
    /// The longest wait before an attempt, whatever a server's Retry-After says.
    pub max_wait: Duration,
    /// The largest answer in bytes; at most 512 MiB, the largest file that extraction reads.
    pub max_bytes: u64,
    /// The most redirects of one request; 0 for none.
    pub max_redirects: u32,
    /// The User-Agent sent to servers.
    pub user_agent: String,
    /// Whether hosts outside the public internet may be requested. Only then is a proxy from the
    /// environment used, because addresses behind it cannot be checked.
    pub allow_private: bool,
    /// The number of URLs from which identical bytes count as a placeholder, at least 2.
    pub placeholder_at: usize,
    /// Whether to request all URLs without a picture again, not only those that may now succeed.
    pub retry_all: bool,
}

/// A few parallel requests, a few attempts after transient failures, and only the public internet.
impl Default for DownloadOptions {
    fn default() -> Self {
        Self {
            jobs: 16,
            per_host: 4,
            timeout: Duration::from_secs(30),
            retries: 3,
            retry_wait: Duration::from_secs(1),
            max_wait: Duration::from_secs(60),
            max_bytes: 32 << 20,
            max_redirects: 5,
            user_agent: USER_AGENT.to_owned(),
            allow_private: false,
            placeholder_at: 5,
            retry_all: false,
        }
    }
}

/// The results of a download.
#[derive(Clone, Debug)]
pub struct Downloaded {
    /// The folder with one folder per label.
    pub out: PathBuf,
    /// The table with the fate of every row.
    pub results: PathBuf,
    /// Number of rows in the list.
    pub n_rows: usize,
    /// Number of rows by fate.
    pub by_fate: BTreeMap<Fate, usize>,
    /// Number of pictures from the list in each label's folder.
    pub per_class: BTreeMap<String, usize>,
    /// The first rows without a usable picture, by their URLs.
    pub failures: Vec<Failure>,
    /// Number of URLs requested in this run.
    pub n_fetched: usize,
    /// Number of pictures set aside because no row of the list refers to them any more.
    pub n_taken_out: usize,
    /// The duration of the run.
    pub elapsed: Duration,
}

/// Downloads the pictures of `list` into `out`, one folder per label.
///
/// A run that was stopped or killed is continued by the next call: URLs whose picture still exists,
/// or that failed permanently, are skipped. `watch` sees the progress in URLs; refused rows and
/// repeated URLs do not count. When it stops the job, running requests are ended, and the pictures
/// received so far are sorted into their folders.
///
/// results.csv follows the order of `list`. Other files in `out` are left unchanged.
///
/// # Errors
/// [`DownloadError`]. The pictures received so far are kept for the next run.
pub fn download(
    list: &UrlList,
    out: &Path,
    options: &DownloadOptions,
    watch: &dyn Watch,
) -> Result<Downloaded, DownloadError> {
    let start = Instant::now();
    let folder = Folder::open(out)?;
    let results = folder.results();
    let mut run = Run::begin(list, folder)?;
    let todo = run.todo(options.retry_all);
    let is_stopped = run.fetch(&todo, options, watch)?;
    let (n_taken_out, outcomes) = run.settle(options.placeholder_at)?;
    let total = list.n_urls();
    if is_stopped {
        let undone = outcomes
            .iter()
            .filter(|outcome| outcome.fate == Fate::NotTried);
        let undone: BTreeSet<_> = undone.filter_map(|outcome| outcome.row.wanted()).collect();
        let done = total - undone.len();
        return Err(DownloadError::Stopped {
            source: Stopped,
            done,
            total,
        });
    }
    let downloaded = Downloaded {
        n_fetched: todo.len(),
        n_taken_out,
        elapsed: start.elapsed(),
        ..summary(out, results, &outcomes)
    };
    if downloaded.per_class.is_empty() {
        return Err(DownloadError::NothingUsable(Box::new(downloaded)));
    }
    Ok(downloaded)
}

/// A run and its current knowledge.
struct Run<'a> {
    list: &'a UrlList,
    folder: Folder,
    journal: Journal,
    fetches: Fetches,
    places: Places,
}

impl<'a> Run<'a> {
    fn begin(list: &'a UrlList, folder: Folder) -> Result<Self, DownloadError> {
        let Known {
            mut fetches,
            labels,
        } = Known::read(&folder)?;
        let urls = list.urls();
        if !fetches.is_empty() && !urls.iter().any(|url| fetches.contains_key(*url)) {
            return Err(DownloadError::OtherList {
                path: folder.results(),
                n: fetches.len(),
            });
        }
        let places = settle::find_places(&folder, list, &fetches, &labels);
        fetches.retain(|_, fetch| match &fetch.result {
            Ok(file) => places.contains_key(&file.blake3),
            Err(_) => true,
        });
        let journal = Journal::open(&folder)?;
        Ok(Self {
            list,
            folder,
            journal,
            fetches,
            places,
        })
    }

    /// The URLs to request.
    fn todo(&self, retry_all: bool) -> Vec<&'a str> {
        let is_open = |url: &&str| match self.fetches.get(*url).map(|fetch| &fetch.result) {
            None => true,
            Some(Ok(_)) => false,
            Some(Err(refused)) => retry_all || !refused.fate.is_settled(),
        };
        self.list.urls().into_iter().filter(is_open).collect()
    }

    /// Requests the URLs of `todo`; returns whether it was stopped.
    fn fetch(
        &mut self,
        todo: &[&str],
        options: &DownloadOptions,
        watch: &dyn Watch,
    ) -> Result<bool, DownloadError> {
        let total = self.list.n_urls();
        let before = total - todo.len();
        let urls = self.list.urls();
        let asked: BTreeSet<_> = todo.iter().copied().collect();
        let failed_before = urls.iter().filter(|url| !asked.contains(*url));
        let failed_before = failed_before.filter(|url| self.fetches[**url].result.is_err());
        let now = Progress {
            done: before,
            done_before: before,
            total,
            failures: failed_before.count(),
        };
        // Not borrowed through `self`, which collects the threads' results.
        let Self {
            folder,
            journal,
            fetches,
            places,
            ..
        } = self;
        let fetcher = Fetcher {
            client: Client::new(options),
            schedule: Schedule::new(todo, options.per_host),
            folder,
            options,
            urls: todo,
            memory: Budget::default(),
        };
        let (sender, receiver) = channel();
        thread::scope(|scope| {
            for _ in 0..options.jobs.min(todo.len()) {
                let sender = sender.clone();
                let fetcher = &fetcher;
                scope.spawn(move || fetcher.work(&sender));
            }
            drop(sender);
            let mut keeper = Keeper {
                fetcher: &fetcher,
                journal,
                fetches,
                places,
                now,
            };
            keeper.listen(&receiver, watch)
        })
    }

    /// Decides which pictures count, moves all pictures to their places, and writes results.csv.
    fn settle(
        &mut self,
        placeholder_at: usize,
    ) -> Result<(usize, Vec<Outcome<'_>>), DownloadError> {
        let outcomes = settle::outcomes(self.list, &self.fetches, placeholder_at);
        let n_taken_out = settle::arrange(&self.folder, &outcomes, &self.places)?;
        settle::write_results(&self.folder, self.list, &outcomes)?;
        let journal = self.folder.journal();
        self.journal.clear().map_err(io_error("empty", &journal))?;
        Ok((n_taken_out, outcomes))
    }
}

/// Collects the threads' results on the calling thread.
struct Keeper<'a> {
    fetcher: &'a Fetcher<'a>,
    journal: &'a mut Journal,
    fetches: &'a mut Fetches,
    places: &'a mut Places,
    now: Progress,
}

impl Keeper<'_> {
    /// Runs until all threads have ended; returns whether they were stopped.
    fn listen(
        &mut self,
        receiver: &Receiver<Message>,
        watch: &dyn Watch,
    ) -> Result<bool, DownloadError> {
        let mut is_stopped = false;
        let mut broken = None;
        let mut told = None;
        loop {
            if !is_stopped {
                if told != Some(self.now) {
                    watch.progress(self.now, &"");
                    told = Some(self.now);
                }
                is_stopped = watch.is_stopped();
                if is_stopped {
                    self.stop();
                }
            }
            let kept = match receiver.recv_timeout(ASK_EVERY) {
                Ok(message) => message.and_then(|(index, fetch)| self.keep(index, fetch)),
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if let Err(error) = kept {
                self.stop();
                broken.get_or_insert(error);
            }
        }
        broken.map_or(Ok(is_stopped), Err)
    }

    fn stop(&self) {
        self.fetcher.schedule.stop();
        self.fetcher.client.shut_down();
    }

    fn keep(&mut self, index: usize, fetch: Fetch) -> Result<(), DownloadError> {
        let url = self.fetcher.urls[index];
        let path = self.fetcher.folder.journal();
        let written = self.journal.append(url, &fetch);
        written.map_err(io_error("write", &path))?;
        self.now.done += 1;
        match &fetch.result {
            Ok(file) => {
                let place = self.places.entry(file.blake3.clone());
                let (_, lies_in) = place.or_insert_with(|| (file.clone(), BTreeSet::new()));
                lies_in.insert(None);
            }
            Err(_) => self.now.failures += 1,
        }
        self.fetches.insert(url.to_owned(), fetch);
        Ok(())
    }
}

/// The summary of the outcomes.
fn summary(out: &Path, results: PathBuf, outcomes: &[Outcome]) -> Downloaded {
    let mut by_fate = BTreeMap::new();
    let mut files = BTreeSet::new();
    let mut failures = Vec::new();
    for outcome in outcomes {
        *by_fate.entry(outcome.fate).or_default() += 1;
        if let Some(file) = outcome.picture() {
            files.insert((&outcome.row.label, &file.blake3));
        } else if failures.len() < N_FIRST {
            failures.push(Failure {
                path: outcome.row.url.clone(),
                error: outcome.reason.clone(),
                kind: outcome.fate.name(),
            });
        }
    }
    let mut per_class = BTreeMap::new();
    for (label, _) in files {
        *per_class.entry(label.clone()).or_default() += 1;
    }
    Downloaded {
        out: out.to_owned(),
        results,
        n_rows: outcomes.len(),
        by_fate,
        per_class,
        failures,
        n_fetched: 0,
        n_taken_out: 0,
        elapsed: Duration::ZERO,
    }
}
