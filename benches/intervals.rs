//! How often the intervals of a comparison hold the truth, and how often it says "better" of equals.
//!
//!     cargo bench --bench intervals [-- DRAWS]
//!
//! DRAWS, 2000 unless told, is how often each cell is simulated; 2,000 take a few minutes on one core.
//! All random numbers come from fixed seeds.
//!
//! ```text
//! pictures   two heads that alone are right on given shares of the pictures, and do not change
//! seeds      two recipes of equal accuracy; pictures are hard or easy, for both and for each, and a
//!            seed makes its head better or worse on all pictures
//! groups     the same, of pictures that come in groups, which are easy or hard as a whole
//! sets       classes of which a picture's own is one with a probability of 90%: a logistic regression in
//!            five folds gives the threshold, another that is trained on all pictures is asked of new ones
//! folds      two classifiers of equal accuracy, by the means of one half of the features each, trained
//!            and judged in folds; the truth is the mean accuracy of many trainings on n pictures
//! ```
//!
//! A 95% interval should hold the truth 93 to 99 times of 100, and "better" be said of equals 6 times of
//! 100 at the most. A set for 90% should hold the class 88 to 93 times of 100; where the head alone is right more
//! often, it does so more often too, as a set is never empty.

use cnn_codes::evaluate::{ConformalScores, Correctness, Design, Difference, Verdict, wilson_95};
use cnn_codes::head::logistic::{Logistic, LogisticOptions};
use cnn_codes::head::{Head as _, HeadError, Samples, probabilities};
use ndarray::{Array2, Axis};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

type Random = Xoshiro256PlusPlus;

/// Numbers of judged pictures.
const SIZES: [usize; 3] = [33, 150, 500];

fn main() -> anyhow::Result<()> {
    let draws = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let draws = draws.unwrap_or(2000);
    println!("{draws} draws of each cell; a share of 95% is known to 1 point");
    println!(
        "\ncell                                            holds the truth   better said of equals"
    );
    pictures(draws)?;
    seeds(draws)?;
    groups(draws)?;
    folds(draws)?;
    sets(draws.div_ceil(10))?;
    Ok(())
}

/// What was counted in one cell.
#[derive(Default)]
struct Cell {
    n: usize,
    holds: usize,
    better: usize,
}

impl Cell {
    fn count(&mut self, told: &Difference, truth: f64) {
        let (low, high) = told.interval_95;
        self.n += 1;
        self.holds += usize::from((low..=high).contains(&truth));
        let is_better = matches!(told.verdict(), Verdict::First | Verdict::Second);
        self.better += usize::from(is_better);
    }

    fn tell(&self, name: &str, is_equal: bool) {
        let percent = |n: usize| 100.0 * n as f64 / self.n as f64;
        let better = match is_equal {
            true => format!("{:5.1}%", percent(self.better)),
            false => String::new(),
        };
        println!("{name:48}{:14.1}%   {better:>21}", percent(self.holds));
    }
}

