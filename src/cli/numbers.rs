//! Numbers on the command line, and how large they may be.

/// The most threads: more than any machine has cores, and few enough to be started.
const MAX_THREADS: usize = 1024;

/// The most pictures in a batch: beyond that, more is slower, and takes gigabytes.
const MAX_BATCH: usize = 4096;

/// A number that is at least 1.
pub fn positive(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(0) => Err("it must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}

/// A number of threads, or of what takes a thread each.
pub fn threads(text: &str) -> Result<usize, String> {
    up_to(MAX_THREADS, text)
}

/// Pictures in a batch.
pub fn batch_size(text: &str) -> Result<usize, String> {
    up_to(MAX_BATCH, text)
}

fn up_to(max: usize, text: &str) -> Result<usize, String> {
    match positive(text)? {
        number if number > max => Err(format!("it must be 1 to {max}")),
        number => Ok(number),
    }
}
