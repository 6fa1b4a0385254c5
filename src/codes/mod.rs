//! The store: a directory of codes.
