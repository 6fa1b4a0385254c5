//! HEAD on disk: the round trip, its bytes, and files that are wrong.

use crate::support;

use std::fs;
use std::path::Path;

use cnn_codes::codes::{CodesIdentity, Dtype, Pool};
use cnn_codes::files::{DraftError, Existing};
use cnn_codes::head::logistic::{Logistic, LogisticOptions};
use cnn_codes::head::mlp::{Mlp, MlpOptions};
use cnn_codes::head::nearest_centroid::{NearestCentroid, NearestCentroidOptions};
use cnn_codes::head::saved::{
    Evidence, OutOfFoldScores, Saved, SavedHead, SavedHeadError, write_history,
};
use cnn_codes::head::scaling::{Scaling, ScalingKind};
use cnn_codes::head::{Epoch, Head, HeadKind, OneHead, Samples};
use cnn_codes::model::OutputSpec;
use ndarray::{Array2, array};
use proptest::prelude::*;
use proptest::sample::Index;
use safetensors::SafeTensors;
use support::damage::{damage, damaged, files, open};

/// Codes of 12 features.
fn identity() -> CodesIdentity {
    CodesIdentity {
        output: OutputSpec {
            name: "out".to_owned(),
            shape: vec![2, 2, 3],
            layers: Vec::new(),
        },
        ..support::description(Dtype::F32, Pool::None).codes
    }
}

/// What might be known of the logistic regression.
fn evidence() -> Evidence {
    let mut evidence = Evidence::default();
    let scores = OutOfFoldScores {
        scores: array![0.25, 0.0, 3.5],
        group_sizes: array![2.0, 2.0, 1.0],
    };
    evidence.out_of_fold.push((HeadKind::Logistic, scores));
    evidence
}

