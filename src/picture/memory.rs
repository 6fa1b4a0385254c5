//! Limits the memory of pictures that are decoded at the same time, whatever the number of threads.
//!
//! ```text
//! side_by_side   on rayon's threads: a picture that finds too little memory is left for later
//! Budget         on other threads: a picture waits for memory
//! ```
//!
//! Large pictures, and pictures in large files, are processed alone.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use super::{LARGE_BYTES, LARGE_FILE_BYTES};

/// The most memory that pictures decoded at the same time take together: about as much as the
/// largest picture takes alone, within the default limits.
const SIDE_BY_SIDE_BYTES: u64 = 384 << 20;

/// Memory shared by the pictures that are being processed: 384 MiB.
#[derive(Debug)]
pub struct Budget {
    left: Mutex<u64>,
    given_back: Condvar,
    /// Held by the picture that waits. Later ones queue behind it, however little they need.
    queue: Mutex<()>,
}

/// Memory that is reserved until this is dropped.
#[derive(Debug)]
pub struct Taken<'a> {
    budget: &'a Budget,
    n_bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            left: Mutex::new(SIDE_BY_SIDE_BYTES),
            given_back: Condvar::new(),
            queue: Mutex::new(()),
        }
    }
}

impl Budget {
    /// Takes `n_bytes`, or `None` if too little is left.
    fn take(&self, n_bytes: u64) -> Option<Taken<'_>> {
        let mut left = lock(&self.left);
        *left = left.checked_sub(n_bytes)?;
        Some(Taken {
            budget: self,
            n_bytes,
        })
    }

    /// Waits until `n_bytes` are free, and takes them. A request for more than the whole budget
    /// takes all of it.
    ///
    /// Do not call this on threads of a rayon pool. A thread that waits for a part of its own
    /// picture may start on another picture, and would then wait here for memory that it holds
    /// itself.
    pub fn wait_for(&self, n_bytes: u64) -> Taken<'_> {
        let n_bytes = n_bytes.min(SIDE_BY_SIDE_BYTES);
        let _first = lock(&self.queue);
        let mut left = lock(&self.left);
        while *left < n_bytes {
            let waited = self.given_back.wait(left);
            left = waited.unwrap_or_else(PoisonError::into_inner);
        }
        *left -= n_bytes;
        Taken {
            budget: self,
            n_bytes,
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *lock(&self.budget.left) += self.n_bytes;
        self.budget.given_back.notify_all();
    }
}

/// No code that may panic runs under these locks, so they cannot be poisoned.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The source of the memory for a picture.
#[derive(Clone, Copy, Debug)]
pub struct Room<'a> {
    /// The budget that it shares with others; `None` if its memory was reserved before.
    budget: Option<&'a Budget>,
}

/// There is no memory for a picture now. It is left for later, when memory is reserved for it.
#[derive(Debug)]
pub struct Later {
    /// How much of the budget it takes; more than all of it if it must be alone.
    n_bytes: u64,
}

impl Later {
    const ALONE: Self = Self { n_bytes: u64::MAX };
}

impl Room<'_> {
    /// Asks for room to read a file of `n_bytes`. A large file is read alone.
    ///
    /// # Errors
    /// [`Later`], to be passed on.
    pub fn for_file(&self, n_bytes: u64) -> Result<(), Later> {
        if is_large_file(n_bytes) {
            return self.alone();
        }
        Ok(())
    }

    /// Asks for memory to decode a picture that takes `n_bytes`
    /// ([`decoding_bytes`](super::decoding_bytes)). It is reserved until the result is dropped.
    ///
    /// # Errors
    /// [`Later`], to be passed on.
    pub fn for_decoding(&self, n_bytes: u64) -> Result<Option<Taken<'_>>, Later> {
        let Some(budget) = self.budget else {
            return Ok(None);
        };
        if is_large(n_bytes) {
            return Err(Later::ALONE);
        }
        match budget.take(n_bytes) {
            Some(taken) => Ok(Some(taken)),
            None => Err(Later { n_bytes }),
        }
    }

    /// Asks to be processed alone, for instance to try again when fewer files are open.
    ///
    /// # Errors
    /// [`Later`], to be passed on, unless the picture is already alone.
    pub(crate) fn alone(&self) -> Result<(), Later> {
        match self.budget {
            Some(_) => Err(Later::ALONE),
            None => Ok(()),
        }
    }
}

/// Whether a picture is decoded alone because of the memory that it takes.
pub(crate) fn is_large(decoding_bytes: u64) -> bool {
    decoding_bytes > LARGE_BYTES
}

/// Whether a file is read alone.
pub(crate) fn is_large_file(n_bytes: u64) -> bool {
    n_bytes > LARGE_FILE_BYTES
}

