//! Intervals, tests, chances and metrics as SciPy, statsmodels, scikit-learn and baycomp give them; see
//! tests/fixtures/statistics/make_statistics_fixtures.py.

use cnn_codes::evaluate::{Basis, Correctness, Design, Difference, Evaluation};
use ndarray::Array2;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixtures {
    pictures: Vec<Pictures>,
    grouped: Vec<Grouped>,
    seeds: Vec<Seeds>,
    folds: Vec<Folds>,
    metrics: Metrics,
}

/// What is told of an estimate.
#[derive(Deserialize)]
struct Told {
    interval: (f64, f64),
    p: f64,
    chances: [f64; 3],
}

#[derive(Deserialize)]
struct Pictures {
    only_first: usize,
    only_second: usize,
    n: usize,
    mid_p: f64,
    #[serde(flatten)]
    told: Told,
}

#[derive(Deserialize)]
struct Grouped {
    groups: Vec<usize>,
    first: Vec<u8>,
    second: Vec<u8>,
    accuracy_first: (f64, f64),
    #[serde(flatten)]
    told: Told,
}

#[derive(Deserialize)]
struct Seeds {
    groups: Option<Vec<usize>>,
    first: Vec<Vec<u8>>,
    second: Vec<Vec<u8>>,
    #[serde(flatten)]
    told: Told,
}

#[derive(Deserialize)]
struct Folds {
    dealings: Vec<Vec<usize>>,
    first: Vec<Vec<u8>>,
    second: Vec<Vec<u8>>,
    #[serde(flatten)]
    told: Told,
}

#[derive(Deserialize)]
struct Metrics {
    labels: Vec<usize>,
    probabilities: Vec<Vec<f32>>,
    macro_precision: f64,
    macro_recall: f64,
    macro_f1: f64,
    brier: f64,
}

fn fixtures() -> Fixtures {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/statistics/statistics.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn runs(answers: &[Vec<u8>]) -> Correctness {
    let runs = answers.iter().map(|run| right(run)).collect();
    Correctness::new(runs).unwrap()
}

fn right(answers: &[u8]) -> Vec<bool> {
    answers.iter().map(|&answer| answer == 1).collect()
}

fn assert_near(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-9, "{actual}, {expected}");
}

/// All of an estimate but its p-value; the interval is drawn to 0 where the p-value asks for it.
fn assert_told(difference: &Difference, told: &Told) {
    let (low, high) = difference.interval_95;
    let drawn = difference.p_value >= 0.05;
    let (least, most) = told.interval;
    assert_near(low, if drawn { least.min(0.0) } else { least });
    assert_near(high, if drawn { most.max(0.0) } else { most });
    let chances = difference.chances;
    for (actual, expected) in [chances.first, chances.same, chances.second]
        .iter()
        .zip(told.chances)
    {
        assert_near(*actual, expected);
    }
}

#[test]
fn two_heads_on_pictures() {
    let fixtures = fixtures().pictures;
    // The example of Fagerland and others, whose paper gives 0.039.
    assert!((fixtures[0].mid_p - 0.039).abs() < 0.0005);
    for case in &fixtures {
        let answers = |only: usize, before: usize| {
            let of = |row| (before..before + only).contains(&row);
            Correctness::new(vec![(0..case.n).map(of).collect()]).unwrap()
        };
        let first = answers(case.only_first, 0);
        let second = answers(case.only_second, case.only_first);
        let told = Difference::new(&first, &second, &Design::default()).unwrap();
        assert_eq!(told.basis, Basis::Pictures);
        assert_eq!(told.only_first, case.only_first as f64);
        assert_eq!(told.only_second, case.only_second as f64);
        assert_near(told.p_value, case.mid_p.max(case.told.p));
        assert_told(&told, &case.told);
    }
}

