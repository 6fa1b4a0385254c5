//! `cnn-codes evaluate`: HEAD and a store that was kept aside to a comparison, and a line in HEAD that
//! says so.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cnn_codes::codes::Store;
use cnn_codes::head::saved::SavedHead;
use cnn_codes::train::{self, Report};

use super::evaluations::Evaluations;
use super::groups::GroupArguments;
use super::output_file::write;
use super::page::page_of;
use super::trunk::TrunkOption;
use super::tuned::taken_by;
use super::{Format, ModelsOption, folder, print_result, say, shown};

/// Test trained heads on pictures that were kept aside
///
/// STORE is a test set: pictures that were neither trained on nor used to choose a setting. The output is that of
/// train-head for a validation store. Each run adds a line to HEAD/evaluations.csv, because a test set that is used
/// again after each change becomes a validation set, and its numbers too good.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cnn-codes extract-features pictures/test --out codes/test
  cnn-codes evaluate head codes/test --html test.html")]
pub struct Arguments {
    /// Folder that train-head or fine-tune made
    #[arg(value_name = "HEAD")]
    head: PathBuf,
    /// Store of labelled test pictures
    #[arg(value_name = "STORE")]
    store: PathBuf,
    /// Training store of HEAD, searched for pictures of STORE [default: its path in HEAD]
    #[arg(long, value_name = "STORE")]
    train: Option<PathBuf>,
    /// Write an HTML page of the result
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Folder of the test pictures, for thumbnails [default: where they were when their codes were extracted]
    #[arg(long, value_name = "DIR", value_parser = folder())]
    pictures: Option<PathBuf>,
    /// Leave absolute paths, and with them your user name, out of the page and of HEAD/evaluations.csv
    #[arg(long)]
    private: bool,
    /// How the comparison is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    groups: GroupArguments,
    #[command(flatten)]
    trunk: TrunkOption,
    #[command(flatten)]
    models: ModelsOption,
}

/// Judges, notes it in HEAD, and prints the comparison.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let told = Report::read(&arguments.head)?;
    let heads = SavedHead::load(&arguments.head)?;
    let open = arguments.groups.opener()?;
    let (head, trunk, models) = (&arguments.head, &arguments.trunk, &arguments.models);
    let open = |path: &Path| taken_by(head, &heads.codes, open(path)?, trunk, models);
    let store = open(&arguments.store)?;
    let training = match &arguments.train {
        Some(train) => Some(open(train)?),
        None => training_store(&told, open),
    };
    let mut report = train::evaluate(
        &heads,
        &told,
        &store,
        training.as_ref(),
        arguments.pictures.as_deref(),
    )?;
    let mut evaluations = Evaluations::read(&arguments.head)?;
    let called = name(arguments, &store);
    report.comparison.test_store = Some(match arguments.private {
        true => called.clone(),
        false => shown(store.dir()),
    });
    evaluations.add(&arguments.head, &store, called, &report.comparison)?;
    evaluations.write(&arguments.head)?;
    let counted = evaluations.sentence(&arguments.head)?.unwrap_or_default();
    if let Some(html) = &arguments.html {
        let pictures = arguments.pictures.as_deref();
        let page = page_of(&mut report, evaluations, pictures, arguments.private);
        write(html, page.as_bytes())?;
    }
    let comparison = &report.comparison;
    let result = match arguments.format {
        Format::Text => format!("{}\n{counted}\n", comparison.to_text()),
        Format::Json => format!("{:#}\n", comparison.to_json()),
    };
    print_result(arguments.format, &result, &counted)?;
    Ok(ExitCode::SUCCESS)
}

/// The training store where HEAD says that it was, if it is still there and still the same one.
fn training_store(told: &Report, open: impl Fn(&Path) -> anyhow::Result<Store>) -> Option<Store> {
    let provenance = &told.provenance.train;
    let is_same = |store: &Store| {
        store.pictures().len() == provenance.pictures
            && store.manifest().store.codes == told.heads.codes
            && store.classes() == told.heads.classes
    };
    let why = match open(Path::new(&provenance.store)) {
        Ok(store) if is_same(&store) => return Some(store),
        Ok(_) => "it is another store now".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    say(&format!(
        "cannot tell whether STORE has training pictures: the training store {} cannot be read: {why}; \
         name it with --train",
        cnn_codes::messages::visible(&provenance.store)
    ));
    None
}

/// What the store is called in the list of evaluations.
fn name(arguments: &Arguments, store: &Store) -> String {
    let name = match arguments.private {
        true => Path::new(store.dir().file_name().unwrap_or_default()).to_owned(),
        false => std::path::absolute(store.dir()).unwrap_or(store.dir().to_owned()),
    };
    name.display().to_string()
}
