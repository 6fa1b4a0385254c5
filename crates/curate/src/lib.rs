//! Prepares labelled pictures for a classifier, before any code is computed.
//!
//! ```text
//! download   a list of addresses -> a folder for every class
//! copies     pictures that show the same, found without comparing all with all
//! check      problems of a set of pictures
//! split      labelled pictures -> train/, validation/ and test/
//! ```
//!
//! [`split`](mod@split) keeps copies, found by [`check`](mod@check), in one part. The pictures
//! themselves are found and decoded by [`cnn_codes`].

pub mod check;
mod copies;
pub mod download;
pub mod split;
