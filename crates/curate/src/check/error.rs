//! Why a check failed.

use std::io;

use cnn_codes::progress::Stopped;

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The decoders' threads could not be started.
    #[error("cannot start {threads} decoder threads: {source}")]
    Threads {
        /// The requested number of threads.
        threads: usize,
        /// rayon's error.
        source: rayon::ThreadPoolBuildError,
    },
    /// The temporary file for thumbnails could not be made, written or read.
    #[error("cannot keep thumbnails in a temporary file in {}: {source}; it takes 1 KiB per picture; set TMPDIR to a folder on another disk", std::env::temp_dir().display())]
    Scratch {
        /// The system's error.
        source: io::Error,
    },
    /// There are more pictures than can be numbered.
    #[error("{n_pictures} pictures are more than can be compared; check them in parts")]
    TooMany {
        /// Number of pictures.
        n_pictures: usize,
    },
    /// The watch stopped it.
    #[error("{0} before all pictures were looked at; nothing was left behind")]
    Stopped(#[from] Stopped),
}
