//! How much better one head is than another, and how certain that is.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::design::Design;
use super::mcnemar::mid_p;
use super::{EvaluateError, Spread, Z_95};

/// Below this p-value a difference is not attributed to chance.
pub const SIGNIFICANCE: f64 = 0.05;

/// Differences in accuracy up to this share, one point, are treated as none.
pub const MARGIN: f64 = 0.01;

/// Whether each picture was classified correctly, in one or more runs: with several seeds on the
/// same pictures, or in folds that were dealt again.
#[derive(Clone, Debug, PartialEq)]
pub struct Correctness {
    /// One entry per run, at least one; each has N answers, at least one.
    runs: Vec<Vec<bool>>,
}

/// The accuracy of a first head minus that of a second one, on the same pictures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Difference {
    /// The variation that the interval covers.
    pub basis: Basis,
    /// The difference, -1 to 1.
    pub difference: f64,
    /// 95% interval of the difference. It contains 0 if and only if `p_value` is at least
    /// [`SIGNIFICANCE`].
    pub interval_95: (f64, f64),
    /// Two-sided probability of a difference at least this large if the heads were equally good.
    pub p_value: f64,
    /// Pictures that only the first head classified correctly; with several runs, their mean
    /// number.
    pub only_first: f64,
    /// Pictures that only the second head classified correctly; with several runs, their mean
    /// number.
    pub only_second: f64,
    /// Probabilities that the first head, the second, or neither is better by more than [`MARGIN`].
    pub chances: Chances,
}

/// The variation that an interval covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Basis {
    /// The same two trained heads, on other pictures of the same kind.
    Pictures,
    /// The same two trained heads, on other groups of pictures of the same kind.
    Groups,
    /// Heads trained in the same way with other seeds, on other pictures (or groups) of the same
    /// kind.
    Seeds,
    /// Heads trained in the same way on other pictures, as many as here.
    Folds,
}

/// Posterior probabilities for the true difference, given the answers and a flat prior; they sum to
/// 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chances {
    /// The first head is better by more than [`MARGIN`].
    pub first: f64,
    /// Neither is.
    pub same: f64,
    /// The second head is better by more than [`MARGIN`].
    pub second: f64,
}

/// The conclusion from an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The first head is better.
    First,
    /// The second head is better.
    Second,
    /// Neither is better by more than [`MARGIN`].
    Same,
    /// Undecided: larger differences either way are possible.
    Undecided,
}

/// An estimate whose error follows Student's t, or the normal distribution.
#[derive(Clone, Copy)]
struct Estimate {
    centre: f64,
    standard_error: f64,
    /// Degrees of freedom; infinite for the normal distribution.
    degrees: f64,
}

impl Correctness {
    /// Takes the answers of each run (R runs of N pictures).
    ///
    /// # Errors
    /// [`EvaluateError::Empty`] for no runs or no pictures, [`EvaluateError::CountMismatch`] if runs
    /// have different numbers of pictures.
    pub fn new(runs: Vec<Vec<bool>>) -> Result<Self, EvaluateError> {
        let n = runs.first().map_or(0, Vec::len);
        if n == 0 {
            return Err(EvaluateError::Empty);
        }
        match runs.iter().find(|run| run.len() != n) {
            Some(run) => Err(EvaluateError::CountMismatch {
                predictions: run.len(),
                labels: n,
            }),
            None => Ok(Self { runs }),
        }
    }

    /// Number of pictures, N.
    #[must_use]
    pub fn n(&self) -> usize {
        self.runs[0].len()
    }

    /// The answers of each run.
    #[must_use]
    pub fn runs(&self) -> &[Vec<bool>] {
        &self.runs
    }

    /// Share of runs in which each picture was classified right (N), 0 to 1.
    #[must_use]
    pub fn shares(&self) -> Vec<f64> {
        let right = |row: usize| self.runs.iter().filter(|run| run[row]).count();
        let n_runs = self.runs.len() as f64;
        (0..self.n())
            .map(|row| right(row) as f64 / n_runs)
            .collect()
    }

    /// Accuracy of each run, 0 to 1.
    #[must_use]
    pub fn accuracies(&self) -> Vec<f64> {
        let right = |run: &Vec<bool>| run.iter().filter(|&&right| right).count();
        let n = self.n() as f64;
        self.runs.iter().map(|run| right(run) as f64 / n).collect()
    }

    /// Variance of the mean accuracy due to the runs alone; 0 for one run.
    fn variance_of_runs(&self) -> f64 {
        let spread = Spread::of(self.accuracies());
        spread.map_or(0.0, |spread| {
            spread.standard_deviation.powi(2) / self.runs.len() as f64
        })
    }
}

