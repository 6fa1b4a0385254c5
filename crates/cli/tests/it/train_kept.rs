//! `train-head` where HEAD's place, its disk or a store changes, or a signal comes, while it runs: no
//! head and no folder is lost.

use crate::support;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use assert_cmd::Command;
use cnn_codes::codes::{Store, StoreError};
use cnn_codes::head::logistic::{Logistic, LogisticOptions};
use cnn_codes::head::mlp::{Mlp, MlpOptions};
use cnn_codes::head::saved::{self, SavedHead};
use cnn_codes::head::{Head, HeadError, HeadOptions, Samples};
use cnn_codes::progress::{Progress, Watch};
use cnn_codes::train::{Told, TrainError, TrainOptions, train};
use cnn_codes_files::{Draft, Existing};
use predicates::prelude::*;
#[cfg(target_os = "linux")]
use support::terminal::OnTerminal;
use support::two_classes::Place;

/// Does something once the first epoch of a training is over, and may stop it there.
struct AtFirstEpoch<F> {
    act: F,
    stops: bool,
    is_stopped: AtomicBool,
}

impl<F: Fn() + Sync> AtFirstEpoch<F> {
    fn new(stops: bool, act: F) -> Self {
        Self {
            act,
            stops,
            is_stopped: AtomicBool::new(false),
        }
    }
}

impl<F: Fn() + Sync> Watch for AtFirstEpoch<F> {
    /// The stage "epoch" begins with the first that is done.
    fn stage(&self, name: &str, _steps: usize) {
        if name == "epoch" {
            (self.act)();
            self.is_stopped.store(self.stops, Ordering::Relaxed);
        }
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }
}

#[test]
fn a_store_that_is_changed_while_heads_are_trained_is_named_and_nothing_is_left() {
    let cut = |path: &Path| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_len(200).unwrap();
    };
    // Of the same length, and other codes.
    let write_over = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[128..].fill(0);
        fs::write(path, bytes).unwrap();
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(later).unwrap();
    };
    let changes: [&(dyn Fn(&Path) + Sync); 2] = [&cut, &write_over];
    for name in ["train", "validation"] {
        for change in changes {
            let place = Place::new();
            let open = |name: &str| Store::open(&place.path(name)).unwrap();
            let (of_train, of_validation) = (open("train"), open("validation"));
            let path = place.path(name).join("codes.npy");
            let options = TrainOptions::default();
            let out = place.path("head");
            let change = AtFirstEpoch::new(false, || change(&path));
            let draft = Draft::begin(&out, saved::KIND, Existing::Keep).unwrap();
            let trained = train(&of_train, Some(&of_validation), &options, &change);
            drop(draft);
            let error = trained.unwrap_err();
            let expected = format!("{} was changed while it was in use", path.display());
            assert!(error.to_string().starts_with(&expected), "{error}");
            let is_of_store = matches!(error, TrainError::Store(StoreError::Changed { .. }));
            assert!(is_of_store, "{error:?}");
            assert!(!out.exists());
        }
    }
}

/// Trains into `head` and says why it is not there.
fn refused(place: &Place, existing: Existing, watch: &dyn Watch) -> TrainError {
    let store = |name: &str| Store::open(&place.path(name)).unwrap();
    let mut options = TrainOptions::default();
    let mut mlp = MlpOptions::default();
    mlp.hidden = vec![8];
    options.heads[0] = HeadOptions::Mlp(mlp);
    let (codes, validation) = (store("train"), store("validation"));
    let draft = Draft::begin(&place.path("head"), saved::KIND, existing).unwrap();
    let trained = train(&codes, Some(&validation), &options, watch).unwrap();
    let origin = trained.origin(Told::default()).unwrap();
    let page = |_: &_| Some("a page".to_owned());
    trained.save(draft, &origin, page).unwrap_err()
}

#[test]
fn a_folder_that_takes_heads_place_during_the_training_stays_and_the_head_is_kept() {
    for existing in [Existing::Keep, Existing::Replace] {
        let place = Place::new();
        if existing == Existing::Replace {
            place.train().assert().success();
        }
        let head = place.path("head");
        let progress = AtFirstEpoch::new(false, || {
            let _ = fs::rename(&head, place.path("moved"));
            fs::create_dir(&head).unwrap();
            fs::write(head.join("thesis.txt"), "dear").unwrap();
        });
        let said = refused(&place, existing, &progress).to_string();
        let expected = format!(
            "the finished head is kept in {}: move it where you want it",
            place.path("head.kept").display()
        );
        assert!(said.ends_with(&expected), "{said}");
        assert_eq!(place.read("head/thesis.txt"), "dear");
        assert_eq!(fs::read_dir(&head).unwrap().count(), 1);
        SavedHead::load(&place.path("head.kept")).unwrap();
        assert!(!place.path("head.partial").exists());
        if existing == Existing::Replace {
            SavedHead::load(&place.path("moved")).unwrap();
        }
    }
}

