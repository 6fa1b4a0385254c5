//! Layers and whole tails: finite differences of a twin in float64, and the fast layers against the twin.

mod derivatives;
mod fast;
#[path = "../../tests/it/networks.rs"]
mod networks;
mod twin;
