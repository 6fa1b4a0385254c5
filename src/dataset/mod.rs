//! Finding labelled pictures.

mod folders;

pub use folders::{DatasetError, EXTENSIONS, Failure, LabelledPicture, LabelledPictures, find};
