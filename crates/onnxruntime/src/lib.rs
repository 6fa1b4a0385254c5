//! Finds, checks and loads ONNX Runtime, with its telemetry off.
//!
//! [`Library::find`] searches the usual places for the shared library, and accepts a fetched one
//! only if its files are the pinned ones. [`Runtime::load`] loads it, once per process, and never
//! while ONNX Runtime could still send telemetry. Sessions are built from [`Runtime::environment`]
//! with the crate `ort`.
//!
//! ```text
//! pins        the known wheels with their hashes, for each system and processor
//! fetched     what was fetched, its record, and whether it may be loaded
//! runtime     the library that is found, and the one environment of a process
//! telemetry   the switch that must be off before the library is loaded
//! sha256      hashes of files, as wheels have them
//! ```

pub mod fetched;
pub mod pins;
mod runtime;
pub mod sha256;
pub mod telemetry;

pub use runtime::{Library, Origin, Runtime, RuntimeError};