#[test]
fn groups_make_intervals_wider() {
    for case in fixtures().grouped {
        let design = |groups| Design {
            groups,
            dealings: &[],
        };
        let (first, second) = (vec![case.first.clone()], vec![case.second]);
        let tell =
            |groups| Difference::new(&runs(&first), &runs(&second), &design(groups)).unwrap();
        let told = tell(Some(&case.groups[..]));
        assert_eq!(told.basis, Basis::Groups);
        assert_near(told.p_value, case.told.p);
        assert_told(&told, &case.told);
        let rows: Vec<_> = (0..case.first.len()).collect();
        let accuracy = |groups| design(groups).interval_95(&right(&case.first), &rows);
        let (low, high) = accuracy(Some(&case.groups[..]));
        assert_near(low, case.accuracy_first.0);
        assert_near(high, case.accuracy_first.1);
        let (alone_low, alone_high) = accuracy(None);
        assert!(high - low > alone_high - alone_low);
    }
}

#[test]
fn seeds_add_their_own_variance() {
    for case in fixtures().seeds {
        let design = Design {
            groups: case.groups.as_deref(),
            dealings: &[],
        };
        let told = Difference::new(&runs(&case.first), &runs(&case.second), &design).unwrap();
        assert_eq!(told.basis, Basis::Seeds);
        assert_near(told.p_value, case.told.p);
        assert_told(&told, &case.told);
    }
}

#[test]
fn folds_as_nadeau_and_bengio_correct_them() {
    for case in fixtures().folds {
        let design = Design {
            groups: None,
            dealings: &case.dealings,
        };
        let told = Difference::new(&runs(&case.first), &runs(&case.second), &design).unwrap();
        assert_eq!(told.basis, Basis::Folds);
        assert_near(told.p_value, case.told.p);
        assert_told(&told, &case.told);
    }
}

#[test]
fn heads_that_never_disagree_are_not_told_apart_and_not_taken_for_equal() {
    let same = Correctness::new(vec![vec![true; 33]]).unwrap();
    let told = Difference::new(&same, &same, &Design::default()).unwrap();
    assert_eq!((told.difference, told.p_value), (0.0, 1.0));
    assert!(told.interval_95.0 < -0.05 && told.interval_95.1 > 0.05);
    let folds: Vec<_> = (0..33).map(|row| row % 5).collect();
    let design = Design {
        groups: None,
        dealings: &[folds],
    };
    let told = Difference::new(&same, &same, &design).unwrap();
    assert!(told.interval_95.0 < -0.05 && told.interval_95.1 > 0.05);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let of = |n| Correctness::new(vec![vec![true; n]]).unwrap();
    assert!(Difference::new(&of(3), &of(4), &Design::default()).is_err());
    let grouped = Design {
        groups: Some(&[0, 1]),
        dealings: &[],
    };
    assert!(Difference::new(&of(3), &of(3), &grouped).is_err());
    let twice = [vec![0, 1, 0], vec![1, 0, 0]];
    let dealt = Design {
        groups: None,
        dealings: &twice,
    };
    assert!(Difference::new(&of(3), &of(3), &dealt).is_err());
    assert!(Correctness::new(vec![vec![true], vec![]]).is_err());
    assert!(Correctness::new(Vec::new()).is_err());
}

#[test]
fn means_leave_out_classes_that_are_not_there() {
    let case = fixtures().metrics;
    let shape = (case.labels.len(), case.probabilities[0].len());
    let probabilities = Array2::from_shape_vec(shape, case.probabilities.concat()).unwrap();
    let evaluation = Evaluation::new(probabilities.view(), &case.labels, &Design::default());
    let metrics = evaluation.unwrap().metrics;
    // Class 2 has no pictures, and some are taken for it.
    let absent = &metrics.per_class[2];
    assert_eq!((absent.recall, absent.recall_95), (None, None));
    assert_near(metrics.macro_mean.precision.unwrap(), case.macro_precision);
    assert_near(metrics.macro_mean.recall.unwrap(), case.macro_recall);
    assert_near(metrics.macro_mean.f1.unwrap(), case.macro_f1);
    assert!((metrics.brier_score - case.brier).abs() < 1e-6);
}
