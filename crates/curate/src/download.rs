//! Pictures from the web: a list of URLs and labels becomes a folder for each label.
//!
//! ```text
//! UrlList -> schedule -> client -> decode -> .download/HASH.jpg -> settle -> LABEL/HASH.jpg
//! url,label  a few at    public    as for                          once all   results.csv
//!            a time of   addresses  codes                          are known
//!            each host   alone
//! ```
//!
//! A picture counts only once it was decoded, by the decoder and with the limits of
//! an extraction. Its name is the BLAKE3 of its bytes and its ending that of its
//! format, so nothing that a server says decides where a file goes. What came under two labels, or
//! from many URLs, is set aside in `.download`, where no class is looked for.
//!
//! Every row's fate is in results.csv; the next run of the same list asks only for what may end
//! better.

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

/// How often the caller is asked whether to go on while nothing comes.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// How many failures are reported in words; results.csv has all.
const N_FIRST: usize = 5;

/// How to download.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DownloadOptions {
    /// Requests at once, at least 1. Each may hold `max_bytes` in memory; the pictures that are decoded
    /// share 384 MiB, whatever their number.
    pub jobs: usize,
    /// Requests at once to one host, at least 1. Where a redirect leads does not count.
    pub per_host: usize,
    /// The longest time for a request, from the name's resolution to the last byte, with redirects.
    pub timeout: Duration,
    /// How often a URL is asked for again after a failure that may pass.
    pub retries: u32,
    /// The wait before the second attempt, doubled before each one after that.
    pub retry_wait: Duration,
    /// The longest wait before an attempt, whatever a server asks for with Retry-After.
    pub max_wait: Duration,
    /// The most bytes of an answer; no more than 512 MiB, which is all that extraction reads.
    pub max_bytes: u64,
    /// How often one request may be redirected; none with 0.
    pub max_redirects: u32,
    /// How servers are told who asks.
    pub user_agent: String,
    /// Whether hosts that are not on the public internet may be asked. Only then is a proxy that
    /// the environment names used too: behind it, addresses cannot be judged.
    pub allow_private: bool,
    /// From how many URLs the same bytes are taken for a placeholder, at least 2.
    pub placeholder_at: usize,
    /// Whether to ask again for all URLs that gave no picture, and not only for those that may end
    /// better.
    pub retry_all: bool,
}

/// A few requests at once, and a few attempts at what may pass; only what is on the public internet.
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

/// What a download left.
#[derive(Clone, Debug)]
pub struct Downloaded {
    /// The folder that holds a folder for each label.
    pub out: PathBuf,
    /// The table of all rows' fates.
    pub results: PathBuf,
    /// Rows of the list.
    pub n_rows: usize,
    /// Rows of each fate.
    pub by_fate: BTreeMap<Fate, usize>,
    /// Pictures in each label's folder that are of the list.
    pub per_class: BTreeMap<String, usize>,
    /// The first rows that gave nothing to use, by their URLs.
    pub failures: Vec<Failure>,
    /// URLs that were asked for in this run.
    pub n_fetched: usize,
    /// Pictures that were set aside because no row of the list has them any more.
    pub n_taken_out: usize,
    /// How long it took.
    pub elapsed: Duration,
}

/// Fetches the pictures of `list` into `out`, a folder for each label.
///
/// A run that was stopped or killed goes on when it is called again: URLs that gave a picture that
/// is still there, or failed for good, are left alone. `watch` is told how far it is, in URLs: rows
/// that are refused, or repeat a URL, do not count. When it stops the job, requests under way are
/// ended, and what was had is put in order.
///
/// results.csv follows the order of `list`. What is in `out` besides is left as it is.
///
/// # Errors
/// [`DownloadError`]. What was had by then is kept for the next run.
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

/// A run, and what is known by now.
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

    /// The URLs to ask for.
    fn todo(&self, retry_all: bool) -> Vec<&'a str> {
        let is_open = |url: &&str| match self.fetches.get(*url).map(|fetch| &fetch.result) {
            None => true,
            Some(Ok(_)) => false,
            Some(Err(refused)) => retry_all || !refused.fate.is_settled(),
        };
        self.list.urls().into_iter().filter(is_open).collect()
    }

    /// Asks for the URLs of `todo`; returns whether it was stopped on the way.
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
        // Not borrowed through `self`, which takes up what the threads find.
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

    /// Decides what counts, brings all pictures to their places, and writes results.csv.
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

/// Takes up what the threads find, on the calling thread.
struct Keeper<'a> {
    fetcher: &'a Fetcher<'a>,
    journal: &'a mut Journal,
    fetches: &'a mut Fetches,
    places: &'a mut Places,
    now: Progress,
}

impl Keeper<'_> {
    /// Until all threads have ended; returns whether they were stopped.
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

/// What the outcomes come to.
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
