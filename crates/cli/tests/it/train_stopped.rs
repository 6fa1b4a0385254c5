//! What a signal leaves of a training.
#![cfg(target_os = "linux")]

use cnn_codes::evaluate::wilson_95;
use cnn_codes::head::mlp::Mlp;

use crate::support::noise::{Place, alternating};
use crate::support::terminal::{Ended, OnTerminal};

/// Sends a signal to a training once the terminal has shown `text`, and gives what it left.
fn stopped(place: &Place, text: &str, signal: &str, arguments: &[&str]) -> Ended {
    let base = ["train-head", "--train", "train", "--out", "head"];
    let mut run = OnTerminal::start(place.folder.path(), &[&base[..], arguments].concat());
    run.wait_for(text);
    run.signal(signal);
    let ended = run.end();
    assert!(!place.path("head.partial").exists());
    ended
}

#[test]
fn a_signal_keeps_what_was_learned() {
    let place = Place::new();
    place.write("train", &alternating(60), 3.0, 11);
    place.write("validation", &alternating(10), 3.0, 12);
    let validation = ["--validation", "validation", "--hidden", "8"];
    let endless = [&validation[..], &["--epochs", "1000000"]].concat();
    let Ended { code, stdout, .. } = stopped(&place, ": loss 0.0", "-INT", &endless);
    assert_eq!(code, Some(130));
    let was_interrupted = stdout.contains("mlp: interrupted after epoch ");
    assert!(was_interrupted, "{stdout}");
    assert!(!stdout.contains("logistic"), "nothing more was begun");
    assert_eq!(place.metrics()["interrupted"], true);
    let n_epochs = place.read("history.csv").lines().count() - 1;
    let mlp = &place.metrics()["heads"]["mlp"];
    let accuracy = mlp["top1_accuracy"].as_f64().unwrap();
    assert!(
        n_epochs > 0 && accuracy > wilson_95(5, 10).0,
        "{n_epochs}, {accuracy}"
    );
    assert!(place.head().get::<Mlp>().is_some());
}

#[test]
fn a_signal_while_other_seeds_are_trained_keeps_the_first_ones_network() {
    let place = Place::new();
    place.write("train", &alternating(60), 3.0, 18);
    place.write("validation", &alternating(10), 3.0, 19);
    let validation = ["--validation", "validation", "--hidden", "8"];
    let many = [&validation[..], &["--repeats", "1000000"]].concat();
    let ended = stopped(&place, "training with other seeds", "-HUP", &many);
    let (text, said) = (ended.stdout, ended.terminal);
    assert_eq!(ended.code, Some(129), "{said}");
    assert!(text.contains("mlp: trained for 20 epochs"), "{text}");
    assert!(!text.contains("seeds:"), "{text}");
    assert!(said.contains("stopped by a signal"), "{said}");
    assert!(place.head().get::<Mlp>().is_some());
}

#[test]
fn a_signal_while_tuning_leaves_nothing() {
    let place = Place::new();
    place.write("train", &alternating(60), 3.0, 13);
    let endless = ["--folds", "3", "--tune", "--epochs", "1000000"];
    let ended = stopped(&place, "tuning the MLP", "-TERM", &endless);
    let said = ended.terminal;
    assert_eq!(ended.code, Some(143), "{said}");
    assert!(
        said.contains("stopped before a head was trained; nothing was left behind"),
        "{said}"
    );
    assert!(!place.path("head").exists());
}
