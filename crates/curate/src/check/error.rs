//! Why a check gave nothing.

use std::io;

use cnn_codes::progress::Stopped;

/// Why a check gave nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The decoders' threads could not be started.
    #[error("cannot start {threads} decoder threads: {source}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What rayon said.
        source: rayon::ThreadPoolBuildError,
    },
    /// The temporary file for thumbnails could not be made, written or read.
    #[error("cannot keep thumbnails in a temporary file in {}: {source}; it takes 1 KiB per picture; set TMPDIR to a folder on another disk", std::env::temp_dir().display())]
    Scratch {
        /// The system's error.
        source: io::Error,
    },
    /// More pictures than can be numbered.
    #[error("{n_pictures} pictures are more than can be compared; check them in parts")]
    TooMany {
        /// How many there are.
        n_pictures: usize,
    },
    /// Its watch stopped it.
    #[error("{0} before all pictures were looked at; nothing was left behind")]
    Stopped(#[from] Stopped),
}
