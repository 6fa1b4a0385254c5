//! `cnn-codes download`: arguments to options, the library's call, the summary.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::value_parser;
use cnn_codes::dataset::MAX_FILE_BYTES;
use cnn_codes_curate::download::{
    DownloadOptions, Downloaded, Fate, USER_AGENT, UrlList, download, environment_has_proxy,
};
use serde_json::json;

use super::progress::PictureDisplay;
use super::stop::Stop;
use super::{Format, positive, print_result, remedy, say, shown, threads, visible};

/// Groups of options in the help.
const REQUESTS: &str = "Requests";
const ACCEPTED: &str = "What is accepted";
const FAILURES: &str = "After failures";

/// The longest time that an option takes: a day.
const MAX_SECONDS: f64 = 86_400.0;

/// Download pictures from a list of URLs into one folder per label
///
/// Each file is decoded, and saved as DIR/LABEL/HASH.jpg if it is a picture. DIR/results.csv lists the result of
/// every row. Equal files under two labels, or from many URLs (placeholders for removed pictures), are set aside in
/// DIR/.download. The exit code is 0 if at least one picture can be used.
///
/// To continue a run that was stopped or killed, give the same command again. It also tries URLs again that failed
/// with time-outs, broken connections, or HTTP status 429 or 5xx.
///
/// results.csv repeats the fields of your list. In a spreadsheet, import the columns of a list that you do not
/// trust as text: fields that begin with = + - or @ are run as formulas otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cnn-codes download urls.csv --out pictures
  cnn-codes download - --out pictures --per-host 1 < urls.csv
  cnn-codes extract-features pictures --out codes")]
pub struct Arguments {
    /// CSV file with the columns url and label, or - for stdin; other columns are copied to results.csv. At most
    /// 2 GiB and 20 million lines
    #[arg(value_name = "URLS")]
    list: PathBuf,
    /// The folder to fill
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of requests at the same time, at most 1024
    #[arg(long, help_heading = REQUESTS, default_value_t = DownloadOptions::default().jobs, value_name = "N", value_parser = threads)]
    jobs: usize,
    /// Number of requests to one host at the same time, at most 1024; halved when the host answers 429 or 503
    #[arg(long, help_heading = REQUESTS, default_value_t = DownloadOptions::default().per_host, value_name = "N", value_parser = threads)]
    per_host: usize,
    /// Time limit of one request, redirects included
    #[arg(long, help_heading = REQUESTS, default_value = "30", value_name = "SECONDS", value_parser = timeout)]
    timeout: Duration,
    /// How often to repeat a request after a temporary failure, at most 100 times
    #[arg(long, help_heading = FAILURES, default_value_t = DownloadOptions::default().retries, value_name = "N", value_parser = value_parser!(u32).range(..=100))]
    retries: u32,
    /// Wait before the first repetition; doubled for each further one
    #[arg(long, help_heading = FAILURES, default_value = "1", value_name = "SECONDS", value_parser = seconds)]
    retry_wait: Duration,
    /// Longest wait, even if a server asks for a longer one (Retry-After)
    #[arg(long, help_heading = FAILURES, default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    max_wait: Duration,
    /// Largest file, in bytes; at most 536870912, the limit of extract-features
    #[arg(long, help_heading = ACCEPTED, default_value_t = DownloadOptions::default().max_bytes, value_name = "BYTES", value_parser = value_parser!(u64).range(..=MAX_FILE_BYTES))]
    max_bytes: u64,
    /// Number of redirects that one request may follow, at most 100
    #[arg(long, help_heading = REQUESTS, default_value_t = DownloadOptions::default().max_redirects, value_name = "N", value_parser = value_parser!(u32).range(..=100))]
    max_redirects: u32,
    /// User-Agent header of the requests
    #[arg(long, help_heading = REQUESTS, default_value = USER_AGENT, value_name = "TEXT", value_parser = header)]
    user_agent: String,
    /// Also allow hosts that are not on the public internet (this machine, private networks), and use the proxy
    /// that the environment names (HTTPS_PROXY and others)
    #[arg(long, help_heading = REQUESTS)]
    allow_private: bool,
    /// Treat a file as a placeholder if N URLs return it
    #[arg(long, help_heading = ACCEPTED, default_value_t = DownloadOptions::default().placeholder_at, value_name = "N", value_parser = at_least_two)]
    placeholder_at: usize,
    /// When continuing a run, try all URLs again that returned no picture, even those that answered 404
    #[arg(long, help_heading = FAILURES)]
    retry_all: bool,
    /// How the summary is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Downloads, and prints the summary.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let list = read_list(&arguments.list)?;
    let options = download_options(arguments);
    if !options.allow_private && environment_has_proxy() {
        say(
            "the environment names a proxy, which is not used: behind a proxy, private addresses cannot be \
             recognised; give --allow-private to use it",
        );
    }
    say(&format!(
        "{} rows, {} URLs to {}",
        list.len(),
        list.n_urls(),
        arguments.out.display()
    ));
    let stop = Stop::on_signals()?;
    let display = PictureDisplay::new(list.n_urls(), &stop);
    let downloaded = download(&list, &arguments.out, &options, &display);
    display.finish();
    let downloaded = stop.result(downloaded)?;
    let result = match arguments.format {
        Format::Text => text(&downloaded),
        Format::Json => json(&downloaded),
    };
    let done = format!("pictures and {}", downloaded.results.display());
    print_result(arguments.format, &result, &done)?;
    Ok(ExitCode::SUCCESS)
}

