//! Memory for the pictures that are decoded side by side: it does not grow with the threads.
//!
//! Nobody waits for memory. A rayon thread that waits for a part of its own picture may start on
//! another one, and would wait there for what it holds itself. So a picture for which there is no
//! memory now is left for later.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The most memory that pictures take together which are decoded side by side: about what the
/// largest picture takes alone, within the usual limits.
pub(super) const SIDE_BY_SIDE_BYTES: u64 = 384 << 20;

/// What is left of the memory.
#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicU64,
}

/// Memory that is taken for as long as this lives.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    budget: &'a Budget,
    n_bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            left: AtomicU64::new(SIDE_BY_SIDE_BYTES),
        }
    }
}

impl Budget {
    /// Takes `n_bytes`, or nothing where there is too little.
    pub(super) fn take(&self, n_bytes: u64) -> Option<Taken<'_>> {
        let less = |left: u64| left.checked_sub(n_bytes);
        self.left.fetch_update(Relaxed, Relaxed, less).ok()?;
        Some(Taken {
            budget: self,
            n_bytes,
        })
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.n_bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_out_once_and_comes_back() {
        let budget = Budget::default();
        let most = budget.take(SIDE_BY_SIDE_BYTES - 10).unwrap();
        let rest = budget.take(10).unwrap();
        assert!(budget.take(1).is_none());
        drop(rest);
        assert!(budget.take(11).is_none());
        assert!(budget.take(10).is_some());
        drop(most);
        assert!(budget.take(SIDE_BY_SIDE_BYTES).is_some());
        assert!(budget.take(u64::MAX).is_none());
    }
}
