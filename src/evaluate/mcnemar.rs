//! McNemar's test between two heads on the same pictures.

/// McNemar's mid-p, two-sided: the probability, if both heads were equally good, of a split more
/// uneven than this one, plus half the probability of this split.
///
/// If neither head is better, each picture that exactly one of them has right is a fair coin toss.
/// The exact test counts the observed split fully, and rejects far less often than its level states
/// (M. Fagerland, S. Lydersen and P. Laake, "The McNemar test for binary matched-pairs data: mid-p
/// and asymptotic are better than exact conditional", BMC Medical Research Methodology 13:91,
/// 2013).
pub(super) fn mid_p(only_first: usize, only_second: usize) -> f64 {
    let (fewer, tosses) = (only_first.min(only_second), only_first + only_second);
    let (tail, last) = fair_tail(fewer, tosses);
    (2.0 * tail - last).min(1.0)
}

/// Probability of at most `heads` heads in `tosses` of a fair coin, and of exactly this number.
///
/// Computed in logarithms: 2^-tosses underflows from 1,075 tosses on.
fn fair_tail(heads: usize, tosses: usize) -> (f64, f64) {
    let mut log_term = -(tosses as f64) * std::f64::consts::LN_2;
    let mut sum = log_term.exp();
    for k in 1..=heads {
        log_term += ((tosses - k + 1) as f64 / k as f64).ln();
        sum += log_term.exp();
    }
    (sum, log_term.exp())
}
