//! Accuracy, confusion, intervals and paired tests.