impl Difference {
    /// Compares two heads on the same pictures. `design` says how the pictures were obtained. If it
    /// has folds, run i of both heads belongs to dealing i.
    ///
    /// **Pictures.** D. Bonett and R. Price, "Adjusted Wald confidence interval for a difference of
    /// binomial proportions based on paired data", Journal of Educational and Behavioral Statistics
    /// 37, 2012: two pictures are added, one for each head that only this head has right, so that
    /// the interval is not empty if the heads agree. The p-value is McNemar's mid-p (M. Fagerland,
    /// S. Lydersen and P. Laake, BMC Medical Research Methodology 13:91, 2013). One time in a
    /// thousand the two disagree about 0. Then the larger p-value holds, and the interval is
    /// extended to 0.
    ///
    /// **Groups.** The same two pictures are added, and the variance is that between groups (of a
    /// ratio, linearised; W. Cochran, "Sampling techniques", 1977, chapter 9A), with Student's t.
    ///
    /// **Seeds.** The variance over pictures of the mean difference, plus each head's variance over
    /// seeds of the mean accuracy; degrees of freedom by Satterthwaite.
    ///
    /// **Folds.** C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine
    /// Learning 52, 2003: differences in R times K folds have the variance (1 / RK + 1 / (K - 1))
    /// s^2, because their training samples overlap; t with RK - 1 degrees. s^2 is at least what the
    /// pictures alone would give, with two added as above, so that folds that agree by chance do
    /// not give an empty interval.
    ///
    /// The chances come from a t distribution around the difference with the same width. For folds
    /// this is the posterior of G. Corani and A. Benavoli, "A Bayesian approach for comparing
    /// cross-validated algorithms on multiple data sets", Machine Learning 100, 2015.
    ///
    /// # Errors
    /// [`EvaluateError::CountMismatch`] if the heads were evaluated on different numbers of
    /// pictures, or if the number of runs is not that of the dealings.
    pub fn new(
        first: &Correctness,
        second: &Correctness,
        design: &Design,
    ) -> Result<Self, EvaluateError> {
        design.check(first.n(), first.runs.len())?;
        design.check(second.n(), second.runs.len())?;
        let n = first.n();
        if second.n() != n {
            return Err(EvaluateError::CountMismatch {
                predictions: second.n(),
                labels: n,
            });
        }
        let pictures: Vec<f64> = (first.shares().iter().zip(second.shares()))
            .map(|(first, second)| first - second)
            .collect();
        let (only_first, only_second) = only_one_right(first, second);
        let has_seeds = first.runs.len() > 1 || second.runs.len() > 1;
        let (basis, estimate) = match design.dealings {
            [] if has_seeds => (Basis::Seeds, over_seeds(&pictures, first, second, design)),
            [] if design.groups.is_some() => (Basis::Groups, over_pictures(&pictures, design)),
            [] => (
                Basis::Pictures,
                bonett_price(only_first, only_second, n as f64),
            ),
            dealings => (Basis::Folds, over_folds(first, second, dealings)),
        };
        let mid_p = match basis {
            Basis::Pictures => Some(mid_p(only_first as usize, only_second as usize)),
            _ => None,
        };
        Ok(Self {
            difference: pictures.iter().sum::<f64>() / n as f64,
            only_first,
            only_second,
            ..Self::of(basis, estimate, mid_p)
        })
    }

    /// The difference, from an estimate and from McNemar's mid-p if there is one.
    fn of(basis: Basis, estimate: Estimate, mid_p: Option<f64>) -> Self {
        let p_value = estimate.p_value().max(mid_p.unwrap_or(0.0));
        Self {
            basis,
            difference: estimate.centre,
            interval_95: estimate.interval(p_value),
            p_value,
            only_first: 0.0,
            only_second: 0.0,
            chances: estimate.chances(),
        }
    }

    /// The conclusion from the interval.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let (low, high) = self.interval_95;
        if low > 0.0 {
            Verdict::First
        } else if high < 0.0 {
            Verdict::Second
        } else if low >= -MARGIN && high <= MARGIN {
            Verdict::Same
        } else {
            Verdict::Undecided
        }
    }
}

impl Estimate {
    /// Two-sided p-value for a true value of 0.
    fn p_value(self) -> f64 {
        2.0 * self.below(-self.centre.abs())
    }

