//! The list of heads. To add one, write a file in which its model implements [`Head`](super::Head),
//! and add a line here. `train-head --head` has a list of its own, `Heads` in
//! crates/cli/src/train_head/arguments.rs; CONTRIBUTING.md names the other places.

/// Expands the macro `$then` with a line for each head. Heads are trained, reported and chosen by
/// default in this order.
///
/// A line has the head's documentation, its variant name, its field in head.json, its name (on
/// command lines and in file names), when head.json leaves it out (heads as old as the format are
/// written as null), and its model.
macro_rules! for_each_head {
    ($then:ident) => {
        $then! {
            /// The multilayer perceptron.
            Mlp, mlp, "mlp", "never", crate::head::mlp::Mlp;
            /// The multinomial logistic regression.
            Logistic, logistic, "logistic", "never", crate::head::logistic::Logistic;
            /// The class whose mean code has the most similar direction.
            NearestCentroid, nearest_centroid, "nearest-centroid", "absent",
                crate::head::nearest_centroid::NearestCentroid;
        }
    };
}
pub(super) use for_each_head;
