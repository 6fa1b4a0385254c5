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
//! folds      two classifiers of equal accuracy, by the means of one half of the features each, trained
//!            and judged in folds; the truth is the mean accuracy of many trainings on n pictures
//! ```
//!
//! A 95% interval should hold the truth 93 to 99 times of 100, and "better" be said of equals 6 times of
//! 100 at the most.

use cnn_codes::evaluate::{Correctness, Design, Difference, Verdict, wilson_95};
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
    folds(draws)?;
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
