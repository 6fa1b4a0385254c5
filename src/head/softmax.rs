//! Softmax and cross-entropy, row by row.

use ndarray::Array2;

/// Before it takes the logarithm, Keras keeps probabilities at least this far from 0 and 1
/// (`keras.config.epsilon`), so that no sample costs more than 16.118.
const KERAS_CLIP: f64 = 1e-7;

/// Turns logits (K) into probabilities (K) in place, and returns ln(sum(exp(logits))).
///
/// The row's maximum is subtracted first, so that exponents are at most 0 and the sum is at least
/// 1.
pub(super) fn softmax(row: &mut [f32]) -> f64 {
    let max = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = row
        .iter()
        .map(|&logit| (f64::from(logit) - max).exp())
        .sum();
    for value in row.iter_mut() {
        *value = ((f64::from(*value) - max).exp() / sum) as f32;
    }
    max + sum.ln()
}

/// Logits (N, K) of samples from those of their views (N V, K), V each: the mean, so that
/// probabilities are the geometric mean of the views', normalised to sum to 1.
#[must_use]
pub(crate) fn mean_of_views(logits: Array2<f32>, n_views: usize) -> Array2<f32> {
    if n_views == 1 {
        return logits;
    }
    let shape = (logits.nrows() / n_views, logits.ncols());
    Array2::from_shape_fn(shape, |(row, class)| {
        let views = (0..n_views).map(|view| f64::from(logits[[row * n_views + view, class]]));
        (views.sum::<f64>() / n_views as f64) as f32
    })
}

/// Probabilities (N, K) = softmax(logits / temperature), row by row; rows sum to 1.
///
/// A temperature above 1 brings the probabilities closer together, and changes no prediction.
#[must_use]
pub fn probabilities(mut logits: Array2<f32>, temperature: f32) -> Array2<f32> {
    for mut row in logits.rows_mut() {
        row /= temperature;
        softmax(row.as_slice_mut().expect("logits are in C order"));
    }
    logits
}

/// -ln of the probabilities (N, K) that [`probabilities`] computes from logits (N, K): 0 or more,
/// and exact even if a probability is too small for a float32. NaN stays NaN.
#[must_use]
pub(crate) fn negative_log_probabilities(mut logits: Array2<f32>, temperature: f32) -> Array2<f32> {
    for mut row in logits.rows_mut() {
        row /= temperature;
        let divided: Vec<_> = row.iter().copied().map(f64::from).collect();
        let log_sum = softmax(row.as_slice_mut().expect("logits are in C order"));
        // Unlike `max`, `clamp` keeps NaN.
        let negative = divided.iter().map(|logit| (log_sum - logit) as f32);
        row.iter_mut()
            .zip(negative)
            .for_each(|(value, negative)| *value = negative.clamp(0.0, f32::INFINITY));
    }
    logits
}

/// Turns logits (K) into probabilities (K) in place, and returns the cross-entropy for `label`.
///
/// This is the loss of Keras on JAX: -ln(p), with p clipped to [1e-7, 1 - 1e-7]. (Keras on TensorFlow takes logits in
/// training, and does not clip.) Only the reported number is clipped. The gradient, p - y, is that of the unclipped loss, so that very wrong samples still
/// have an effect. NaN stays NaN.
pub(super) fn softmax_cross_entropy(row: &mut [f32], label: usize) -> f64 {
    let logit = f64::from(row[label]);
    let loss = softmax(row) - logit;
    clip(loss)
}

/// [`softmax_cross_entropy`] for a label of which a share of `smoothing` is spread evenly over all
/// classes: Keras' `label_smoothing`. Each class's part is clipped separately.
pub(super) fn smoothed_cross_entropy(row: &mut [f32], label: usize, smoothing: f64) -> f64 {
    let of_label = softmax_cross_entropy(row, label);
    let of_all: f64 = row.iter().map(|&p| clip(-f64::from(p).ln())).sum();
    (1.0 - smoothing) * of_label + smoothing * of_all / row.len() as f64
}

/// -ln(p) for p clipped as in Keras.
fn clip(loss: f64) -> f64 {
    loss.clamp(-(-KERAS_CLIP).ln_1p(), -KERAS_CLIP.ln())
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn softmax_of_known_logits() {
        let mut row = [0.0, (2.0f32).ln(), (5.0f32).ln()];
        let log_sum = softmax(&mut row);
        for (value, expected) in row.iter().zip([0.125, 0.25, 0.625]) {
            assert!((value - expected).abs() < 1e-6);
        }
        assert!((log_sum - 8f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn negative_logarithms_of_what_no_float_holds() {
        let logits = array![[0.0, 2000.0], [3.0, 3.0], [f32::NAN, 0.0]];
        let told = negative_log_probabilities(logits, 2.0);
        assert_eq!((told[[0, 0]], told[[0, 1]]), (1000.0, 0.0));
        assert!((told[[1, 0]] - 2f32.ln()).abs() < 1e-7);
        assert!(told[[2, 0]].is_nan() && told[[2, 1]].is_nan());
    }

    #[test]
    fn logits_too_large_for_exp_are_no_trouble() {
        let mut row = [1000.0, 1000.0, -1000.0];
        let loss = softmax_cross_entropy(&mut row, 0);
        assert!((loss - 2f64.ln()).abs() < 1e-9);
        assert_eq!(row, [0.5, 0.5, 0.0]);
    }

    #[test]
    fn a_smoothed_label_asks_for_a_little_of_every_class() {
        // p = (0.5, 0.25, 0.25), targets (0.1, 0.8, 0.1).
        let loss = smoothed_cross_entropy(&mut [(2.0f32).ln(), 0.0, 0.0], 1, 0.3);
        assert!((loss - 1.9 * 2f64.ln()).abs() < 1e-6, "{loss}");
        // A quarter of the label is on a class of probability 0, which costs the most there is.
        let loss = smoothed_cross_entropy(&mut [1000.0, 0.0], 0, 0.5);
        assert!((loss - 0.25 * 16.118_095_65).abs() < 1e-6, "{loss}");
        assert!(smoothed_cross_entropy(&mut [f32::NAN, 0.0], 1, 0.5).is_nan());
    }

    #[test]
    fn the_loss_is_clipped_as_keras_clips_it() {
        let worst = softmax_cross_entropy(&mut [0.0, 1000.0], 0);
        assert!((worst - 16.118_095_650_958_32).abs() < 1e-9);
        let best = softmax_cross_entropy(&mut [1000.0, 0.0], 0);
        assert!((best - 1.000_000_05e-7).abs() < 1e-12);
        assert!(softmax_cross_entropy(&mut [f32::NAN, 0.0], 1).is_nan());
    }
}
