//! The list of heads. To add one, write its file, in which its model implements
//! [`Head`](super::Head), and add a line here. `train-head --head` has a list of its own, `Heads` in
//! crates/cli/src/train_head/arguments.rs; CONTRIBUTING.md names the other places.

/// Expands the macro `$then` with a line for each head, in the order in which heads are trained, told
/// of, and meant where none is named.
///
/// A line has the head's documentation, the name of its variants, its field in head.json, its name
/// (on command lines, in files, of its file of weights), when head.json leaves it out (heads that came
/// with the format stand there as null), and its model.
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
