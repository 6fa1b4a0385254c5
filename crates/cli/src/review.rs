//! `cnn-codes review`: pictures whose labels are in doubt, corrected on a page, and heads trained again.
//!
//! ```text
//! parts      the stores of a HEAD, and their pictures
//! said       what was said of labels, and the file of it
//! queue      pictures in the order in which they are worth a look
//! copies     pictures that show the same and have different labels
//! session    all of it, for requests
//! training   training again: what the labels changed, and the new HEAD
//! routes     what is answered to which path
//! token      who may ask
//! page       the page
//! apply      a tree of pictures in which the labels are corrected
//! ```

mod apply;
mod copies;
mod page;
mod parts;
mod queue;
mod routes;
mod said;
mod session;
mod token;
mod training;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;

use self::parts::Parts;
use self::session::Session;
use self::token::Token;
use crate::stop::Stop;
use crate::web::http::{self, Names, guarded};
use crate::{folder, positive, print, say, shown};

/// How often it is looked for a signal.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Correct labels in your browser, and train again
///
/// The page shows the pictures of HEAD's stores whose labels are worth a look: labels that contradict the codes, wrong
/// predictions, copies with different labels, outliers, and then the least certain predictions. One key keeps a
/// label, changes it, or sets the picture aside. Each decision is written to relabel.csv at once; pictures and
/// stores are not changed.
///
/// "Train again" repeats the command that made HEAD with the corrected labels, and compares the new heads with the old
/// ones in the same folds. Open the address that is printed: it holds a token, without which the page shows
/// nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cnn-codes review head
  cnn-codes review head --unlabelled codes/new
  cnn-codes review head --apply corrected")]
pub struct Arguments {
    /// Folder that train-head made
    head: PathBuf,
    /// Training store of HEAD [default: its path in HEAD]
    #[arg(long, value_name = "STORE")]
    train: Option<PathBuf>,
    /// Validation store of HEAD [default: its path in HEAD]
    #[arg(long, value_name = "STORE")]
    validation: Option<PathBuf>,
    /// Store of unlabelled pictures: the page suggests which to label next
    #[arg(long, value_name = "STORE")]
    unlabelled: Option<PathBuf>,
    /// Number of suggestions at a time
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = positive)]
    next: usize,
    /// Folder of the training pictures [default: where they were when their codes were extracted]
    #[arg(long, value_name = "DIR", value_parser = folder())]
    pictures: Option<PathBuf>,
    /// CSV table of corrected labels [default: relabel.csv beside the training store]
    #[arg(long, value_name = "FILE")]
    relabel: Option<PathBuf>,
    /// Copy the pictures into a new folder by their corrected labels, DIR/train/CLASS and DIR/validation/CLASS,
    /// without those that are set aside; no page is shown
    #[arg(long, value_name = "DIR")]
    apply: Option<PathBuf>,
    /// With --apply, make hard links instead of copies
    #[arg(long, requires = "apply")]
    link: bool,
    /// Port to listen on, for this machine only; 0 chooses a free one
    #[arg(long, value_name = "PORT", default_value_t = 8001)]
    port: u16,
}

/// Serves the page until a signal, or writes the corrected tree.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let stop = Arc::new(Stop::on_signals_in_training()?);
    let parts = Parts::open(arguments)?;
    let relabel = parts.relabel(arguments);
    if let Some(out) = &arguments.apply {
        return apply::run(&parts, &relabel, out, arguments.link, &stop);
    }
    let session = Session::begin(arguments, parts, relabel, Arc::clone(&stop))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Pictures are decoded on these.
        .max_blocking_threads(4)
        .enable_io()
        .enable_time()
        .build()
        .context("cannot start the server's threads")?;
    runtime.block_on(listen(arguments.port, Arc::clone(&session), &stop))?;
    session.end();
    Ok(stop.exit_code())
}

async fn listen(port: u16, session: Arc<Session>, stop: &Stop) -> anyhow::Result<()> {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(wanted).await;
    let listener = listener
        .with_context(|| format!("cannot listen on {wanted}; --port names another port"))?;
    let address = listener.local_addr().context("cannot tell the port")?;
    let token = Token::random()?;
    say(&format!(
        "decisions are saved in {}; Ctrl-C stops",
        shown(session.relabel())
    ));
    // Behind the #, so that the token is in no request's address, and in no log.
    print(&format!("http://{address}/#{}\n", token.text()))?;
    let ended = async {
        while !stop.is_wanted() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let routes = routes::routes(session, token);
    http::serve(listener, guarded(routes, Names::of(address, None)), ended).await;
    Ok(())
}
