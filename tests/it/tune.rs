//! Fine-tuning: what is chosen, what a stopped run goes on from, what is refused.

use crate::support;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use cnn_codes::codes::{CodesIdentity, Dtype, Pool, Store, StoreDescription};
use cnn_codes::head::logistic::LogisticOptions;
use cnn_codes::head::mlp::MlpOptions;
use cnn_codes::head::nearest_centroid::NearestCentroidOptions;
use cnn_codes::head::saved::{Evidence, SavedHead};
use cnn_codes::head::scaling::Scaling;
use cnn_codes::head::{ClassWeights, HeadKind, HeadOptions, Samples};
use cnn_codes::model::{OnnxModel, OutputSpec};
use cnn_codes::progress::{Progress, Watch};
use cnn_codes::tune::{Tail, TuneError, TuneOptions, Tuned, behind, fine_tune};
use ort_winograd::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorType,
    ValueInfoProto, float32_tensor,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// (H, W, C) of the codes of the front, and channels of the end.
const SHAPE: [usize; 3] = [4, 4, 3];
const N_END: usize = 3;

/// A convolution (3 x 3) with ReLU behind the front.
fn tail() -> Tail {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    let filters: Vec<f32> = (0..N_END * 27).map(|_| rng.gen_range(-0.3..0.3)).collect();
    let conv = NodeProto::new("Conv", &["front", "filters", "bias"], "sums");
    let side = [3, 4, 4];
    let graph = GraphProto {
        name: Some("a tail".to_owned()),
        node: vec![
            conv.with(AttributeProto::ints("pads", &[1; 4])),
            NodeProto::new("Relu", &["sums"], "end"),
        ],
        initializer: vec![
            float32_tensor("filters", &[N_END as u64, 3, 3, 3], &filters),
            float32_tensor("bias", &[N_END as u64], &[0.1; N_END]),
        ],
        input: vec![ValueInfoProto::new(
            "front",
            &TensorType::float32_batch(&side),
        )],
        output: vec![ValueInfoProto::new(
            "end",
            &TensorType::float32_batch(&side),
        )],
        ..GraphProto::default()
    };
    let proto = ModelProto {
        ir_version: Some(7),
        opset_import: vec![OperatorSetIdProto::new("", 13)],
        graph: Some(graph),
        ..ModelProto::default()
    };
    let model = OnnxModel::from_proto(proto, Path::new("tail.onnx")).unwrap();
    Tail::read(&model, "front", "end").unwrap()
}

fn identity(name: &str, shape: &[usize], pool: Pool) -> CodesIdentity {
    CodesIdentity {
        output: OutputSpec {
            name: name.to_owned(),
            shape: shape.to_vec(),
            layers: Vec::new(),
        },
        pool,
        ..support::description(Dtype::F32, Pool::None).codes
    }
}

fn description() -> StoreDescription {
    StoreDescription {
        codes: identity("front", &SHAPE, Pool::None),
        ..support::description(Dtype::F32, Pool::None)
    }
}

/// Noise with stripes, along columns in one class and along rows in the other: of equal means, so that pooled codes
/// of filters that know no stripes tell little.
fn rows(n: usize, seed: u64, label: impl Fn(usize) -> usize) -> Vec<(usize, Vec<f32>)> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let of_row = |row: usize| {
        let along_columns = row.is_multiple_of(2);
        let code = (0..48).map(|place| {
            let (y, x) = (place / 12, place / 3 % 4);
            let stripe = if along_columns { x % 2 } else { y % 2 };
            0.6 * stripe as f32 + rng.gen_range(-0.5..0.5)
        });
        (label(row), code.collect())
    };
    (0..n).map(of_row).collect()
}

struct Place {
    folder: tempfile::TempDir,
    front: Store,
    from: SavedHead,
}

