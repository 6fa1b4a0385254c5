//! The `cnn-codes` command: arguments in, exit code out.

fn main() {}