fn read_list(list: &Path) -> anyhow::Result<UrlList> {
    if list.as_os_str() == "-" {
        return Ok(UrlList::read("the list on stdin", crate::host::input())?);
    }
    let name = list.display().to_string();
    // In one line with its cause, as the library's errors are.
    let file = File::open(list).map_err(|error| anyhow::anyhow!("cannot read {name}: {error}"))?;
    Ok(UrlList::read(&name, file)?)
}

pub(super) fn download_options(arguments: &Arguments) -> DownloadOptions {
    let mut options = DownloadOptions::default();
    options.jobs = arguments.jobs;
    options.per_host = arguments.per_host;
    options.timeout = arguments.timeout;
    options.retries = arguments.retries;
    options.retry_wait = arguments.retry_wait;
    options.max_wait = arguments.max_wait;
    options.max_bytes = arguments.max_bytes;
    options.max_redirects = arguments.max_redirects;
    options.user_agent = arguments.user_agent.clone();
    options.allow_private = arguments.allow_private;
    options.placeholder_at = arguments.placeholder_at;
    options.retry_all = arguments.retry_all;
    options
}

/// The summary for people.
fn text(downloaded: &Downloaded) -> String {
    let n_pictures: usize = downloaded.per_class.values().sum();
    let mut text = format!(
        "{n_pictures} pictures of {} classes, {} URLs asked for in {:.1} s\n",
        downloaded.per_class.len(),
        downloaded.n_fetched,
        downloaded.elapsed.as_secs_f64(),
    );
    for (class, n) in &downloaded.per_class {
        text += &format!("  {n:6}  {}\n", visible(class));
    }
    text += &format!("rows: {}\n", downloaded.n_rows);
    for (fate, n) in &downloaded.by_fate {
        text += &format!("  {n:6}  {}\n", fate.name().replace('_', " "));
    }
    for failure in &downloaded.failures {
        text += &format!(
            "  {}: {}\n",
            visible(&failure.path),
            visible(&remedy::reason(failure))
        );
    }
    let more = n_failures(downloaded) - downloaded.failures.len();
    if more > 0 {
        text += &format!("  and {more} more\n");
    }
    if downloaded.n_taken_out > 0 {
        text += &format!(
            "set aside, because the list has them no more: {} pictures ({})\n",
            downloaded.n_taken_out,
            shown(&downloaded.out.join(".download"))
        );
    }
    text + &format!("results: {}\n", shown(&downloaded.results))
}

/// The summary for programs.
fn json(downloaded: &Downloaded) -> String {
    let by_status: serde_json::Map<_, _> = downloaded
        .by_fate
        .iter()
        .map(|(fate, n)| (fate.name().to_owned(), json!(n)))
        .collect();
    let first: Vec<_> = downloaded
        .failures
        .iter()
        .map(|failure| json!({ "url": failure.path, "status": failure.kind, "error": remedy::reason(failure) }))
        .collect();
    let document = json!({
        "out": downloaded.out.display().to_string(),
        "results": downloaded.results.display().to_string(),
        "pictures": downloaded.per_class.values().sum::<usize>(),
        "per_class": downloaded.per_class,
        "rows": downloaded.n_rows,
        "by_status": by_status,
        "failures": { "total": n_failures(downloaded), "first": first },
        "urls_asked_for": downloaded.n_fetched,
        "set_aside": downloaded.n_taken_out,
        "seconds": downloaded.elapsed.as_secs_f64(),
    });
    format!("{document:#}\n")
}

fn n_failures(downloaded: &Downloaded) -> usize {
    downloaded.n_rows - downloaded.by_fate.get(&Fate::Ok).copied().unwrap_or(0)
}

/// A time of 0 to a day.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=MAX_SECONDS).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        Ok(_) => Err(format!("it must be 0 to {MAX_SECONDS}, a day")),
        Err(_) => Err("it is not a number of seconds".to_owned()),
    }
}

/// A time of more than 0.
fn timeout(text: &str) -> Result<Duration, String> {
    let time = seconds(text)?;
    if time.is_zero() {
        return Err("it must be more than 0".to_owned());
    }
    Ok(time)
}

fn at_least_two(text: &str) -> Result<usize, String> {
    match positive(text)? {
        1 => Err("it must be at least 2".to_owned()),
        n => Ok(n),
    }
}

/// What can be sent in a header of a request.
fn header(text: &str) -> Result<String, String> {
    let is_sendable = text
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if text.is_empty() || !is_sendable {
        return Err("it must be printable ASCII".to_owned());
    }
    Ok(text.to_owned())
}
