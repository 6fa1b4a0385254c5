//! Schedules requests: many URLs, a few at a time per host, and repeated after a while.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::url;

/// A turn to request a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    /// Index of the URL in the list of URLs.
    pub(super) index: usize,
    /// Number of the attempt, counted from 1.
    pub(super) attempt: u32,
}

/// Hands out turns to threads. Until it is stopped, every turn must be returned with
/// [`Schedule::done`] or [`Schedule::again`].
#[derive(Debug)]
pub(super) struct Schedule {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Turns and their times, the earliest on top.
    due: BinaryHeap<Reverse<(Instant, Turn)>>,
    hosts: Vec<Host>,
    /// The host of each URL.
    host_of: Vec<usize>,
    /// Number of URLs whose fate is open.
    n_open: usize,
    is_stopped: bool,
}

#[derive(Debug)]
struct Host {
    /// Most parallel requests, at least 1.
    limit: usize,
    /// Current number of requests.
    n_active: usize,
    /// No request before this time.
    not_before: Instant,
    /// Turns that came while `limit` requests were active. Each finished request wakes one of them.
    waiting: VecDeque<Turn>,
}

impl Schedule {
    /// All of `urls` at once, in order, at most `per_host` at a time per host.
    pub(super) fn new(urls: &[&str], per_host: usize) -> Self {
        let now = Instant::now();
        let mut places: HashMap<&str, usize> = HashMap::new();
        let host_of: Vec<_> = urls
            .iter()
            .map(|requested| {
                let n = places.len();
                *places.entry(url::host(requested)).or_insert(n)
            })
            .collect();
        let host = || Host {
            limit: per_host,
            n_active: 0,
            not_before: now,
            waiting: VecDeque::new(),
        };
        let turn = |index| Reverse((now, Turn { index, attempt: 1 }));
        Self {
            state: Mutex::new(State {
                due: (0..urls.len()).map(turn).collect(),
                hosts: places.iter().map(|_| host()).collect(),
                host_of,
                n_open: urls.len(),
                is_stopped: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Waits for a turn; `None` when all are done or the schedule is stopped.
    pub(super) fn next(&self) -> Option<Turn> {
        let mut state = self.lock();
        loop {
            if state.is_stopped || state.n_open == 0 {
                return None;
            }
            let now = Instant::now();
            if let Some(turn) = state.take_due(now) {
                return Some(turn);
            }
            let until = state.due.peek().map(|Reverse((when, _))| *when - now);
            state = match until {
                Some(time) => {
                    let waited = self.changed.wait_timeout(state, time);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.changed.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// The URL's fate is known.
    pub(super) fn done(&self, turn: Turn) {
        let mut state = self.lock();
        state.n_open -= 1;
        state.leave(turn);
        self.changed.notify_all();
    }

    /// The URL must be requested again, after `wait`.
    pub(super) fn again(&self, turn: Turn, wait: Duration) {
        let mut state = self.lock();
        let next = Turn {
            attempt: turn.attempt + 1,
            ..turn
        };
        state.due.push(Reverse((Instant::now() + wait, next)));
        state.leave(turn);
        self.changed.notify_all();
    }

    /// The URL's host asks for fewer requests: none for `wait`, and half as many in parallel
    /// afterwards.
    pub(super) fn slow_down(&self, turn: Turn, wait: Duration) {
        let mut state = self.lock();
        let host = state.host_of[turn.index];
        let host = &mut state.hosts[host];
        host.limit = (host.limit / 2).max(1);
        host.not_before = host.not_before.max(Instant::now() + wait);
    }

    /// Hands out no more turns.
    pub(super) fn stop(&self) {
        self.lock().is_stopped = true;
        self.changed.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    /// No code that may panic runs under the lock, so it cannot be poisoned.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The first due turn whose host may be requested.
    fn take_due(&mut self, now: Instant) -> Option<Turn> {
        while let Some(&Reverse((when, turn))) = self.due.peek()
            && when <= now
        {
            self.due.pop();
            let host = &mut self.hosts[self.host_of[turn.index]];
            if host.n_active >= host.limit {
                host.waiting.push_back(turn);
            } else if host.not_before > now {
                self.due.push(Reverse((host.not_before, turn)));
            } else {
                host.n_active += 1;
                return Some(turn);
            }
        }
        None
    }

    fn leave(&mut self, turn: Turn) {
        let host = &mut self.hosts[self.host_of[turn.index]];
        host.n_active -= 1;
        if let Some(next) = host.waiting.pop_front() {
            self.due.push(Reverse((Instant::now(), next)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// The turns that have come, until one would have to be waited for.
    fn due(schedule: &Schedule, now: Instant) -> Vec<(usize, u32)> {
        let mut state = schedule.lock();
        std::iter::from_fn(|| state.take_due(now))
            .map(|turn| (turn.index, turn.attempt))
            .collect()
    }

    fn turn(index: usize, attempt: u32) -> Turn {
        Turn { index, attempt }
    }

    #[test]
    fn a_host_is_asked_for_so_many_at_once_and_others_do_not_wait_for_it() {
        let urls = ["http://a/1", "http://a/2", "http://a:81/3", "https://b/1"];
        let schedule = Schedule::new(&urls, 2);
        assert_eq!(due(&schedule, Instant::now()), [(0, 1), (1, 1), (3, 1)]);
        schedule.done(turn(1, 1));
        assert_eq!(due(&schedule, Instant::now()), [(2, 1)]);
        for index in [0, 2, 3] {
            schedule.done(turn(index, 1));
        }
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn a_url_comes_again_after_its_wait_and_not_before() {
        let schedule = Schedule::new(&["http://a/1", "http://a/2"], 1);
        assert_eq!(due(&schedule, Instant::now()), [(0, 1)]);
        schedule.again(turn(0, 1), LONG);
        assert_eq!(due(&schedule, Instant::now()), [(1, 1)]);
        schedule.done(turn(1, 1));
        assert_eq!(due(&schedule, Instant::now()), []);
        assert_eq!(due(&schedule, Instant::now() + LONG), [(0, 2)]);
    }

    #[test]
    fn a_host_that_wants_less_haste_is_left_alone_and_then_asked_half_as_often() {
        let urls: Vec<_> = (0..8).map(|i| format!("http://a/{i}")).collect();
        let urls: Vec<_> = urls.iter().map(String::as_str).collect();
        let schedule = Schedule::new(&urls, 4);
        assert_eq!(due(&schedule, Instant::now()).len(), 4);
        schedule.slow_down(turn(0, 1), LONG);
        schedule.again(turn(0, 1), LONG);
        for index in 1..4 {
            schedule.done(turn(index, 1));
        }
        assert_eq!(due(&schedule, Instant::now()), []);
        assert_eq!(due(&schedule, Instant::now() + LONG).len(), 2);
    }

    #[test]
    fn every_url_comes_to_its_end_however_often_hosts_complain() {
        let urls: Vec<_> = (0..60).map(|i| format!("http://{}/{i}", i % 3)).collect();
        let urls: Vec<_> = urls.iter().map(String::as_str).collect();
        let schedule = Schedule::new(&urls, 3);
        let n_done = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some(turn) = schedule.next() {
                        if turn.attempt <= (turn.index % 4) as u32 {
                            schedule.slow_down(turn, Duration::from_millis(1));
                            schedule.again(turn, Duration::from_millis(1));
                        } else {
                            n_done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            schedule.done(turn);
                        }
                    }
                });
            }
        });
        assert_eq!(n_done.into_inner(), 60);
    }

    #[test]
    fn nobody_waits_for_a_schedule_that_is_stopped() {
        let schedule = Schedule::new(&["http://a/1"], 1);
        let taken = schedule.next().unwrap();
        schedule.again(taken, LONG);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| schedule.next());
            schedule.stop();
            assert_eq!(waiting.join().unwrap(), None);
        });
    }
}