impl Place {
    fn new(head: &HeadOptions, label: impl Fn(usize) -> usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("front");
        support::write_codes(&path, description(), &rows(90, 1, label));
        let front = Store::open(&path).unwrap();
        let codes = identity("end", &[4, 4, N_END], Pool::Avg);
        let end = behind(&front, &tail(), &codes).unwrap();
        let samples = Samples::of_store(&end).unwrap();
        let (head, _) = head.fit(&samples, &()).unwrap();
        let from = SavedHead {
            codes,
            views: cnn_codes::picture::Views::None,
            classes: front.classes().to_vec(),
            scaling: Scaling::None,
            heads: vec![head],
            recommended: None,
            evidence: Evidence::default(),
        };
        Self {
            folder,
            front,
            from,
        }
    }

    fn kept(&self) -> std::path::PathBuf {
        self.folder.path().join("unfinished")
    }

    fn tune(&self, options: &TuneOptions, watch: &dyn Watch) -> Result<Tuned, TuneError> {
        fine_tune(
            &self.front,
            &tail(),
            &self.from,
            options,
            &self.kept(),
            watch,
        )
    }
}

fn options() -> TuneOptions {
    let mut options = TuneOptions::default();
    options.rates = vec![1e-3, 2e-2];
    options.epochs = 12;
    options.seed = 3;
    options
}

fn logistic() -> HeadOptions {
    HeadOptions::Logistic(LogisticOptions::default())
}

#[test]
fn a_tail_learns_what_the_frozen_head_cannot_tell() {
    let mut mlp = MlpOptions::default();
    (mlp.hidden, mlp.epochs) = (vec![6], 30);
    mlp.optimizer.learning_rate = 0.01;
    for head in [logistic(), HeadOptions::Mlp(mlp)] {
        let place = Place::new(&head, |row| row % 2);
        let tuned = place.tune(&options(), &()).unwrap();
        let chosen = tuned.choice.chosen().copied().unwrap();
        assert!(chosen.log_loss + chosen.standard_error < tuned.choice.frozen_log_loss);
        assert!(
            chosen.errors < tuned.choice.frozen_errors,
            "{:?}",
            tuned.choice
        );
        // On pictures that chose nothing.
        let path = place.folder.path().join("judging");
        support::write_codes(&path, description(), &rows(200, 2, |row| row % 2));
        let judging = Store::open(&path).unwrap();
        let compared = tuned
            .compare(&place.from, &tail(), &judging)
            .unwrap()
            .unwrap();
        assert!(
            compared.tuned_errors + 20 < compared.frozen_errors,
            "{compared:?}"
        );
        assert_eq!(
            compared.frozen_errors + compared.right_to_wrong,
            compared.tuned_errors + compared.wrong_to_right
        );
        assert!(!place.kept().exists());
    }
}

#[test]
fn where_there_is_nothing_to_learn_the_frozen_head_stays_as_it_is() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(8);
    let labels: Vec<usize> = (0..90).map(|_| rng.gen_range(0..2)).collect();
    let place = Place::new(&logistic(), |row| labels[row]);
    let tuned = place.tune(&options(), &()).unwrap();
    assert_eq!((tuned.choice.taken, tuned.tail.is_none()), (None, true));
    assert_eq!(tuned.heads.heads, place.from.heads);
    assert_eq!(tuned.heads.codes, place.from.codes);
    assert!(!place.kept().exists());
}

/// Stops once it was asked so often.
struct After(usize, AtomicUsize);

impl Watch for After {
    fn is_stopped(&self) -> bool {
        self.1.fetch_add(1, Ordering::Relaxed) >= self.0
    }
}

#[test]
fn a_run_that_is_stopped_again_and_again_and_one_on_other_threads_give_the_same_bytes() {
    let place = Place::new(&logistic(), |row| row % 2);
    let bytes = |tuned: &Tuned| {
        let tail = tuned.tail.as_ref().unwrap().to_safetensors().unwrap();
        (tail, format!("{:?} {:?}", tuned.heads.heads, tuned.choice))
    };
    let whole = bytes(&place.tune(&options(), &()).unwrap());
    for n_threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n_threads)
            .build()
            .unwrap();
        let other = pool.install(|| place.tune(&options(), &()).unwrap());
        assert!(bytes(&other) == whole, "{n_threads} threads");
    }
    // 90 pictures in steps of 16: a few steps more than an epoch each time.
    let mut n_stops = 0;
    let tuned = loop {
        match place.tune(&options(), &After(11, AtomicUsize::new(0))) {
            Ok(tuned) if tuned.stopped.is_none() => break tuned,
            Ok(tuned) => assert!(tuned.stopped.unwrap().epochs < tuned.stopped.unwrap().of),
            Err(TuneError::Stopped { path, .. }) => assert_eq!(path, place.kept()),
            Err(error) => panic!("{error}"),
        }
        n_stops += 1;
        assert!(n_stops < 200);
    };
    assert!(n_stops > 10, "{n_stops}");
    assert!(bytes(&tuned) == whole);
}