    /// Probability that an error is at most this.
    fn below(self, error: f64) -> f64 {
        let z = error / self.standard_error;
        match student(self.degrees) {
            Some(student) => student.cdf(z),
            None => Normal::standard().cdf(z),
        }
    }

    /// 95% interval. It contains 0 if and only if `p_value`, at least [`Estimate::p_value`], is not
    /// significant.
    fn interval(self, p_value: f64) -> (f64, f64) {
        let half = quantile_975(self.degrees) * self.standard_error;
        let low = (self.centre - half).max(-1.0);
        let high = (self.centre + half).min(1.0);
        if p_value >= SIGNIFICANCE {
            (low.min(0.0), high.max(0.0))
        } else {
            (low, high)
        }
    }

    fn chances(self) -> Chances {
        // The value lies above a bound where the error lies below the centre minus the bound.
        let first = self.below(self.centre - MARGIN);
        let second = self.below(-MARGIN - self.centre);
        Chances {
            first,
            same: (1.0 - first - second).max(0.0),
            second,
        }
    }
}

/// Student's t; `None` if it is the normal distribution.
fn student(degrees: f64) -> Option<StudentsT> {
    StudentsT::new(0.0, 1.0, degrees)
        .ok()
        .filter(|_| degrees.is_finite())
}

/// The 97.5th percentile of Student's t: 95% lie within it on both sides.
pub(super) fn quantile_975(degrees: f64) -> f64 {
    student(degrees).map_or(Z_95, |student| student.inverse_cdf(0.975))
}

/// Mean number, over runs, of pictures that only one of the heads has right. Equal numbers of runs
/// are paired; otherwise each run is compared with each.
fn only_one_right(first: &Correctness, second: &Correctness) -> (f64, f64) {
    let count = |a: &[bool], b: &[bool]| {
        let pairs = || a.iter().zip(b);
        let only_a = pairs().filter(|&(&a, &b)| a && !b).count();
        let only_b = pairs().filter(|&(&a, &b)| b && !a).count();
        (only_a as f64, only_b as f64)
    };
    let is_paired = first.runs.len() == second.runs.len();
    let counts: Vec<_> = if is_paired {
        let pairs = first.runs.iter().zip(&second.runs);
        pairs.map(|(a, b)| count(a, b)).collect()
    } else {
        let pairs = first
            .runs
            .iter()
            .flat_map(|a| second.runs.iter().map(move |b| (a, b)));
        pairs.map(|(a, b)| count(a, b)).collect()
    };
    let n = counts.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| counts.iter().map(of).sum::<f64>() / n;
    (mean(|pair| pair.0), mean(|pair| pair.1))
}

/// Whether one of two heads is found to be better if only it has this many of `n` pictures right.
pub(super) fn tells_apart(only_first: usize, only_second: usize, n: usize) -> bool {
    let of_two = bonett_price(only_first as f64, only_second as f64, n as f64);
    of_two.p_value().max(mid_p(only_first, only_second)) < SIGNIFICANCE
}

/// The difference of two heads, given how many of `n` pictures only one of them has right; one
/// picture is added for each head.
fn bonett_price(only_first: f64, only_second: f64, n: f64) -> Estimate {
    let n = n + 2.0;
    let [first, second] = [only_first, only_second].map(|only| (only + 1.0) / n);
    let centre = first - second;
    Estimate {
        centre,
        standard_error: ((first + second - centre * centre) / n).sqrt(),
        degrees: f64::INFINITY,
    }
}

/// The mean of differences picture by picture (N), with one picture added for each head.
fn over_pictures(pictures: &[f64], design: &Design) -> Estimate {
    let n = pictures.len() as f64 + 2.0;
    let centre = pictures.iter().sum::<f64>() / n;
    let own = |value: f64| (value - centre).powi(2);
    let added = own(1.0) + own(-1.0);
    let (squares, degrees) = match design.group_sums(pictures, centre) {
        None => (pictures.iter().map(|&d| own(d)).sum(), f64::INFINITY),
        Some(sums) => {
            let n_groups = sums.len() as f64;
            let squares: f64 = sums.iter().map(|sum| sum * sum).sum();
            (
                squares * n_groups / (n_groups - 1.0).max(1.0),
                (n_groups - 1.0).max(1.0),
            )
        }
    };
    Estimate {
        centre,
        standard_error: (squares + added).sqrt() / n,
        degrees,
    }
}

