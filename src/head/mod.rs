//! Classifiers trained on codes.
