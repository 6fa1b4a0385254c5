//! `cnn-codes doctor`: what is found, what is missing, what to do.

use std::path::Path;
use std::process::ExitCode;

use crate::assets::{RuntimeState, TrunkPin, runtime_state, verify};
use cnn_codes::model::{Device, Kernels, Library, ModelCard, Runtime, TrunkError, TrunkOptions};
use cnn_codes_onnxruntime::Origin;
use ort_winograd::Instructions;
use serde_json::json;

use super::models::ModelsFolder;
use super::trunk::{found, load_trunk};
use super::{Format, ModelsOption, RuntimeOption, default_threads, print, print_json, visible};

/// How far codes may be from those on a card, as a share of the largest number: another processor makes some
/// millionths, and a wrong recipe or kernel more than a tenth.
const SAME: f64 = 1e-4;

/// Check the installation: what is found, what is missing, and what to do
///
/// The exit code is 1 if something is missing that extract-features needs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cnn-codes doctor
  cnn-codes doctor --trunk vgg16")]
pub struct Arguments {
    /// Also check this trunk: the hash of its weights, and the codes of the reference pictures in its card
    #[arg(long, value_name = "NAME")]
    trunk: Option<String>,
    /// How the findings are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    models: ModelsOption,
    #[command(flatten)]
    runtime: RuntimeOption,
}

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    is_good: bool,
    found: String,
    /// What to do where it is not good.
    advice: Option<String>,
}

impl Finding {
    fn good(what: &'static str, found: impl Into<String>) -> Self {
        Self {
            what,
            is_good: true,
            found: found.into(),
            advice: None,
        }
    }

    fn bad(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            what,
            is_good: false,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }
}