/// The same for means over seeds, whose own variance is added.
fn over_seeds(
    pictures: &[f64],
    first: &Correctness,
    second: &Correctness,
    design: &Design,
) -> Estimate {
    let over_pictures = over_pictures(pictures, design);
    let degrees = match over_pictures.degrees.is_finite() {
        true => over_pictures.degrees,
        false => pictures.len() as f64 + 1.0,
    };
    let mut parts = vec![(over_pictures.standard_error.powi(2), degrees)];
    for head in [first, second] {
        let n_runs = head.runs.len();
        if n_runs > 1 {
            parts.push((head.variance_of_runs(), n_runs as f64 - 1.0));
        }
    }
    let variance: f64 = parts.iter().map(|(variance, _)| variance).sum();
    let terms = parts
        .iter()
        .map(|(variance, degrees)| variance * variance / degrees);
    Estimate {
        standard_error: variance.sqrt(),
        degrees: variance * variance / terms.sum::<f64>(),
        ..over_pictures
    }
}

/// The mean of differences fold by fold, of all dealings.
fn over_folds(first: &Correctness, second: &Correctness, dealings: &[Vec<usize>]) -> Estimate {
    let n_folds = Design::n_folds(dealings);
    let (mut by_fold, mut of_picture) = (Vec::new(), 0.0);
    let mut sum = 0.0;
    for ((a, b), folds) in first.runs.iter().zip(&second.runs).zip(dealings) {
        let mut of_fold = vec![(0.0, 0.0); n_folds];
        for ((&a, &b), &fold) in a.iter().zip(b).zip(folds) {
            let difference = f64::from(u8::from(a)) - f64::from(u8::from(b));
            of_fold[fold].0 += difference;
            of_fold[fold].1 += 1.0;
            of_picture += difference * difference;
            sum += difference;
        }
        by_fold.extend(of_fold.iter().map(|(sum, n)| sum / f64::max(*n, 1.0)));
    }
    let (n_values, n_runs) = (by_fold.len() as f64, dealings.len() as f64);
    let centre = by_fold.iter().sum::<f64>() / n_values;
    let squares: f64 = by_fold.iter().map(|value| (value - centre).powi(2)).sum();
    // The variance of one picture's difference, with one picture added for each head; then of a
    // fold's mean.
    let n = first.n() as f64 + 2.0;
    let of_picture = (of_picture / n_runs + 2.0) / n - (sum / n_runs / n).powi(2);
    let least = of_picture * n_folds as f64 / first.n() as f64;
    let variance = (squares / (n_values - 1.0)).max(least);
    Estimate {
        centre,
        standard_error: (variance * (1.0 / n_values + 1.0 / (n_folds as f64 - 1.0))).sqrt(),
        degrees: n_values - 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Interval, p-value and verdict for all ways in which two heads may disagree on up to 400
    /// pictures, one half of them, as the other one is its mirror image.
    #[test]
    fn interval_p_value_and_verdict_never_contradict_each_other() {
        let mid_ps: Vec<Vec<f64>> = (0..=400)
            .map(|a| (0..=a.min(400 - a)).map(|b| mid_p(a, b)).collect())
            .collect();
        let mut n_better = 0;
        for n in 1..=400 {
            for (a, of_a) in mid_ps.iter().enumerate().take(n + 1) {
                for (b, &mid_p) in of_a.iter().enumerate().take(n - a + 1) {
                    let estimate = bonett_price(a as f64, b as f64, n as f64);
                    let told = Difference::of(Basis::Pictures, estimate, Some(mid_p));
                    let (low, high) = told.interval_95;
                    let holds_0 = low <= 0.0 && high >= 0.0;
                    assert_eq!(holds_0, told.p_value >= SIGNIFICANCE, "{a} {b} {n}");
                    let is_better = told.verdict() == Verdict::First;
                    assert_eq!(is_better, !holds_0, "{a} {b} {n}");
                    assert!(told.verdict() != Verdict::Second);
                    // Each of the two that it is made of may say no.
                    assert!(
                        !is_better || (mid_p < SIGNIFICANCE && estimate.p_value() < SIGNIFICANCE)
                    );
                    n_better += usize::from(is_better);
                }
            }
        }
        assert!(n_better > 1_000_000);
    }

    #[test]
    fn an_interval_within_the_margin_says_that_neither_is_better() {
        let told = |a: f64, b, n| Difference::of(Basis::Pictures, bonett_price(a, b, n), None);
        assert_eq!(told(0.0, 0.0, 33.0).verdict(), Verdict::Undecided);
        assert_eq!(told(3.0, 3.0, 2000.0).verdict(), Verdict::Same);
        assert_eq!(told(0.0, 9.0, 150.0).verdict(), Verdict::Second);
    }
}
