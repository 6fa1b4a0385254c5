//! The work of a thread: requests a URL, checks the answer, keeps it, or tries again later.

use std::sync::mpsc::Sender;
use std::time::Duration;

use super::client::{Answer, Client, Refusal};
use super::folder::Folder;
use super::picture_file::PictureFile;
use super::record::{Fetch, Refused};
use super::schedule::{Schedule, Turn};
use super::{DownloadError, DownloadOptions, Fate};
use cnn_codes::picture::memory::Budget;
use cnn_codes::picture::{self, DecodeError};

/// The longest wait, whatever is requested.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The data that the threads share.
pub(super) struct Fetcher<'a> {
    pub(super) client: Client,
    pub(super) schedule: Schedule,
    pub(super) folder: &'a Folder,
    pub(super) options: &'a DownloadOptions,
    /// The URLs to request.
    pub(super) urls: &'a [&'a str],
    /// Memory shared by the pictures that are being decoded.
    pub(super) memory: Budget,
}

/// The result for the URL of this index, or why nothing can be stored any more.
pub(super) type Message = Result<(usize, Fetch), DownloadError>;

impl Fetcher<'_> {
    /// Takes turns until none are left.
    pub(super) fn work(&self, messages: &Sender<Message>) {
        while let Some(turn) = self.schedule.next() {
            let message = match self.attempt(turn) {
                Ok(Some(fetch)) => Ok((turn.index, fetch)),
                Ok(None) => continue,
                Err(error) => Err(error),
            };
            let is_broken = message.is_err();
            // The receiver outlives the threads.
            let _ = messages.send(message);
            if is_broken {
                return;
            }
            self.schedule.done(turn);
        }
    }

    /// Requests once; `None` if the URL must be requested again, by this run or the next.
    fn attempt(&self, turn: Turn) -> Result<Option<Fetch>, DownloadError> {
        let url = self.urls[turn.index];
        let (http_status, result) = match self.client.get(url) {
            Ok(answer) => (Some(answer.status), self.keep(&answer)?),
            // After a stop, failures are caused by the stop itself.
            Err(_) if self.schedule.is_stopped() => return Ok(None),
            Err(refusal) => {
                if self.comes_again(url, turn, &refusal) {
                    return Ok(None);
                }
                let Refusal { fate, reason, .. } = refusal;
                (refusal.status, Err(Refused { fate, reason }))
            }
        };
        Ok(Some(Fetch {
            result,
            http_status,
            attempts: turn.attempt,
        }))
    }

    /// Postpones the URL if another attempt may succeed, and its host if the server asks for it.
    fn comes_again(&self, url: &str, turn: Turn, refusal: &Refusal) -> bool {
        let wait = self.wait(url, turn.attempt, refusal.retry_after);
        if refusal.fate == Fate::Throttled {
            self.schedule.slow_down(turn, wait);
        }
        let is_worth_it = refusal.fate.is_transient() && turn.attempt <= self.options.retries;
        if is_worth_it {
            self.schedule.again(turn, wait);
        }
        is_worth_it
    }

    /// As long as the server asks for. Otherwise the wait doubles with each attempt, minus up to a
    /// half, which separates URLs that failed together.
    fn wait(&self, url: &str, attempt: u32, asked: Option<Duration>) -> Duration {
        let max_wait = self.options.max_wait.min(MAX_WAIT);
        if let Some(asked) = asked {
            return asked.min(max_wait);
        }
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        let wait = self
            .options
            .retry_wait
            .saturating_mul(doubled)
            .min(max_wait);
        // Derived from the URL and not random, so that equal runs wait equally.
        let hash = blake3::hash(format!("{attempt} {url}").as_bytes());
        wait.mul_f64(1.0 - f64::from(hash.as_bytes()[0]) / 512.0)
    }

    /// Decodes the answer as `extract-features` will, and keeps it if that succeeds.
    fn keep(&self, answer: &Answer) -> Result<Result<PictureFile, Refused>, DownloadError> {
        let file = match self.picture_file(&answer.bytes) {
            Ok(file) => file,
            Err(error) => {
                let (fate, reason) = (Fate::NotAPicture, error.to_string());
                return Ok(Err(Refused { fate, reason }));
            }
        };
        self.folder.save(&file, &answer.bytes)?;
        Ok(Ok(file))
    }

    fn picture_file(&self, bytes: &[u8]) -> Result<PictureFile, DecodeError> {
        let format = picture::sniff(bytes)?;
        let n_bytes = picture::decoding_bytes(bytes)?;
        let _memory = self.memory.wait_for(n_bytes);
        let picture = picture::decode(bytes)?;
        Ok(PictureFile {
            blake3: blake3::hash(bytes).to_hex().to_string(),
            bytes: bytes.len() as u64,
            width: picture.width(),
            height: picture.height(),
            // The first extension is the usual one: jpg, tiff.
            extension: format.extensions_str()[0].to_owned(),
        })
    }
}