#[test]
fn a_stopped_training_replaces_no_head_and_is_kept_beside_it() {
    let place = Place::new();
    place.train().args(["--seed", "3"]).assert().success();
    let before = place.read("head/metrics.json");
    for kept in ["head.kept", "head.kept-2"] {
        let progress = AtFirstEpoch::new(true, || {});
        let error = refused(&place, Existing::Replace, &progress);
        assert!(matches!(error, TrainError::Interrupted { .. }), "{error}");
        assert_eq!(place.read("head/metrics.json"), before);
        let metrics: serde_json::Value =
            serde_json::from_str(&place.read(&format!("{kept}/metrics.json"))).unwrap();
        assert_eq!(metrics["interrupted"], true);
        SavedHead::load(&place.path(kept)).unwrap();
    }
    // What is kept is in nobody's way.
    place.train().arg("--overwrite").assert().success();
    assert!(place.path("head.kept/report.html").exists());
}

#[test]
fn a_head_for_which_its_own_disk_has_no_room_is_kept_elsewhere() {
    let place = Place::new();
    // In the place of a file that is to be written.
    let block = || fs::create_dir(place.path("head.partial/mlp.safetensors")).unwrap();
    let error = refused(&place, Existing::Keep, &AtFirstEpoch::new(false, block));
    let TrainError::Kept { why, kept } = &error else {
        panic!("{error}")
    };
    assert!(why.to_string().contains("mlp.safetensors"), "{why}");
    let head = SavedHead::load(kept).unwrap();
    fs::remove_dir_all(kept).unwrap();
    assert!(head.get::<Mlp>().is_some() && head.get::<Logistic>().is_some());
    assert!(!place.path("head").exists() && !place.path("head.partial").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_appears_while_the_program_runs_is_there_afterwards() {
    let place = Place::new();
    let stores = ["--train", "train", "--validation", "validation"];
    let endless = ["--hidden", "8", "--epochs", "1000000", "--out", "head"];
    let arguments = [&["train-head"], &stores[..], &endless].concat();
    let mut run = OnTerminal::start(place.folder.path(), &arguments);
    run.wait_for(": loss ");
    fs::create_dir(place.path("head")).unwrap();
    fs::write(place.path("head/thesis.txt"), "dear").unwrap();
    run.signal("-INT");
    let ended = run.end();
    assert_eq!(ended.code, Some(1));
    let expected = "error: head was put there by something else in the meantime, and was left as \
                    it is; the finished head is kept in head.kept: move it where you want it\r\n";
    assert!(ended.terminal.ends_with(expected), "{}", ended.terminal);
    assert_eq!(place.read("head/thesis.txt"), "dear");
    SavedHead::load(&place.path("head.kept")).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_head_whose_report_finds_no_room_is_kept() {
    let place = Place::new();
    // Files may not grow beyond 16 KiB: writing fails as it does on a full disk.
    let limited = format!(
        "trap '' XFSZ; ulimit -f 16; exec '{}' train-head --train train --validation validation \
         --out head --hidden 8",
        assert_cmd::cargo::cargo_bin!("cnn-codes").display(),
    );
    Command::new("bash")
        .current_dir(place.folder.path())
        .args(["-c", &limited])
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "error: cannot write head.partial/report.html",
        ))
        .stderr(predicate::str::contains(
            "; the trained head is kept in head.kept: move it where you want it",
        ));
    assert!(!place.path("head").exists() && !place.path("head.partial").exists());
    let head = SavedHead::load(&place.path("head.kept")).unwrap();
    assert!(head.get::<Mlp>().is_some() && head.get::<Logistic>().is_some());
    assert!(place.path("head.kept/metrics.json").exists());
    assert!(!place.path("head.kept/report.html").exists(), "half a page");
}

#[cfg(unix)]
#[test]
fn a_link_as_out_means_the_folder_it_leads_to() {
    use std::os::unix::fs::symlink;

    let place = Place::new();
    symlink("disk/away", place.path("head")).unwrap();
    place.train().assert().code(1).stderr(
        "error: head is a link to disk/away, which is not there; make that folder, remove the \
         link, or choose another --out\n",
    );
    fs::create_dir_all(place.path("disk/away")).unwrap();
    place.train().assert().success();
    place.train().arg("--overwrite").assert().success();
    assert!(place.path("head").is_symlink());
    SavedHead::load(&place.path("disk/away")).unwrap();
    assert_eq!(fs::read_dir(place.path("disk")).unwrap().count(), 1);
}

/// Cuts a file off whenever the objective was evaluated.
struct CutAtEvaluations {
    path: PathBuf,
    n_evaluations: AtomicUsize,
}

impl Watch for CutAtEvaluations {
    fn progress(&self, _: Progress, _: &dyn fmt::Display) {
        self.n_evaluations.fetch_add(1, Ordering::Relaxed);
        let file = fs::File::options().write(true).open(&self.path).unwrap();
        file.set_len(200).unwrap();
    }
}

#[test]
fn codes_that_cannot_be_read_once_the_logistic_regression_is_found_make_no_head() {
    let place = Place::new();
    let store = Store::open(&place.path("train")).unwrap();
    let samples = Samples::of_store(&store).unwrap();
    // The search itself has all codes in memory; the model is judged on those of the file.
    let cut = CutAtEvaluations {
        path: place.path("train/codes.npy"),
        n_evaluations: AtomicUsize::new(0),
    };
    let fits = Logistic::fit(&samples, None, &LogisticOptions::default(), &cut);
    assert!(cut.n_evaluations.load(Ordering::Relaxed) > 0);
    let error = fits.unwrap_err();
    assert!(matches!(error, HeadError::Read { .. }), "{error:?}");
}
