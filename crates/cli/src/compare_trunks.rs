//! `cnn-codes compare-trunks`: which trunk suits the user's own pictures.

mod told;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use cnn_codes::codes::Store;
use cnn_codes::dataset;
use cnn_codes::extract::{ExtractOptions, Extractor};
use cnn_codes::model::{Runtime, Trunk, TrunkOptions};
use cnn_codes::train::{JudgedTrunk, TrainOptions, best_trunk, judge_trunks};

use self::told::{Known, advice, as_json, as_text, page, sentences, title};
use super::groups::GroupArguments;
use super::output_file::write;
use super::progress::PictureDisplay;
use super::stop::Stop;
use super::train_head::{Display, Shown};
use super::trunk::{found, load_runtime, load_trunk};
use super::{
    Format, LimitsOption, ModelsOption, RuntimeOption, default_threads, positive, print_result,
    say, shown,
};
use crate::assets::TRUNKS;

/// Compare trunks on your pictures: accuracy, speed, size and licence
///
/// The codes of each trunk are written to OUT/NAME, a store. The same heads are then cross-validated on each store,
/// in the same folds: on whole codes, and on their means over height and width. Recommended is the fastest
/// trunk whose log loss is within one standard error of the smallest. To continue a run that was stopped, give the same
/// command again; finished stores are reused.
///
/// Give only training pictures: validation pictures that help to choose the trunk would look better than they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cnn-codes compare-trunks pictures/train --out trunks
  cnn-codes compare-trunks pictures/train --out trunks --trunks vgg16,efficientnet-lite0 --html trunks.html
  cnn-codes compare-trunks codes/vgg16 codes/lite0")]
pub struct Arguments {
    /// Folder with one folder of pictures per class; or two or more stores of the same pictures
    #[arg(required = true)]
    pictures: Vec<PathBuf>,
    /// Folder for the stores of the trunks; needed with a folder of pictures
    #[arg(long, value_name = "OUT")]
    out: Option<PathBuf>,
    /// Names of trunks, separated by commas [default: all built-in ones that are installed]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', requires = "out")]
    trunks: Vec<String>,
    /// Number of folds of the cross-validation
    #[arg(long, value_name = "K", default_value_t = TrainOptions::default().folds, value_parser = positive)]
    folds: usize,
    /// Seed of the folds
    #[arg(long, value_name = "SEED", default_value_t = TrainOptions::default().seed)]
    seed: u64,
    /// Threads for decoding and for the trunks, at most 1024 [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = super::numbers::threads)]
    threads: Option<usize>,
    /// Write an HTML page that plots accuracy against speed
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    limits: LimitsOption,
    #[command(flatten)]
    groups: GroupArguments,
    #[command(flatten)]
    models: ModelsOption,
    #[command(flatten)]
    runtime: RuntimeOption,
}

/// Extracts, judges, and prints the comparison.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let stop = Stop::on_signals_in_training()?;
    let (known, stores) = match (arguments.pictures.as_slice(), &arguments.out) {
        ([pictures], Some(out)) => extracted(arguments, pictures, out, &stop)?,
        ([_], None) => bail!("--out is missing: the folder for the trunks' stores"),
        (_, Some(_)) => bail!(
            "--out is for the stores of one folder of pictures; leave it out to compare stores"
        ),
        (stores, None) => opened(arguments, stores)?,
    };
    let mut options = TrainOptions::default();
    options.folds = arguments.folds;
    options.seed = arguments.seed;
    let display = Display::new(&stop);
    let judged = judge_trunks(&stores, &options, &display, |trunk| {
        display.clear();
        let name = title(&known[trunk.store], trunk);
        say(&format!("{name}: log loss {:.4}", trunk.log_loss()));
    });
    let judged = stop.result(judged)?;
    display.clear();
    // Where speed is not known, the smallest log loss decides alone.
    let rate = |trunk: &JudgedTrunk| known[trunk.store].rate.unwrap_or(0.0);
    let rates: Vec<_> = judged.iter().map(rate).collect();
    let chosen = best_trunk(&judged, &rates)?;
    let sentences = sentences(&judged, &known, chosen)?;
    if let Some(html) = &arguments.html {
        let advice = advice(&judged, &known, chosen);
        write(
            html,
            page(&judged, &known, chosen, &sentences, &advice).as_bytes(),
        )?;
    }
    let result = match arguments.format {
        Format::Text => as_text(&judged, &known, chosen, &sentences, &stores),
        Format::Json => as_json(&judged, &known, chosen)?,
    };
    let done = format!("stores: {}", listed(&stores));
    print_result(arguments.format, &result, &done)?;
    Ok(ExitCode::SUCCESS)
}

