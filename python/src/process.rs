//! What belongs to one process: a fork copies the memory of a session, and none of its threads.

use std::sync::{Arc, Mutex, PoisonError};

/// A value of one process, such as a session with threads: made when it is first wanted, and again after a fork.
pub struct OfProcess<T> {
    made: Mutex<Option<(u32, Arc<Mutex<T>>)>>,
}

impl<T> OfProcess<T> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            made: Mutex::new(None),
        }
    }

    /// The value, made by `make` if this process has none.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<Mutex<T>>, E> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        if let Some((of, value)) = &*made
            && *of == process
        {
            return Ok(Arc::clone(value));
        }
        let new = Arc::new(Mutex::new(make()?));
        // Dropped, the one of before would wait for threads that are not there.
        std::mem::forget(made.replace((process, Arc::clone(&new))));
        Ok(new)
    }
}