#[test]
fn an_unfinished_run_of_another_job_and_damage_are_refused() {
    let place = Place::new(&logistic(), |row| row % 2);
    let stopped = place.tune(&options(), &After(30, AtomicUsize::new(0)));
    assert!(matches!(stopped, Err(TuneError::Stopped { .. })));
    let mut others = options();
    others.seed += 1;
    let refused = place.tune(&others, &()).unwrap_err();
    assert!(matches!(refused, TuneError::OtherJob { .. }), "{refused}");
    let epoch = std::fs::read_dir(place.kept()).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        (path.extension()? == "epoch").then_some(path)
    });
    let epoch = epoch.unwrap();
    let bytes = std::fs::read(&epoch).unwrap();
    for wrong in [&bytes[..bytes.len() - 1], &bytes[..3], b"1 1 1\nabcd", b""] {
        std::fs::write(&epoch, wrong).unwrap();
        let refused = place.tune(&options(), &()).unwrap_err();
        assert!(refused.to_string().contains("damaged"), "{refused}");
    }
    std::fs::write(&epoch, bytes).unwrap();
    place.tune(&options(), &()).unwrap();
}

#[test]
fn stores_heads_and_options_that_cannot_be_tuned_are_refused() {
    let place = Place::new(&logistic(), |row| row % 2);
    let refused = |from: &SavedHead, options: &TuneOptions| {
        let refused = fine_tune(&place.front, &tail(), from, options, &place.kept(), &());
        assert!(!place.kept().exists());
        refused.unwrap_err().to_string()
    };
    let mut from = place.from.clone();
    from.classes.push("d".to_owned());
    assert!(refused(&from, &options()).contains("its classes are a, b c"));
    let mut from = place.from.clone();
    from.codes.output.name = "middle".to_owned();
    assert!(refused(&from, &options()).contains("the head takes codes of middle"));
    let mut from = place.from.clone();
    from.codes.output.shape = vec![7, 7, 3];
    let said = refused(&from, &options());
    assert!(
        said.contains("become [4, 4, 3] (H, W, C), and the head takes [7, 7, 3]"),
        "{said}"
    );
    let mut wrong = options();
    wrong.head = Some(HeadKind::Mlp);
    assert!(refused(&place.from, &wrong).contains("no mlp head to begin with; there is: logistic"));
    for (change, expected) in [
        (
            (|options: &mut TuneOptions| options.rates = vec![0.0]) as fn(&mut TuneOptions),
            "learning rate is 0",
        ),
        (|options| options.rates.clear(), "learning rate"),
        (|options| options.pulls = vec![-1.0], "pull is -1"),
        (|options| options.mixtures = vec![1.5], "mixture is 1.5"),
        (|options| options.epochs = 0, "number of epochs is 0"),
        (|options| options.clip = f32::NAN, "longest gradient is NaN"),
        (|options| options.folds = 1, "number of folds is 1"),
    ] {
        let mut options = options();
        change(&mut options);
        let said = refused_options(&place, &options);
        assert!(said.contains(expected), "{said}");
    }
    let centroid = HeadOptions::NearestCentroid(NearestCentroidOptions::default());
    let place = Place::new(&centroid, |row| row % 2);
    let said = refused_options(&place, &options());
    assert!(said.contains("nearest-centroid cannot be tuned"), "{said}");
}

fn refused_options(place: &Place, options: &TuneOptions) -> String {
    place.tune(options, &()).unwrap_err().to_string()
}

