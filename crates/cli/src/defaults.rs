//! What the command line takes where it is not told otherwise is the library's own.

use std::fmt::Debug;

use clap::{CommandFactory, Parser};
use cnn_codes::extract::ExtractOptions;
use cnn_codes::head::logistic::LogisticOptions;
use cnn_codes::head::mlp::MlpOptions;
use cnn_codes::head::optimizer::{OptimizerKind, OptimizerOptions, ScheduleKind};
use cnn_codes::head::{HeadKind, HeadOptions};
use cnn_codes::model::{ModelCard, TrunkOptions};
use cnn_codes::picture::Recipe;
use cnn_codes::train::{Told, TrainOptions};
use cnn_codes::tune::TuneOptions;
use cnn_codes_curate::check::CheckOptions;
use cnn_codes_curate::download::DownloadOptions;
use cnn_codes_curate::split::SplitOptions;

use crate::{Arguments, Verb, check, default_threads, download, extract_features, predict, split};

/// Options with a default of their own in the text of the help, of each verb that has some, besides `--format`: all of
/// them are looked at below, or take the library's constant.
const WITH_DEFAULTS: [(&str, &[&str]); 11] = [
    (
        "train-head",
        &[
            "head",
            "repeats",
            "class_weights",
            "hidden",
            "dropout",
            "epochs",
            "batch_size",
            "keep",
            "hold_out",
            "label_smoothing",
            "seed",
            "optimizer",
            "schedule",
            "step_factor",
            "momentum",
            "rho",
            "beta_1",
            "beta_2",
            "epsilon",
            "l2",
            "max_iterations",
        ],
    ),
    (
        "extract-features",
        &[
            "decode",
            "pool",
            "views",
            "dtype",
            "batch_size",
            "device",
            "kernels",
            "checkpoint_every",
            "max_pixels",
        ],
    ),
    ("predict", &["top_k", "device", "kernels", "max_pixels"]),
    (
        "serve",
        &[
            "port",
            "listen",
            "queue",
            "top_k",
            "device",
            "kernels",
            "max_pixels",
        ],
    ),
    (
        "fine-tune",
        &[
            "optimizer",
            "rates",
            "pulls",
            "mixtures",
            "epochs",
            "folds",
            "batch_size",
            "head_factor",
            "layer_decay",
            "warm_up",
            "clip",
            "weight_decay",
            "label_smoothing",
            "class_weights",
            "seed",
        ],
    ),
    ("review", &["next", "port"]),
    ("check", &["min_side", "max_aspect", "max_pixels"]),
    ("split", &["train", "seed"]),
    (
        "download",
        &[
            "jobs",
            "per_host",
            "timeout",
            "retries",
            "retry_wait",
            "max_wait",
            "max_bytes",
            "max_redirects",
            "user_agent",
            "placeholder_at",
        ],
    ),
    ("compare-trunks", &["folds", "max_pixels", "seed"]),
    ("export", &["device"]),
];

/// A command line of these words.
fn verb(line: &str) -> Verb {
    let words = std::iter::once("cnn-codes").chain(line.split(' '));
    Arguments::try_parse_from(words).unwrap().verb
}

/// Compares options that cannot be compared by `==`.
fn assert_same(one: &impl Debug, other: &impl Debug) {
    assert_eq!(format!("{one:#?}"), format!("{other:#?}"));
}

/// What `train-head` does with these words besides.
fn train_options(words: &str) -> TrainOptions {
    let line = format!("train-head --train a --validation b --out c{words}");
    let Verb::TrainHead(arguments) = verb(&line) else {
        panic!("{line}")
    };
    if words.is_empty() {
        let told = arguments.told();
        let default = Told::default();
        assert_eq!(
            (told.pictures, told.names_folders),
            (default.pictures, default.names_folders)
        );
    }
    arguments.options()
}

#[test]
fn no_option_has_a_default_that_is_not_looked_at_here() {
    let command = Arguments::command();
    for verb in command.get_subcommands() {
        let listed = WITH_DEFAULTS.iter().find(|row| row.0 == verb.get_name());
        let mut found: Vec<_> = verb
            .get_arguments()
            .filter(|argument| argument.get_action().takes_values())
            .filter(|argument| !argument.get_default_values().is_empty())
            .map(|argument| argument.get_id().to_string())
            .filter(|name| name != "format")
            .collect();
        let mut expected = listed.map_or(vec![], |row| row.1.to_vec());
        found.sort();
        expected.sort_unstable();
        assert_eq!(
            found,
            expected,
            "{}: compare a new default with the library's in a test of crates/cli/src/defaults.rs, and list it in \
             WITH_DEFAULTS there",
            verb.get_name()
        );
    }
}

