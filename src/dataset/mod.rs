//! Finding labelled pictures.