/// Stops the training on all pictures after three epochs.
#[derive(Default)]
struct InTheEnd {
    epochs: AtomicUsize,
    is_last: std::sync::atomic::AtomicBool,
}

impl Watch for InTheEnd {
    fn stage(&self, name: &str, _total: usize) {
        let is_last = name.starts_with("tuning on all pictures");
        self.is_last.store(is_last, Ordering::Relaxed);
        self.epochs.store(0, Ordering::Relaxed);
    }

    fn progress(&self, progress: Progress, _detail: &dyn std::fmt::Display) {
        self.epochs.store(progress.done, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.is_last.load(Ordering::Relaxed) && self.epochs.load(Ordering::Relaxed) >= 3
    }
}

#[test]
fn where_training_on_all_pictures_is_stopped_the_best_so_far_is_given() {
    let place = Place::new(&logistic(), |row| row % 2);
    let whole = place.tune(&options(), &()).unwrap();
    let chosen = whole.choice.chosen().copied().unwrap();
    assert!(chosen.epochs > 4, "{chosen:?}");
    let tuned = place.tune(&options(), &InTheEnd::default()).unwrap();
    let after = tuned.stopped.unwrap();
    assert_eq!((after.epochs, after.of), (3, chosen.epochs));
    let now = tuned.choice.chosen().unwrap();
    assert_eq!((now.epochs, now.setting), (after.epochs, chosen.setting));
    assert!(now.log_loss + now.standard_error < tuned.choice.frozen_log_loss);
    assert!(tuned.tail.is_some());
    // And the same command goes on to the same bytes.
    assert!(place.kept().exists());
    let on = place.tune(&options(), &()).unwrap();
    let bytes = |tuned: &Tuned| tuned.tail.as_ref().unwrap().to_safetensors().unwrap();
    assert!(bytes(&on) == bytes(&whole) && bytes(&on) != bytes(&tuned));
    assert!(!place.kept().exists());
}

#[test]
fn views_that_are_all_the_picture_itself_change_nothing_but_the_last_digits() {
    let place = Place::new(&logistic(), |row| row % 2);
    let plain = place.tune(&options(), &()).unwrap();
    let path = place.folder.path().join("views");
    let mut with_views = description();
    with_views.views = cnn_codes::picture::Views::FlipsAndCrops { n: 3 };
    let twice = |(label, code): (usize, Vec<f32>)| (label, code.repeat(3));
    let rows: Vec<_> = rows(90, 1, |row| row % 2).into_iter().map(twice).collect();
    support::write_codes(&path, with_views, &rows);
    let front = Store::open(&path).unwrap();
    let (tail, kept) = (tail(), place.kept());
    let tuned = fine_tune(&front, &tail, &place.from, &options(), &kept, &()).unwrap();
    let (one, other) = (
        plain.choice.chosen().unwrap(),
        tuned.choice.chosen().unwrap(),
    );
    assert_eq!(
        (one.setting, one.epochs, one.mixture),
        (other.setting, other.epochs, other.mixture)
    );
    assert!(
        (one.log_loss - other.log_loss).abs() < 1e-3,
        "{one:?} {other:?}"
    );
    let compared = tuned.compare(&place.from, &tail, &front).unwrap().unwrap();
    let expected = plain
        .compare(&place.from, &tail, &place.front)
        .unwrap()
        .unwrap();
    assert_eq!(compared, expected);
}

#[test]
fn balanced_classes_draw_answers_to_the_rare_class() {
    // 3 of 18 are of the class "b c", and no code tells them.
    let label = |row: usize| usize::from(row.is_multiple_of(6));
    let place = Place::new(&logistic(), label);
    let answers = |weights: ClassWeights| {
        let mut options = options();
        (options.rates, options.epochs) = (vec![2e-2], 12);
        options.class_weights = weights;
        let tuned = place.tune(&options, &()).unwrap();
        tuned.choice.tried[0]
    };
    let (plain, balanced) = (answers(ClassWeights::None), answers(ClassWeights::Balanced));
    // Weights that are not those of the pictures cost log loss, which is not weighted.
    assert!(plain.log_loss < balanced.log_loss, "{plain:?} {balanced:?}");
}
