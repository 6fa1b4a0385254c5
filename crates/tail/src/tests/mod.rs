//! Layers and whole tails: finite differences of a twin in float64, and the fast layers against the twin.

mod derivatives;
mod fast;
mod networks;
mod twin;