/// Where the stores are.
fn listed(stores: &[Store]) -> String {
    let dirs: Vec<_> = stores.iter().map(|store| shown(store.dir())).collect();
    dirs.join(", ")
}

/// Stores that are there.
fn opened(arguments: &Arguments, dirs: &[PathBuf]) -> anyhow::Result<(Vec<Known>, Vec<Store>)> {
    let open = arguments.groups.opener()?;
    let (mut known, mut stores) = (Vec::new(), Vec::new());
    for dir in dirs {
        let store = open(dir)?;
        known.push(Known {
            name: shown(dir),
            licence: None,
            megabytes: None,
            rate: None,
        });
        stores.push(store);
    }
    Ok((known, stores))
}

/// Stores of a folder of pictures, one for each trunk.
fn extracted(
    arguments: &Arguments,
    pictures: &Path,
    out: &Path,
    stop: &Stop,
) -> anyhow::Result<(Vec<Known>, Vec<Store>)> {
    let names = names(arguments)?;
    let (_, runtime) = load_runtime(&arguments.models, &arguments.runtime)?;
    let open = arguments.groups.opener()?;
    let (mut known, mut stores) = (Vec::new(), Vec::new());
    for name in &names {
        let extracted = extract(arguments, &runtime, name, (pictures, out), stop);
        known.push(stop.result(extracted)?);
        stores.push(open(&out.join(name))?);
    }
    Ok((known, stores))
}

/// The trunks that are to be compared.
fn names(arguments: &Arguments) -> anyhow::Result<Vec<String>> {
    let models = arguments.models.path()?;
    let names = match arguments.trunks.as_slice() {
        [] => {
            let there = TRUNKS
                .iter()
                .filter(|pin| models.join(pin.card().file).exists());
            there.map(|pin| pin.name.to_owned()).collect()
        }
        given => given.to_vec(),
    };
    if let Some(twice) = (1..names.len()).find(|&place| names[..place].contains(&names[place])) {
        bail!("--trunks names {} twice", names[twice]);
    }
    if names.len() < 2 {
        bail!(
            "there are not two trunks to compare in {}; `cnn-codes trunks` lists what can be fetched, as \
             `cnn-codes fetch efficientnet-lite0`",
            models.display()
        );
    }
    Ok(names)
}

/// Puts the codes of a trunk into their store, unless they are there, and measures how fast it is.
fn extract(
    arguments: &Arguments,
    runtime: &Runtime,
    name: &str,
    (pictures, out): (&Path, &Path),
    stop: &Stop,
) -> anyhow::Result<Known> {
    let (card, file) = found(&arguments.models.path()?, name)?;
    let megabytes = file.metadata().map_or(0.0, |file| file.len() as f64 / 1e6);
    let licence = card.licence.clone();
    let n_threads = arguments.threads.unwrap_or_else(default_threads);
    let mut options = ExtractOptions::for_card(&card);
    options.threads = n_threads;
    options.limits = arguments.limits.limits();
    let on = TrunkOptions::default().with_threads(n_threads);
    let mut trunk = load_trunk(runtime, card, &file, on)?;
    let rate = rate(&mut trunk)?;
    let mut pictures = dataset::find(pictures)?;
    arguments.groups.apply(&mut pictures)?;
    std::fs::create_dir_all(out)
        .with_context(|| format!("cannot make the folder {}", out.display()))?;
    let out = out.join(name);
    say(&format!(
        "{name}: {} pictures, {rate:.0} a second",
        pictures.listed.len()
    ));
    let display = PictureDisplay::new(pictures.listed.len(), stop);
    let extractor = Extractor::new(&mut trunk).options(options).watch(&display);
    let extracted = extractor.run(pictures, &out);
    display.finish();
    let n_failures = extracted?.manifest.counts.failures;
    if n_failures > 0 {
        say(&format!(
            "{name}: could not be used, and left out: {n_failures} ({})",
            shown(&out.join("failures.csv"))
        ));
    }
    Ok(Known {
        name: name.to_owned(),
        licence: Some(licence),
        megabytes: Some(megabytes),
        rate: Some(rate),
    })
}

/// Pictures per second of the trunk alone, of the fastest of three batches.
fn rate(trunk: &mut Trunk) -> anyhow::Result<f64> {
    let input = &trunk.card().input;
    let n = ExtractOptions::BATCH_SIZE;
    let pixels = vec![0.0; n * 3 * input.width as usize * input.height as usize];
    let mut codes = Vec::new();
    let mut fastest = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        trunk.run(&pixels, &mut codes)?;
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    Ok(n as f64 / fastest)
}
