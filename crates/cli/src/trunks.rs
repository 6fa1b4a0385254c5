//! `cnn-codes trunks`: the trunks that can be fetched, and those that are there.

use std::path::Path;
use std::process::ExitCode;

use cnn_codes::model::ModelCard;
use serde_json::json;

use super::trunk::cards_in;
use super::{Format, ModelsOption, print_result};
use crate::assets::{TRUNKS, TrunkPin};

/// List the trunks, with input and output size, licence, and which are installed
///
/// `cnn-codes fetch NAME` installs one, and `extract-features --trunk NAME` uses it. A trunk of your own is listed
/// once its model card, FILE.toml, lies in the models folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cnn-codes trunks
  cnn-codes trunks --format json")]
pub struct Arguments {
    /// How the list is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    models: ModelsOption,
}

/// A trunk, and what is known of it.
struct Listed {
    card: ModelCard,
    pin: Option<TrunkPin>,
    /// Megabytes of its file, if that is there.
    megabytes: Option<f64>,
}

/// Prints the list.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let models = arguments.models.path()?;
    let trunks = listed(&models);
    let text = match arguments.format {
        Format::Text => as_text(&trunks, &models),
        Format::Json => as_json(&trunks),
    };
    print_result(arguments.format, &text, "")?;
    Ok(ExitCode::SUCCESS)
}

fn listed(models: &Path) -> Vec<Listed> {
    let fetched = TRUNKS.map(|pin| (pin.card(), Some(pin)));
    let others = cards_in(models)
        .filter(|card| TrunkPin::named(&card.name).is_none())
        .map(|card| (card, None));
    let all = fetched.into_iter().chain(others);
    all.map(|(card, pin)| {
        let file = models.join(&card.file).metadata();
        Listed {
            megabytes: file.ok().map(|file| file.len() as f64 / 1e6),
            card,
            pin,
        }
    })
    .collect()
}

fn as_text(trunks: &[Listed], models: &Path) -> String {
    let mut text = format!(
        "{:20} {:>4} {:>9} {:>13} {:>10} {:>6}  {:14} {}\n",
        "trunk", "year", "input", "output", "parameters", "GMAC", "licence", "here"
    );
    for Listed {
        card,
        pin,
        megabytes,
    } in trunks
    {
        let unknown = || "?".to_owned();
        let known = |what: fn(&TrunkPin) -> String| pin.as_ref().map_or_else(unknown, what);
        let here = match (megabytes, pin) {
            (Some(megabytes), _) => format!("{megabytes:.0} MB"),
            (None, Some(_)) => format!("no: cnn-codes fetch {}", card.name),
            (None, None) => format!("no: its file {} is missing", card.file),
        };
        text += &format!(
            "{:20} {:>4} {:>9} {:>13} {:>10} {:>6}  {:14} {here}\n",
            card.name,
            known(|pin| pin.year.to_string()),
            format!("{}x{}", card.input.width, card.input.height),
            shape(&card.output.shape),
            known(|pin| format!("{:.1} M", pin.parameters as f64 / 1e6)),
            known(|pin| format!("{:.2}", pin.gmac)),
            card.licence,
        );
    }
    text += &format!("models: {}\n", models.display());
    text
}

fn as_json(trunks: &[Listed]) -> String {
    let trunks = trunks.iter().map(|listed| {
        let Listed {
            card,
            pin,
            megabytes,
        } = listed;
        json!({
            "name": card.name,
            "year": pin.map(|pin| pin.year),
            "width": card.input.width,
            "height": card.input.height,
            "output": card.output.shape,
            "parameters": pin.map(|pin| pin.parameters),
            "gmac": pin.map(|pin| pin.gmac),
            "licence": card.licence,
            "can_be_fetched": pin.is_some(),
            "is_here": megabytes.is_some(),
        })
    });
    format!("{:#}\n", json!({ "trunks": trunks.collect::<Vec<_>>() }))
}

/// The axes of one picture's output: `7x7x512`.
fn shape(axes: &[u64]) -> String {
    let axes: Vec<_> = axes.iter().map(u64::to_string).collect();
    axes.join("x")
}