/// Calls `work` for each of `pictures`, on the threads of the current rayon pool, and returns the
/// results in the order of the pictures.
///
/// At first all pictures are tried in parallel. Those for which the [`Room`] has no memory follow
/// in groups that fit into the budget, large ones alone. For them `work` is called again, with a
/// room whose memory is reserved. No thread waits for memory meanwhile.
pub fn side_by_side<P: Send, T: Send>(
    pictures: impl IntoIterator<Item = P>,
    work: impl Fn(&mut P, Room) -> Result<T, Later> + Sync,
) -> Vec<T> {
    let slot = |picture| Slot {
        picture,
        attempt: Err(Later { n_bytes: 0 }),
    };
    let mut slots: Vec<_> = pictures.into_iter().map(slot).collect();
    let try_all = |slots: Vec<&mut Slot<P, T>>, room: Room| {
        let slots = slots.into_par_iter().with_max_len(1);
        slots.for_each(|slot| slot.attempt = work(&mut slot.picture, room));
    };
    let budget = Budget::default();
    let shared = Room {
        budget: Some(&budget),
    };
    try_all(slots.iter_mut().collect(), shared);
    loop {
        let group = next_group(&mut slots);
        if group.is_empty() {
            break;
        }
        try_all(group, Room { budget: None });
    }
    let attempts = slots.into_iter().map(|slot| slot.attempt);
    attempts.filter_map(Result::ok).collect()
}

/// A picture and its result.
struct Slot<P, T> {
    picture: P,
    attempt: Result<T, Later>,
}

/// The first of the remaining pictures, and later ones that fit into the budget beside it.
fn next_group<P, T>(slots: &mut [Slot<P, T>]) -> Vec<&mut Slot<P, T>> {
    let mut sum: u64 = 0;
    let fits = |slot: &&mut Slot<P, T>| {
        let Err(Later { n_bytes }) = slot.attempt else {
            return false;
        };
        let with_it = sum.saturating_add(n_bytes);
        let fits = sum == 0 || with_it <= SIDE_BY_SIDE_BYTES;
        if fits {
            sum = with_it;
        }
        fits
    };
    slots.iter_mut().filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
    use std::thread;

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

    /// What pictures in hand take, now and at most.
    #[derive(Default)]
    struct InHand {
        now: AtomicU64,
        most: AtomicU64,
        n: AtomicUsize,
    }

    impl InHand {
        fn hold<T>(&self, n_bytes: u64, work: impl FnOnce(usize) -> T) -> T {
            let now = self.now.fetch_add(n_bytes, SeqCst) + n_bytes;
            self.most.fetch_max(now, SeqCst);
            let result = work(self.n.fetch_add(1, SeqCst) + 1);
            thread::yield_now();
            self.n.fetch_sub(1, SeqCst);
            self.now.fetch_sub(n_bytes, SeqCst);
            result
        }
    }

    /// Pictures of 10 to 250 MiB, some of them large.
    fn sizes() -> Vec<u64> {
        (0..60).map(|i| (10 + (i * 77) % 240) << 20).collect()
    }

    #[test]
    fn pictures_side_by_side_share_the_budget_and_large_ones_are_alone() {
        let in_hand = InHand::default();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(8).build();
        let done = pool.unwrap().install(|| {
            side_by_side(sizes(), |n_bytes, room| {
                let _memory = room.for_decoding(*n_bytes)?;
                in_hand.hold(*n_bytes, |n| assert!(!is_large(*n_bytes) || n == 1));
                Ok(*n_bytes)
            })
        });
        assert_eq!(done, sizes(), "each once, in their order");
        assert!(in_hand.most.into_inner() <= SIDE_BY_SIDE_BYTES);
    }

    #[test]
    fn a_picture_that_asks_to_be_alone_is_tried_again() {
        let attempts = AtomicUsize::new(0);
        let done = side_by_side([1], |picture, room| {
            attempts.fetch_add(1, SeqCst);
            room.alone()?;
            room.for_file(u64::MAX)?;
            let _memory = room.for_decoding(u64::MAX)?;
            Ok(*picture)
        });
        assert_eq!((done, attempts.into_inner()), (vec![1], 2));
    }

    #[test]
    fn threads_that_wait_for_memory_share_it_too_and_all_come_to_their_turn() {
        let (budget, in_hand) = (Budget::default(), InHand::default());
        thread::scope(|scope| {
            for n_bytes in sizes().into_iter().chain([SIDE_BY_SIDE_BYTES, u64::MAX]) {
                let (budget, in_hand) = (&budget, &in_hand);
                scope.spawn(move || {
                    let taken = budget.wait_for(n_bytes);
                    in_hand.hold(taken.n_bytes, |_| ());
                });
            }
        });
        assert!(in_hand.most.into_inner() <= SIDE_BY_SIDE_BYTES);
        assert!(budget.take(SIDE_BY_SIDE_BYTES).is_some());
    }
}