#[test]
fn train_head_trains_each_head_that_there_is() {
    for name in HeadKind::NAMES {
        let line = format!("cnn-codes train-head --train a --validation b --out c --head {name}");
        let arguments = Arguments::try_parse_from(line.split(' ')).unwrap_or_else(|error| {
            panic!("crates/cli/src/train_head/arguments.rs: add {name} to `Heads`; {error}")
        });
        let Verb::TrainHead(arguments) = arguments.verb else {
            panic!("{line}")
        };
        let heads = arguments.options().heads;
        let kinds: Vec<_> = heads.iter().map(|head| head.kind().name()).collect();
        assert_eq!(kinds, [*name]);
    }
}

#[test]
fn the_help_of_recipe_names_each_recipe() {
    let command = Arguments::command();
    let verb = command.find_subcommand("extract-features").unwrap();
    let recipe = verb
        .get_arguments()
        .find(|argument| argument.get_id() == "recipe");
    let help = recipe.unwrap().get_help().unwrap().to_string();
    let names = Recipe::NAMES.join(", ");
    assert!(
        help.contains(&names),
        "crates/cli/src/extract_features.rs: name {names} in the help of --recipe"
    );
}

#[test]
fn train_head_does_what_the_library_does() {
    assert_eq!(train_options(""), TrainOptions::default());
    let mut with_folds = TrainOptions::default();
    with_folds.folds = 5;
    assert_eq!(train_options(" --folds 5"), with_folds);
    let mlp = |mlp: MlpOptions| {
        let logistic = HeadOptions::Logistic(LogisticOptions::default());
        vec![HeadOptions::Mlp(mlp), logistic]
    };
    for name in OptimizerKind::NAMES {
        let options = train_options(&format!(" --optimizer {name}"));
        let optimizer = OptimizerOptions::of(name.parse().unwrap());
        let mut expected = MlpOptions::default();
        expected.optimizer = optimizer;
        assert_eq!(options.heads, mlp(expected), "{name}");
    }
    for name in ScheduleKind::NAMES {
        let options = train_options(&format!(" --schedule {name}"));
        let mut expected = MlpOptions::default();
        let kind: ScheduleKind = name.parse().unwrap();
        expected.optimizer.schedule = kind.schedule(expected.epochs);
        assert_eq!(options.heads, mlp(expected), "{name}");
    }
}

#[test]
fn fine_tune_does_what_the_library_does() {
    let line = "fine-tune --train a --validation b --from c --out d";
    let Verb::FineTune(arguments) = verb(line) else {
        panic!("{line}")
    };
    assert_eq!(arguments.options(), TuneOptions::default());
}

#[test]
fn the_seed_of_train_head_moves_the_folds_whatever_the_head() {
    assert_eq!(train_options(" --seed 7").seed, 7);
    for name in HeadKind::NAMES {
        assert_eq!(train_options(&format!(" --head {name} --seed 7")).seed, 7);
    }
}

#[test]
fn extract_features_and_predict_do_what_the_library_does() {
    let card = ModelCard::vgg16();
    let Verb::ExtractFeatures(arguments) = verb("extract-features a --out b") else {
        panic!("extract-features")
    };
    let threads = default_threads();
    let options = extract_features::extract_options(&arguments, &card, threads).unwrap();
    let mut expected = ExtractOptions::for_card(&card);
    expected.threads = threads;
    assert_same(&options, &expected);
    let on = extract_features::trunk_options(&arguments, threads);
    assert_eq!(on, TrunkOptions::default().with_threads(threads));

    let Verb::Predict(arguments) = verb("predict a b") else {
        panic!("predict")
    };
    let on = predict::trunk_options(&arguments.by);
    assert_eq!(on, TrunkOptions::default().with_threads(threads));
}

#[test]
fn curation_does_what_the_library_does() {
    let Verb::Check(arguments) = verb("check a") else {
        panic!("check")
    };
    let mut expected = CheckOptions::default();
    expected.threads = default_threads();
    assert_same(&check::check_options(&arguments), &expected);

    let Verb::Split(arguments) = verb("split a --out b") else {
        panic!("split")
    };
    let options = split::split_options(&arguments).unwrap();
    assert_eq!(options, SplitOptions::default());

    let Verb::Download(arguments) = verb("download a --out b") else {
        panic!("download")
    };
    let options = download::download_options(&arguments);
    assert_same(&options, &DownloadOptions::default());
}