/// Two heads that alone are right on shares of the pictures.
fn pictures(draws: usize) -> anyhow::Result<()> {
    for n in SIZES {
        let shares = [
            (0.01, 0.01),
            (0.05, 0.05),
            (0.02, 0.01),
            (0.03, 0.01),
            (0.05, 0.01),
            (0.10, 0.02),
        ];
        for (first, second) in shares {
            let mut random = Random::seed_from_u64(n as u64);
            let (mut of_difference, mut of_accuracy) = (Cell::default(), Cell::default());
            for _ in 0..draws {
                let answers: Vec<f64> = (0..n).map(|_| random.r#gen()).collect();
                let a: Vec<bool> = answers
                    .iter()
                    .map(|&u| u < first || u >= first + second + 0.05)
                    .collect();
                let b: Vec<bool> = answers
                    .iter()
                    .map(|&u| u >= first && !(first + second..first + second + 0.05).contains(&u))
                    .collect();
                let right = a.iter().filter(|&&right| right).count();
                let (low, high) = wilson_95(right, n);
                of_accuracy.n += 1;
                of_accuracy.holds += usize::from((low..=high).contains(&(0.95 - second)));
                let (a, b) = (Correctness::new(vec![a])?, Correctness::new(vec![b])?);
                of_difference.count(
                    &Difference::new(&a, &b, &Design::default())?,
                    first - second,
                );
            }
            let name = format!(
                "pictures, n = {n}, alone right {:.0}% and {:.0}%",
                100.0 * first,
                100.0 * second
            );
            of_difference.tell(&name, first == second);
            of_accuracy.tell(
                &format!("  accuracy of {:.0}%", 100.0 * (0.95 - second)),
                false,
            );
        }
    }
    Ok(())
}

/// Two heads of equal accuracy on pictures in groups, of one run each: the pictures of a group are alike.
fn groups(draws: usize) -> anyhow::Result<()> {
    for (n_groups, size) in [(11, 3), (30, 5), (50, 10), (100, 5)] {
        let mut random = Random::seed_from_u64(300 + n_groups as u64);
        let (mut of_difference, mut of_accuracy) = (Cell::default(), Cell::default());
        let n = n_groups * size;
        let groups: Vec<usize> = (0..n).map(|row| row / size).collect();
        let design = Design {
            groups: Some(&groups),
            dealings: &[],
        };
        // A normal number with the deviation sqrt(1 + 0.36 + 0.36) is above -1.8 in 91.5% of cases.
        let truth = 0.915;
        let rows: Vec<_> = (0..n).collect();
        for _ in 0..draws {
            let hard: Vec<f64> = (0..n_groups).map(|_| 1.8 + normal(&mut random)).collect();
            let mut head = || {
                let own: Vec<f64> = (0..n_groups).map(|_| 0.6 * normal(&mut random)).collect();
                let of_row =
                    |&group: &usize| hard[group] + own[group] + 0.6 * normal(&mut random) > 0.0;
                groups.iter().map(of_row).collect::<Vec<bool>>()
            };
            let (a, b) = (head(), head());
            let (low, high) = design.interval_95(&a, &rows);
            of_accuracy.n += 1;
            of_accuracy.holds += usize::from((low..=high).contains(&truth));
            let (a, b) = (Correctness::new(vec![a])?, Correctness::new(vec![b])?);
            of_difference.count(&Difference::new(&a, &b, &design)?, 0.0);
        }
        of_difference.tell(&format!("groups, {n_groups} of {size}"), true);
        of_accuracy.tell(&format!("  accuracy of {:.1}%", 100.0 * truth), false);
    }
    Ok(())
}

/// A normal number, by the sum of twelve uniform ones.
fn normal(random: &mut Random) -> f64 {
    (0..12).map(|_| random.r#gen::<f64>()).sum::<f64>() - 6.0
}

/// Two recipes of equal accuracy, with seeds.
fn seeds(draws: usize) -> anyhow::Result<()> {
    for n in SIZES {
        for (n_first, n_second) in [(8, 1), (8, 8), (3, 3)] {
            let mut random = Random::seed_from_u64(100 + n as u64);
            let mut cell = Cell::default();
            for _ in 0..draws {
                let hard: Vec<f64> = (0..n).map(|_| 2.5 + 1.5 * normal(&mut random)).collect();
                let mut head = |n_seeds: usize| {
                    // The recipe without seeds is one of them that is average.
                    let spread = if n_seeds > 1 { 0.4 } else { 0.0 };
                    let own: Vec<f64> = (0..n).map(|_| normal(&mut random)).collect();
                    let runs = (0..n_seeds).map(|_| {
                        let seed = spread * normal(&mut random);
                        let of_picture = |row: usize| hard[row] + own[row] + seed;
                        (0..n)
                            .map(|row| of_picture(row) + 0.7 * normal(&mut random) > 0.0)
                            .collect()
                    });
                    Correctness::new(runs.collect())
                };
                let (a, b) = (head(n_first)?, head(n_second)?);
                cell.count(&Difference::new(&a, &b, &Design::default())?, 0.0);
            }
            cell.tell(
                &format!("seeds, n = {n}, {n_first} and {n_second} seeds"),
                true,
            );
        }
    }
    Ok(())
}

/// Features that each classifier looks at.
const FEATURES: usize = 8;

/// Pictures (n) of two classes: labels, and the features of both classifiers.
fn made_up(n: usize, random: &mut Random) -> (Vec<usize>, Vec<[f64; 2 * FEATURES]>) {
    let labels: Vec<usize> = (0..n).map(|row| row % 2).collect();
    let codes = labels.iter().map(|&label| {
        let mut code = [0.0; 2 * FEATURES];
        code.iter_mut()
            .for_each(|value| *value = normal(random) + 0.45 * label as f64);
        code
    });
    let codes = codes.collect();
    (labels, codes)
}

/// Whether the class with the nearer mean is the label, for the rows of `judged`; by the means of the
/// rows of `trained`, in one half of the features.
fn nearest_mean(
    (labels, codes): (&[usize], &[[f64; 2 * FEATURES]]),
    half: usize,
    trained: &[usize],
    judged: &[usize],
) -> Vec<bool> {
    let features = half * FEATURES..(half + 1) * FEATURES;
    let mut means = [[0.0; 2 * FEATURES]; 2];
    let mut n = [0.0_f64; 2];
    for &row in trained {
        n[labels[row]] += 1.0;
        features
            .clone()
            .for_each(|j| means[labels[row]][j] += codes[row][j]);
    }
    let distance = |row: usize, class: usize| -> f64 {
        let of_feature = |j: usize| (codes[row][j] - means[class][j] / n[class].max(1.0)).powi(2);
        features.clone().map(of_feature).sum()
    };
    let judge = |&row: &usize| (distance(row, 1) < distance(row, 0)) == (labels[row] == 1);
    judged.iter().map(judge).collect()
}

/// Mean accuracy of a classifier that learned from n pictures.
fn truth(n: usize) -> f64 {
    let mut random = Random::seed_from_u64(7);
    let (n_trainings, n_judged) = (4000, 400);
    let shares = (0..n_trainings).map(|_| {
        let (labels, codes) = made_up(n + n_judged, &mut random);
        let (trained, judged): (Vec<_>, Vec<_>) = (0..n + n_judged).partition(|&row| row < n);
        let right = nearest_mean((&labels, &codes), 0, &trained, &judged);
        right.iter().filter(|&&right| right).count() as f64 / n_judged as f64
    });
    shares.sum::<f64>() / f64::from(n_trainings)
}

fn folds(draws: usize) -> anyhow::Result<()> {
    for n in SIZES {
        for (n_folds, n_runs) in [(5, 1), (5, 4), (10, 1)] {
            // What the intervals speak of: heads that learn from as many as those that are judged do.
            let truth = truth(n - n / n_folds);
            let mut random = Random::seed_from_u64(200 + n as u64);
            let (mut of_difference, mut of_accuracy) = (Cell::default(), Cell::default());
            for _ in 0..draws {
                let (labels, codes) = made_up(n, &mut random);
                let mut runs = [Vec::new(), Vec::new()];
                let mut dealings = Vec::new();
                for _ in 0..n_runs {
                    let mut folds: Vec<usize> = (0..n).map(|row| row / 2 % n_folds).collect();
                    folds.shuffle(&mut random);
                    let mut right = [vec![false; n], vec![false; n]];
                    for fold in 0..n_folds {
                        let (judged, trained): (Vec<_>, Vec<_>) =
                            (0..n).partition(|&row| folds[row] == fold);
                        for (half, right) in right.iter_mut().enumerate() {
                            let told = nearest_mean((&labels, &codes), half, &trained, &judged);
                            judged
                                .iter()
                                .zip(told)
                                .for_each(|(&row, told)| right[row] = told);
                        }
                    }
                    let [first, second] = right;
                    runs[0].push(first);
                    runs[1].push(second);
                    dealings.push(folds);
                }
                let design = Design {
                    groups: None,
                    dealings: &dealings,
                };
                let rows: Vec<_> = (0..n).collect();
                let first = Design {
                    dealings: &dealings[..1],
                    ..design
                };
                let (low, high) = first.interval_95(&runs[0][0], &rows);
                of_accuracy.n += 1;
                of_accuracy.holds += usize::from((low..=high).contains(&truth));
                let [first, second] = runs;
                let (first, second) = (Correctness::new(first)?, Correctness::new(second)?);
                of_difference.count(&Difference::new(&first, &second, &design)?, 0.0);
            }
            of_difference.tell(&format!("folds, n = {n}, {n_runs} times {n_folds}"), true);
            of_accuracy.tell(&format!("  accuracy of {:.1}%", 100.0 * truth), false);
        }
    }
    Ok(())
}

/// What is asked of sets.
const SHARE: f64 = 0.9;

/// Classes of the pictures that sets are made for.
const CLASSES: usize = 4;

/// New pictures for each trained head.
const NEW: usize = 100;

/// Pictures with labels, in groups of up to `largest` that are alike: codes (n, FEATURES). The larger
/// `apart`, the farther the classes are from each other.
fn grouped_codes(
    n: usize,
    largest: usize,
    apart: f64,
    random: &mut Random,
) -> (Array2<f32>, Vec<usize>, Vec<usize>) {
    let (mut labels, mut groups) = (Vec::new(), Vec::new());
    let mut codes = Vec::with_capacity(n * FEATURES);
    for group in 0.. {
        if labels.len() >= n {
            break;
        }
        let label = group % CLASSES;
        let size = random.gen_range(1..=largest).min(n - labels.len());
        let own: Vec<f64> = (0..FEATURES).map(|_| 0.8 * normal(random)).collect();
        for _ in 0..size {
            labels.push(label);
            groups.push(group);
            codes.extend(own.iter().enumerate().map(|(feature, own)| {
                let centre = if feature % CLASSES == label {
                    apart
                } else {
                    0.0
                };
                (centre + own + 0.6 * normal(random)) as f32
            }));
        }
    }
    let codes = Array2::from_shape_vec((n, FEATURES), codes).expect("n codes");
    (codes, labels, groups)
}

/// How often sets hold a picture's own class, and how often the head alone is right.
fn sets(draws: usize) -> anyhow::Result<()> {
    println!(
        "\nsets for 90%                                    hold the class   head alone is right   classes in a set"
    );
    for n in SIZES {
        for (largest, apart) in [(1, 1.0), (1, 1.6), (8, 1.0), (8, 1.6), (1, 3.0)] {
            let mut random = Random::seed_from_u64(400 + n as u64);
            let (mut holds, mut right, mut classes, mut all) = (0, 0, 0, 0);
            for _ in 0..draws {
                let Some((sets, logistic)) = trained_with_sets(n, largest, apart, &mut random)?
                else {
                    continue;
                };
                // One of each group, so that they are independent.
                let (codes, labels, _) = grouped_codes(NEW, 1, apart, &mut random);
                let probabilities = probabilities(logistic.logits(&codes.view().into())?, 1.0);
                for (probabilities, label) in probabilities.rows().into_iter().zip(labels) {
                    let likelier = probabilities.iter().filter(|&&p| p > probabilities[label]);
                    let is_first = likelier.count() == 0;
                    let in_set = probabilities
                        .iter()
                        .filter(|p| -p.ln() <= sets)
                        .count()
                        .max(1);
                    holds += usize::from(is_first || -probabilities[label].ln() <= sets);
                    right += usize::from(is_first);
                    classes += in_set;
                    all += 1;
                }
            }
            let percent = |n: usize| 100.0 * n as f64 / all as f64;
            println!(
                "{:48}{:13.1}%{:21.1}%{:19.2}",
                format!("n = {n}, groups of up to {largest}, {apart} apart"),
                percent(holds),
                percent(right),
                classes as f64 / all as f64
            );
        }
    }
    Ok(())
}

/// The largest score in a set, by a logistic regression in five folds, and one that is trained on all n
/// pictures; nothing where a class is in too few groups to be in every fold's training part.
fn trained_with_sets(
    n: usize,
    largest: usize,
    apart: f64,
    random: &mut Random,
) -> anyhow::Result<Option<(f32, Logistic)>> {
    let (codes, labels, groups) = grouped_codes(n, largest, apart, random);
    let fit = |rows: &[usize]| {
        let codes = codes.select(Axis(0), rows);
        let labels: Vec<_> = rows.iter().map(|&row| labels[row]).collect();
        let samples = Samples::new(codes.view(), &labels, CLASSES)?;
        Logistic::fit(&samples, None, &LogisticOptions::default(), &()).map(|fit| fit.model)
    };
    let n_groups = groups[n - 1] + 1;
    if n_groups < 10 {
        return Ok(None);
    }
    let mut scores = vec![0.0; n];
    for fold in 0..5 {
        // Each class in each fold.
        let (inside, outside): (Vec<_>, Vec<_>) =
            (0..n).partition(|&row| groups[row] / CLASSES % 5 == fold);
        if inside.is_empty() {
            continue;
        }
        let judged = codes.select(Axis(0), &inside);
        let logits = fit(&outside)?.logits(&judged.view().into())?;
        for (&row, probabilities) in inside.iter().zip(probabilities(logits, 1.0).rows()) {
            scores[row] = -probabilities[labels[row]].ln();
        }
    }
    let sizes: Vec<_> = groups
        .iter()
        .map(|group| groups.iter().filter(|other| *other == group).count() as f32)
        .collect();
    let threshold = ConformalScores::new(&scores, &sizes).threshold(SHARE);
    let rows: Vec<_> = (0..n).collect();
    Ok(threshold
        .map(|threshold| Ok::<_, HeadError>((threshold, fit(&rows)?)))
        .transpose()?)
}
