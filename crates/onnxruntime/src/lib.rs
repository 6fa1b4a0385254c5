//! Which ONNX Runtime a program runs on: found, checked and loaded, with its telemetry off.
//!
//! [`Library::find`] looks for the shared library in the places where it may be, and takes one that was
//! fetched only if its files are the pinned ones; [`Runtime::load`] loads it, once in a process, and
//! never while ONNX Runtime could still tell of the machine. Sessions are built from
//! [`Runtime::environment`] with the crate `ort`.
//!
//! ```text
//! pins        the wheels that are known, by their hashes, for each system and processor
//! fetched     what was fetched, its record, and whether it may be loaded
//! runtime     the library that is found, and the one environment of a process
//! telemetry   the switch that has to be off before
//! sha256      hashes of files, as wheels have them
//! ```

pub mod fetched;
pub mod pins;
mod runtime;
pub mod sha256;
pub mod telemetry;

pub use runtime::{Library, Origin, Runtime, RuntimeError};