/// The MLP and the logistic regression, trained on twelve made-up codes of 12 features.
fn head(scaling: ScalingKind) -> SavedHead {
    let codes = Array2::from_shape_fn((12, 12), |(i, j)| {
        ((i * 5 + j * 3) % 7) as f32 + (i % 2) as f32
    });
    let labels: Vec<_> = (0..12).map(|i| i % 2).collect();
    let scaling = Scaling::fit(scaling, &Samples::new(codes.view(), &labels, 2).unwrap());
    let codes = scaling.apply(codes.view()).unwrap();
    let samples = Samples::new(codes.view(), &labels, 2).unwrap();
    let mut options = MlpOptions::default();
    options.hidden = vec![5, 4];
    options.epochs = 2;
    options.seed = 9;
    let trained = Mlp::fit(&samples, None, &options, &()).unwrap();
    let fit = Logistic::fit(&samples, None, &LogisticOptions::default(), &()).unwrap();
    SavedHead {
        recommended: None,
        evidence: evidence(),
        codes: identity(),
        views: cnn_codes::picture::Views::None,
        classes: vec!["a".to_owned(), "b \"é\"".to_owned()],
        scaling,
        heads: vec![
            OneHead::Mlp(Saved {
                model: trained.model,
                options,
                convergence: None,
                temperature: 1.5,
            }),
            OneHead::Logistic(Saved {
                model: fit.model,
                options: LogisticOptions::default(),
                convergence: fit.convergence,
                temperature: 0.1,
            }),
        ],
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_head_comes_back_as_it_was() {
    let place = tempfile::tempdir().unwrap();
    for kind in [
        ScalingKind::None,
        ScalingKind::Standard,
        ScalingKind::L2,
        ScalingKind::Max,
    ] {
        let dir = place.path().join(format!("{kind:?}"));
        let head = head(kind);
        head.save(&dir, Existing::Keep).unwrap();
        assert_eq!(SavedHead::load(&dir).unwrap(), head);
    }
    let with_statistics = [
        "evidence.safetensors",
        "head.json",
        "logistic.safetensors",
        "mlp.safetensors",
        "scaling.safetensors",
    ];
    assert_eq!(names(&place.path().join("Max")), with_statistics);
    assert_eq!(names(&place.path().join("None")), with_statistics[..4]);
    assert_eq!(names(place.path()), ["L2", "Max", "None", "Standard"]);
}

#[test]
fn one_head_alone_is_a_head() {
    let place = tempfile::tempdir().unwrap();
    let both = head(ScalingKind::None);
    let only_mlp = SavedHead {
        heads: both.heads[..1].to_vec(),
        evidence: Evidence::default(),
        ..both.clone()
    };
    only_mlp
        .save(&place.path().join("mlp"), Existing::Keep)
        .unwrap();
    assert_eq!(
        SavedHead::load(&place.path().join("mlp")).unwrap(),
        only_mlp
    );
    assert_eq!(
        names(&place.path().join("mlp")),
        ["head.json", "mlp.safetensors"]
    );
    let neither = SavedHead {
        heads: Vec::new(),
        ..only_mlp.clone()
    };
    let error = neither
        .save(&place.path().join("none"), Existing::Keep)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it holds none of the heads: mlp, logistic, nearest-centroid"),
        "{error}"
    );
    let twice = SavedHead {
        heads: [&both.heads[..1], &both.heads[..1]].concat(),
        ..only_mlp
    };
    let error = twice
        .save(&place.path().join("twice"), Existing::Keep)
        .unwrap_err();
    assert!(
        error.to_string().contains("two heads of the kind mlp"),
        "{error}"
    );
    assert_eq!(names(place.path()), ["mlp"]);
}

#[test]
fn a_third_head_comes_back_as_it_was_and_head_json_of_others_does_not_name_it() {
    let place = tempfile::tempdir().unwrap();
    let (with, without) = (place.path().join("with"), place.path().join("without"));
    let mut head = head(ScalingKind::Standard);
    head.save(&without, Existing::Keep).unwrap();
    let json = fs::read_to_string(without.join("head.json")).unwrap();
    assert!(!json.contains("centroid"), "{json}");

    let codes = Array2::from_shape_fn((12, 12), |(i, j)| ((i * 7 + j * 5) % 11) as f32);
    let labels: Vec<_> = (0..12).map(|i| i % 2).collect();
    let samples = Samples::new(codes.view(), &labels, 2).unwrap();
    let options = NearestCentroidOptions::default();
    let fit = NearestCentroid::fit(&samples, None, &options, &()).unwrap();
    // First, and written last: the order is that of the kinds.
    head.heads.insert(
        0,
        OneHead::NearestCentroid(Saved {
            model: fit.model,
            options,
            convergence: None,
            temperature: 0.25,
        }),
    );
    head.save(&with, Existing::Keep).unwrap();
    let loaded = SavedHead::load(&with).unwrap();
    assert_eq!(
        loaded.get::<NearestCentroid>(),
        head.get::<NearestCentroid>()
    );
    assert_eq!(loaded.get::<Mlp>(), head.get::<Mlp>());
    let kinds: Vec<_> = loaded.heads.iter().map(OneHead::kind).collect();
    let expected = [HeadKind::Mlp, HeadKind::Logistic, HeadKind::NearestCentroid];
    assert_eq!(kinds, expected);
    assert_eq!(loaded.default_kind(), HeadKind::Mlp);
    let logits = |head: &SavedHead| {
        let model = head.of_kind(HeadKind::NearestCentroid).unwrap();
        model.logits(samples.codes()).unwrap()
    };
    assert_eq!(logits(&loaded), logits(&head));
}

#[test]
fn the_same_training_leaves_the_same_bytes() {
    let place = tempfile::tempdir().unwrap();
    let (first, second) = (place.path().join("1"), place.path().join("2"));
    head(ScalingKind::Standard)
        .save(&first, Existing::Keep)
        .unwrap();
    head(ScalingKind::Standard)
        .save(&second, Existing::Keep)
        .unwrap();
    assert_eq!(names(&first), names(&second));
    for name in names(&first) {
        assert_eq!(
            fs::read(first.join(&name)).unwrap(),
            fs::read(second.join(&name)).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn tensors_have_the_documented_names_and_shapes() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("head");
    head(ScalingKind::Max).save(&dir, Existing::Keep).unwrap();
    let shapes = |name: &str| {
        let bytes = fs::read(dir.join(name)).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let mut shapes: Vec<_> = tensors
            .tensors()
            .into_iter()
            .map(|(name, view)| (name, view.shape().to_vec()))
            .collect();
        shapes.sort();
        shapes
    };
    let expected = |pairs: &[(&str, &[usize])]| {
        pairs
            .iter()
            .map(|(name, shape)| ((*name).to_owned(), shape.to_vec()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        shapes("mlp.safetensors"),
        expected(&[
            ("mlp.0.bias", &[5]),
            ("mlp.0.weight", &[12, 5]),
            ("mlp.1.bias", &[4]),
            ("mlp.1.weight", &[5, 4]),
            ("mlp.2.bias", &[2]),
            ("mlp.2.weight", &[4, 2]),
        ])
    );
    let logistic: &[(&str, &[usize])] = &[("logistic.bias", &[2]), ("logistic.weight", &[12, 2])];
    assert_eq!(shapes("logistic.safetensors"), expected(logistic));
    assert_eq!(
        shapes("scaling.safetensors"),
        expected(&[("scaling.largest", &[12])])
    );
    let of_logistic: &[(&str, &[usize])] =
        &[("logistic.group_size", &[3]), ("logistic.score", &[3])];
    assert_eq!(shapes("evidence.safetensors"), expected(of_logistic));
}

#[test]
fn an_existing_head_is_kept_unless_told_to_replace_it() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("head");
    let (first, second) = (head(ScalingKind::None), head(ScalingKind::L2));
    first.save(&dir, Existing::Keep).unwrap();
    let error = second.save(&dir, Existing::Keep).unwrap_err();
    assert!(
        matches!(error, SavedHeadError::Draft(DraftError::Exists { .. })),
        "{error}"
    );
    assert_eq!(SavedHead::load(&dir).unwrap(), first);
    second.save(&dir, Existing::Replace).unwrap();
    assert_eq!(SavedHead::load(&dir).unwrap(), second);
    assert_eq!(names(place.path()), ["head"]);
}

/// Saves a head, lets `spoil` change its directory, and gives the message of loading it.
fn spoiled(spoil: impl FnOnce(&Path)) -> String {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("head");
    head(ScalingKind::Standard)
        .save(&dir, Existing::Keep)
        .unwrap();
    spoil(&dir);
    let message = SavedHead::load(&dir).unwrap_err().to_string();
    println!("{message}");
    message
}

fn edit_manifest(dir: &Path, from: &str, to: &str) {
    let path = dir.join("head.json");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn files_that_are_wrong_are_named() {
    let cut = |name: &'static str| {
        spoiled(move |dir| {
            let bytes = fs::read(dir.join(name)).unwrap();
            fs::write(dir.join(name), &bytes[..bytes.len() - 5]).unwrap();
        })
    };
    for name in [
        "evidence.safetensors",
        "mlp.safetensors",
        "logistic.safetensors",
        "scaling.safetensors",
    ] {
        let message = cut(name);
        assert!(
            message.contains(name) && message.contains("cut short"),
            "{message}"
        );
    }
    let message = cut("head.json");
    assert!(message.contains("head.json cannot be used"), "{message}");
    let message = spoiled(|dir| fs::write(dir.join("mlp.safetensors"), []).unwrap());
    assert!(
        message.contains("mlp.safetensors cannot be used"),
        "{message}"
    );
    let message = spoiled(|dir| fs::remove_file(dir.join("logistic.safetensors")).unwrap());
    assert!(
        message.contains("cannot read") && message.contains("logistic.safetensors"),
        "{message}"
    );
}

#[test]
fn a_head_of_before_has_no_evidence_and_is_read() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("head");
    let now = head(ScalingKind::None);
    now.save(&dir, Existing::Keep).unwrap();
    fs::remove_file(dir.join("evidence.safetensors")).unwrap();
    let before = SavedHead {
        evidence: Evidence::default(),
        ..now
    };
    assert_eq!(SavedHead::load(&dir).unwrap(), before);
}

#[test]
fn evidence_that_contradicts_itself_or_the_heads_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let refused = |spoil: &dyn Fn(&mut Evidence)| {
        let mut head = head(ScalingKind::None);
        spoil(&mut head.evidence);
        let saved = head.save(&place.path().join("head"), Existing::Keep);
        saved.unwrap_err().to_string()
    };
    let message = refused(&|evidence| evidence.out_of_fold[0].0 = HeadKind::NearestCentroid);
    assert!(
        message.contains("tells of nearest-centroid without"),
        "{message}"
    );
    let message = refused(&|evidence| evidence.out_of_fold.push(evidence.out_of_fold[0].clone()));
    assert!(message.contains("or twice"), "{message}");
    let message = refused(&|evidence| evidence.out_of_fold[0].1.group_sizes[1] = 0.5);
    assert!(message.contains("a group has 0.5 pictures"), "{message}");
    let message = refused(&|evidence| evidence.out_of_fold[0].1.scores[1] = -0.5);
    assert!(message.contains("below 0"), "{message}");
    assert_eq!(names(place.path()), [""; 0]);
}

#[test]
fn files_that_contradict_each_other_are_refused() {
    let message = spoiled(|dir| edit_manifest(dir, "\"b \\\"é\\\"\"", "\"b\", \"c\""));
    assert!(
        message.contains("is F32 [12, 5]") || message.contains("[4, 2]"),
        "{message}"
    );
    let message = spoiled(|dir| edit_manifest(dir, "\"b \\\"é\\\"\"", "\"a\""));
    assert!(message.contains("names the class \"a\" twice"), "{message}");
    let message = spoiled(|dir| {
        fs::copy(
            dir.join("logistic.safetensors"),
            dir.join("mlp.safetensors"),
        )
        .unwrap();
    });
    assert!(
        message.contains("it has no tensor mlp.0.weight"),
        "{message}"
    );
    let message =
        spoiled(|dir| edit_manifest(dir, "\"scaling\": \"standard\"", "\"scaling\": \"max\""));
    assert!(
        message.contains("it has no tensor scaling.largest"),
        "{message}"
    );
    let message = spoiled(|dir| {
        let path = dir.join("mlp.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 4;
        bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
        fs::write(path, bytes).unwrap();
    });
    assert!(message.contains("holds NaN or infinity"), "{message}");
    let message = spoiled(|dir| edit_manifest(dir, "\"seed\"", "\"sead\""));
    assert!(message.contains("unknown field `sead`"), "{message}");
}

#[test]
fn another_format_and_no_head_at_all_are_told_apart() {
    let message = spoiled(|dir| {
        edit_manifest(dir, "\"format\": 2", "\"format\": 1");
        edit_manifest(dir, "\"scaling\"", "\"new_in_2\"");
    });
    assert!(
        message.contains("has format 1, and this version reads format 2"),
        "{message}"
    );
    assert!(message.contains("cnn-codes 0."), "{message}");
    let message = spoiled(|dir| fs::remove_file(dir.join("head.json")).unwrap());
    assert!(
        message.contains("is not a head: it has no head.json"),
        "{message}"
    );
    let missing = SavedHead::load(Path::new("/nonexistent/head")).unwrap_err();
    assert!(
        matches!(missing, SavedHeadError::NotAHead { .. }),
        "{missing}"
    );
}

#[test]
fn the_history_is_a_table() {
    let place = tempfile::tempdir().unwrap();
    let first = Epoch {
        epoch: 1,
        learning_rate: 0.5,
        loss: 1.5,
        accuracy: 0.25,
        held_out_loss: Some(2.0),
        held_out_accuracy: None,
        val_loss: Some(0.125),
        val_accuracy: Some(1.0),
    };
    let second = Epoch {
        epoch: 2,
        val_loss: None,
        val_accuracy: None,
        ..first
    };
    write_history(place.path(), &[first, second]).unwrap();
    let text = fs::read_to_string(place.path().join("history.csv")).unwrap();
    assert_eq!(
        text,
        "epoch,learning_rate,loss,accuracy,held_out_loss,held_out_accuracy,val_loss,val_acc\n\
         1,0.5,1.5,0.25,2,,0.125,1\n\
         2,0.5,1.5,0.25,2,,,\n"
    );
    let missing = write_history(&place.path().join("no"), &[first]).unwrap_err();
    assert!(missing.to_string().contains("history.csv"), "{missing}");
}

#[test]
fn a_head_with_any_damage_is_a_head_or_an_error_with_the_file() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("head");
    head(ScalingKind::Standard)
        .save(&dir, Existing::Keep)
        .unwrap();
    let good = files(&dir);
    let load = |files: &_| SavedHead::load_from(Path::new("HEAD"), &|path| open(files, path));
    assert_eq!(load(&good).unwrap(), SavedHead::load(&dir).unwrap());
    proptest!(|(file: Index, damages in prop::collection::vec(damage(), 1..4))| {
        let mut files = good.clone();
        let bytes = files.values_mut().nth(file.index(good.len())).unwrap();
        *bytes = damaged(std::mem::take(bytes), &damages);
        if let Err(error) = load(&files) {
            let message = error.to_string();
            prop_assert!(message.contains("HEAD/"), "{}", message);
        }
    });
}

#[cfg(unix)]
#[test]
fn fifos_in_place_of_files_are_refused_and_not_waited_for() {
    for name in ["head.json", "mlp.safetensors", "logistic.safetensors"] {
        let message = spoiled(|dir| {
            fs::remove_file(dir.join(name)).unwrap();
            let made = std::process::Command::new("mkfifo")
                .arg(dir.join(name))
                .status();
            assert!(made.unwrap().success());
        });
        let expected = format!("/{name}: it is not a regular file");
        assert!(message.ends_with(&expected), "{message}");
    }
}
