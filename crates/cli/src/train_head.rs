//! `cnn-codes train-head`: arguments to options, the library's call, the comparison.

mod arguments;
mod progress;

use std::process::ExitCode;

use cnn_codes::codes::{Corrections, Store};
use cnn_codes::head::saved;
use cnn_codes::messages::count;
use cnn_codes::train::{
    Comparison, FailedHead, REPORT, Report, TrainOptions, Trial, ViewChoice, are_means_better,
    check, choose_view, train,
};
use cnn_codes_files::Draft;

pub use self::arguments::{Again, Arguments};

pub use self::progress::{Display, Shown};
use super::evaluations::Evaluations;
use super::groups::warn_of_classes_in_one_group;
use super::page::page;
use super::relabel::{corrected, write_beside};
use super::stop::Stop;
use super::{Format, WRONG_USAGE, print_result, say, say_kept, shown};

/// Fewer training pictures than this are few to choose settings by.
const FEW_TO_CHOOSE_BY: usize = 100;

/// Trains, and prints the comparison and the files.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if !arguments.says_where_to_judge() {
        say(
            "error: no pictures to judge the heads on; give --validation STORE, or --folds 5 to judge them on the training store",
        );
        return Ok(ExitCode::from(WRONG_USAGE));
    }
    let stop = Stop::on_signals_in_training()?;
    let display = Display::new(&stop);
    let corrections = arguments.relabel.read()?;
    let trained = train_and_save(arguments, corrections.as_ref(), &display);
    let comparison = stop.result(trained)?;
    let head = format!("head: {}", shown(&arguments.out));
    let result = match arguments.format {
        Format::Text => format!(
            "{}\n{head}\nreport: {}\n",
            comparison.to_text(),
            shown(&arguments.out.join(REPORT))
        ),
        Format::Json => format!("{:#}\n", comparison.to_json()),
    };
    print_result(arguments.format, &result, &head)?;
    if comparison.interrupted {
        say("stopped by a signal: what was trained until then is judged and kept");
        return Ok(stop.exit_code());
    }
    for FailedHead { name, reason } in &comparison.failed {
        say(&format!(
            "error: the head {name} failed, and the other one is kept: {reason}"
        ));
    }
    Ok(match comparison.failed.as_slice() {
        [] => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Trains, judges, and writes HEAD. Its place is taken before the training, so that a wrong one is
/// refused early.
///
/// `corrections` are those of `--relabel`, or others in their place.
pub fn train_and_save(
    arguments: &Arguments,
    corrections: Option<&Corrections>,
    display: &dyn Shown,
) -> anyhow::Result<Comparison> {
    let mut options = arguments.options();
    arguments.unused().iter().for_each(|told| say(told));
    let open = arguments.groups.opener()?;
    let mut store = open(&arguments.train)?;
    let mut validation = arguments.validation.as_deref().map(&open).transpose()?;
    if let Some(corrections) = corrections {
        let more = arguments.relabel.more.as_deref().map(&open).transpose()?;
        let judging = validation.as_ref();
        (store, validation) = corrected(&store, more.as_ref(), judging, corrections)?;
    }
    store = arguments.viewed(store)?;
    let viewed = |store| arguments.viewed(store);
    validation = validation.map(viewed).transpose()?;
    check(&store, validation.as_ref(), &options)?;
    if options.tune && store.pictures().len() < FEW_TO_CHOOSE_BY {
        say(&format!(
            "note: {} are few to choose settings by; the given ones may do as well on new pictures",
            count(store.pictures().len(), "picture", "pictures")
        ));
    }
    if options.tune || options.calibrate || validation.is_none() {
        warn_of_classes_in_one_group(&store);
    }
    let draft = Draft::begin(&arguments.out, saved::KIND, arguments.existing())?;
    if let Some(kept) = draft.kept_before() {
        say_kept("head", kept);
    }
    let evaluations = kept_evaluations(arguments, &draft)?;
    if let Some(corrections) = corrections {
        write_beside(corrections, draft.path())?;
    }
    if let (true, Some(judging)) = (arguments.chooses_view(), &validation) {
        let choice = choose_view(&store, &options, display)?;
        display.clear();
        tell_choice(&choice);
        options.scaling = choice.view.scaling;
        validation = Some(choice.view.of(judging)?);
        store = choice.view.of(&store)?;
    }
    let trained = train(&store, validation.as_ref(), &options, display);
    display.clear();
    let trained = trained?;
    let origin = trained.origin(arguments.told())?;
    let root = origin.root.as_deref();
    let page = |report: &Report| Some(page(report, &evaluations, root));
    trained.save(draft, &origin, page)?;
    if arguments.wonders_about_means() && !trained.comparison.interrupted {
        tell_of_means(&store, &options, display);
    }
    Ok(trained.comparison)
}

/// The evaluations of the head whose place is taken, kept in the draft: whoever trains, looks at a test set and
/// trains again has looked at it, whatever head is there now. Before the training, so that it is not lost
/// where the list is damaged.
fn kept_evaluations(arguments: &Arguments, draft: &Draft) -> anyhow::Result<Evaluations> {
    let mut evaluations = Evaluations::read(draft.target())?;
    if arguments.private {
        evaluations.forget_folders();
    }
    evaluations.write(draft.path())?;
    Ok(evaluations)
}

/// Tells where means of the codes would do better. It is a hint: the head is saved by then and stays as it is,
/// and where the question cannot be answered, as with too few pictures for folds, nothing is said.
fn tell_of_means(store: &Store, options: &TrainOptions, display: &dyn Shown) {
    let better = are_means_better(store, options, display);
    display.clear();
    if let Ok(Some(choice)) = better {
        tell_better_means(&choice);
    }
}

/// Tells that means do better, and by what. The first trial is that of the given codes, the second that of their means.
fn tell_better_means(choice: &ViewChoice) {
    let losses: Vec<_> = choice
        .trials
        .iter()
        .map(|(_, trial)| trial.log_loss)
        .collect();
    let losses = match losses.as_slice() {
        [Some(given), Some(means)] => format!(" (log loss {means:.4} against {given:.4})"),
        _ => String::new(),
    };
    say(&format!(
        "note: averaging the codes over height and width does better in folds{losses}; train with --pool avg"
    ));
}

/// Tells which view of the codes was chosen, and how the others did.
fn tell_choice(choice: &ViewChoice) {
    say("views of the codes, by a logistic regression in folds of the training store:");
    tell_trials(choice);
    let (given, _) = choice.trials[0];
    if choice.view == given {
        say("none is better than the given one by more than a standard error");
    }
}

/// Tells how each view did.
fn tell_trials(choice: &ViewChoice) {
    let told = |trial: &Trial| {
        let loss = trial
            .log_loss
            .map_or("diverged".to_owned(), |loss| format!("{loss:.4}"));
        let errors = trial.errors.map_or(String::new(), |errors| {
            format!(", {}", count(errors.round() as usize, "error", "errors"))
        });
        let noise = trial.standard_error.filter(|error| *error > 0.0);
        let noise = noise.map_or(String::new(), |error| {
            format!(" (standard error of the difference {error:.4})")
        });
        format!("log loss {loss}{noise}{errors}")
    };
    for (view, trial) in &choice.trials {
        let mark = if *view == choice.view { "*" } else { " " };
        say(&format!("{mark} {view}: {}", told(trial)));
    }
}
