//! `cnn-codes serve`: a head for whoever asks over HTTP, and a page to try it.
//!
//! ```text
//! routes    what is answered to which path; /predict
//! v2        the Open Inference Protocol
//! worker    the one thread that predicts; the queue before it; a head that is exchanged
//! metrics   what happened, for Prometheus
//! training  the training pictures that are nearest
//! openapi   the description of it all
//! page      the page
//! ```

mod metrics;
mod openapi;
mod page;
mod routes;
mod training;
mod v2;
mod worker;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;

use self::metrics::Metrics;
use self::routes::{Served, routes};
use self::training::Shown;
use self::worker::Worker;
use crate::predict::{Classifying, classifier_of, predictor_of};
use crate::stop::Stop;
use crate::web::body::Bodies;
use crate::web::http::{self, Names, guarded};
use crate::{positive, print, say};

/// Bytes of a request where nothing else is asked for.
const MOST_BYTES: usize = 64 << 20;
/// How often it is looked for a signal.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Serve predictions over HTTP, with a page to try them
///
/// Drop, paste or choose pictures on the page, or upload them: `curl -T new.jpg http://127.0.0.1:8000/predict` returns
/// the JSON of `predict --format json`. The server also has the Open Inference Protocol (/v2), an OpenAPI description
/// (/openapi.json) and metrics for Prometheus (/metrics).
///
/// Only this machine can connect, and there are neither users nor TLS. To serve others, run it behind a reverse
/// proxy. Ctrl-C and SIGTERM finish the requests in progress.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cnn-codes serve head
  curl -T new.jpg http://127.0.0.1:8000/predict
  curl -F a=@new.jpg -F b=@other.jpg http://127.0.0.1:8000/predict")]
pub struct Arguments {
    /// Folder that train-head or fine-tune made
    head: PathBuf,
    /// Port to listen on; 0 chooses a free one
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    port: u16,
    /// Address to listen on; everybody who reaches it can use the server
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    listen: std::net::IpAddr,
    /// Additional host name that requests may carry, for use behind a proxy
    #[arg(long = "name", value_name = "HOST")]
    host: Option<String>,
    /// Reload the head when it changes on disk
    #[arg(long)]
    watch: bool,
    /// Show the nearest training pictures to all clients, even with --listen or --name; without these two options
    /// they are always shown
    #[arg(long)]
    show_training: bool,
    /// Number of pictures that may wait; further requests are answered with 503
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = positive)]
    queue: usize,
    #[command(flatten)]
    by: Classifying,
}

impl Arguments {
    /// Whether training pictures are shown: they may be private, and whoever reaches the server sees them.
    fn shows_training(&self) -> bool {
        self.show_training || (self.listen.is_loopback() && self.host.is_none())
    }
}

/// Serves until a signal.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let stop = Stop::on_signals()?;
    let name = arguments.head.canonicalize();
    let name = name.unwrap_or_else(|_| arguments.head.clone());
    let Some(name) = name.file_name().and_then(|name| name.to_str()) else {
        bail!("the name of {} is not UTF-8", arguments.head.display());
    };
    let (mut predictor, options) = predictor_of(&arguments.by, &arguments.head)?;
    say(&format!(
        "the {} head of {} classes, through {} on {}",
        predictor.classifier().name(),
        predictor.classifier().classes().len(),
        predictor.trunk().card().name,
        predictor.trunk().provider()
    ));
    let shown = arguments.shows_training().then(Shown::default);
    if let Some(shown) = &shown {
        let classifier = predictor.classifier().clone();
        predictor.exchange(shown.with(&arguments.head, classifier))?;
    }
    let metrics = Arc::new(Metrics::default());
    let worker = Worker::start(predictor, options, arguments.queue, Arc::clone(&metrics))?;
    let served = Arc::new(Served {
        worker: Arc::new(worker),
        metrics,
        bodies: Bodies::new(MOST_BYTES),
        wanted: arguments.by.wanted(),
        shown,
        name: name.to_owned(),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_io()
        .enable_time()
        .build()
        .context("cannot start the server's threads")?;
    runtime.block_on(listen(arguments, Arc::clone(&served), &stop))?;
    served.worker.end();
    Ok(stop.exit_code())
}

async fn listen(arguments: &Arguments, served: Arc<Served>, stop: &Stop) -> anyhow::Result<()> {
    let wanted = SocketAddr::new(arguments.listen, arguments.port);
    let listener = TcpListener::bind(wanted).await;
    let listener = listener
        .with_context(|| format!("cannot listen on {wanted}; --port names another port"))?;
    let address = listener.local_addr().context("cannot tell the port")?;
    if !address.ip().is_loopback() {
        say(
            "warning: everybody who reaches this address can use the server: it has neither users nor TLS; put a \
             reverse proxy in front of it",
        );
    }
    if arguments.watch {
        let (head, by) = (arguments.head.clone(), arguments.by.clone());
        let shown = served.shown.clone();
        let load = move || {
            let classifier = classifier_of(&by, &head)?;
            Ok(match &shown {
                Some(shown) => shown.with(&head, classifier),
                None => classifier,
            })
        };
        worker::watch(arguments.head.clone(), load, Arc::clone(&served.worker))?;
    }
    let names = Names::of(address, arguments.host.as_deref());
    print(&format!("http://{address}/\n"))?;
    let ended = async {
        while !stop.is_wanted() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        say("stopping: requests in progress are finished, and new ones refused");
    };
    http::serve(listener, guarded(routes(served), names), ended).await;
    Ok(())
}