/// Looks at everything, prints it, and fails if something is missing.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let folder = arguments.models.find()?;
    let models = folder.path.as_path();
    let mut findings = vec![
        Finding::good("cnn-codes", env!("CARGO_PKG_VERSION")),
        Finding::good("processor", processor()),
        Finding::good("threads", default_threads().to_string()),
    ];
    findings.push(models_folder(&folder));
    findings.extend(runtime(arguments.runtime.onnxruntime.as_deref(), models));
    match &arguments.trunk {
        None => findings.push(trunk(models)),
        Some(name) => {
            let on = |kernels| proved(arguments, models, name, kernels);
            findings.extend(on(Kernels::OnnxRuntime));
            // What does not run at all is told once.
            if findings.last().is_some_and(|finding| finding.is_good) {
                findings.extend(on(Kernels::Winograd));
            }
        }
    }
    match arguments.format {
        Format::Text => print(&as_text(&findings))?,
        Format::Json => print_json(&as_json(&findings))?,
    }
    let all_good = findings.iter().all(|finding| finding.is_good);
    Ok(if all_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Architecture, and the vector instructions that kernels are compiled for.
fn processor() -> String {
    let features = match Instructions::detect().features() {
        [] => "no vector instructions known to be of use".to_owned(),
        features => features.join(", "),
    };
    format!("{} with {features}", std::env::consts::ARCH)
}

/// The folder of the assets, why it is the one, and one that might be taken for it.
fn models_folder(folder: &ModelsFolder) -> Finding {
    let mut found = format!("{} ({})", folder.path.display(), folder.reason);
    if let Some(other) = folder.passed_over() {
        found += &format!(
            "; {} in the current folder is not looked at: `--models {0}` takes it",
            other.display()
        );
    }
    Finding::good("models", found)
}

/// Damage to what `fetch` once installed, where another library is taken.
fn installation(models: &Path) -> Option<Finding> {
    match runtime_state(models) {
        RuntimeState::Damaged { reason } => Some(Finding::bad(
            "installation",
            format!("{}: {reason}", models.join("onnxruntime").display()),
            "run `cnn-codes fetch onnxruntime`",
        )),
        _ => None,
    }
}

/// The library, where it is and what it can do.
fn runtime(explicit: Option<&Path>, models: &Path) -> Vec<Finding> {
    let loaded = Library::find(explicit, models).and_then(|library| Runtime::load(&library));
    let runtime = match loaded {
        Ok(runtime) => runtime,
        Err(error) => {
            return vec![Finding::bad(
                "ONNX Runtime",
                error.to_string(),
                "run `cnn-codes fetch onnxruntime`",
            )];
        }
    };
    let library = runtime.library();
    let providers = if runtime.has_cuda() {
        "CPU; CUDA is built in (`extract-features --device cuda` shows whether it works here)"
    } else {
        "CPU (for CUDA: `cnn-codes fetch onnxruntime --cuda`)"
    };
    let is_another = library.origin != Origin::Models;
    let damage = is_another.then(|| installation(models)).flatten();
    let library = [
        Finding::good(
            "ONNX Runtime",
            format!(
                "{}, {} ({})",
                runtime.version(),
                library.path.display(),
                library.origin
            ),
        ),
        Finding::good("providers", providers),
    ];
    damage.into_iter().chain(library).collect()
}

/// VGG16's file and weights.
fn trunk(models: &Path) -> Finding {
    let path = models.join(ModelCard::vgg16().file);
    if !path.exists() {
        return Finding::bad(
            "VGG16",
            format!("there is no {}", path.display()),
            "run `cnn-codes fetch vgg16`",
        );
    }
    match verify(&path, &ModelCard::vgg16()) {
        Ok(()) => Finding::good("VGG16", format!("{}, its weights verified", path.display())),
        Err(error) => Finding::bad("VGG16", error.to_string(), "run `cnn-codes fetch vgg16`"),
    }
}

/// A trunk that is loaded and run on these kernels; nothing if it has no use for those of `ort-winograd`.
fn proved(arguments: &Arguments, models: &Path, name: &str, kernels: Kernels) -> Option<Finding> {
    let what = match kernels {
        Kernels::Winograd => "trunk, fast",
        _ => "trunk",
    };
    let options = TrunkOptions::default()
        .with_device(Device::Cpu)
        .with_kernels(kernels);
    let distance = || {
        let (card, file) = found(models, name)?;
        let library = Library::find(arguments.runtime.onnxruntime.as_deref(), models)?;
        let mut trunk = load_trunk(&Runtime::load(&library)?, card, &file, options)?;
        anyhow::Ok(trunk.distance_to_references()?)
    };
    Some(match distance() {
        Ok(Some(distance)) if distance <= SAME => Finding::good(
            what,
            format!(
                "{name} on {kernels}'s kernels: its reference codes come out, to {distance:.0e}"
            ),
        ),
        Ok(Some(distance)) => Finding::bad(
            what,
            format!(
                "{name} on {kernels}'s kernels: its reference codes are off by {distance:.1e} of the largest number, \
                 where {SAME:.0e} is allowed"
            ),
            "do not use its codes: compare the recipe on its card with the one that it was trained with",
        ),
        Ok(None) => Finding::good(
            what,
            format!("{name} runs on {kernels}'s kernels; its card has no reference codes"),
        ),
        Err(error) if has_no_use(&error) => return None,
        Err(error) => Finding::bad(what, format!("{error:#}"), advice_for(name)),
    })
}

/// Whether the trunk is none for the kernels that were asked for.
fn has_no_use(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(TrunkError::Kernels { .. }))
}

/// What helps where a trunk cannot be run.
fn advice_for(name: &str) -> String {
    match TrunkPin::named(name) {
        Some(_) => format!("run `cnn-codes fetch {name}`"),
        None => "choose one that `cnn-codes trunks` lists as here".to_owned(),
    }
}

fn as_text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let mark = if finding.is_good { "ok" } else { "!!" };
        text += &format!("{mark}  {:13} {}\n", finding.what, visible(&finding.found));
        if let Some(advice) = &finding.advice {
            text += &format!("    {:13} to do: {advice}\n", "");
        }
    }
    text
}

fn as_json(findings: &[Finding]) -> String {
    let findings: Vec<_> = findings
        .iter()
        .map(|finding| {
            json!({
                "what": finding.what,
                "ok": finding.is_good,
                "found": finding.found,
                "advice": finding.advice,
            })
        })
        .collect();
    format!("{:#}\n", json!({ "findings": findings }))
}
