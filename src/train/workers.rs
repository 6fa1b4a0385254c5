//! Runs many fits in parallel.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rayon::ThreadPoolBuilder;

/// Memory that parallel fits may take together.
const MEMORY: usize = 512 << 20;

/// Runs `jobs` on several threads, and returns their results in the order of the jobs.
///
/// Each worker has its own thread pool, so that a small fit is not divided among threads that wait
/// for each other. Results do not depend on the number of threads. `bytes` is the memory of one
/// job.
///
/// # Errors
/// The error of the first job, in order, that failed; the remaining jobs are then abandoned.
pub(super) fn work<J, R, E>(
    jobs: &[J],
    bytes: usize,
    run: impl Fn(&J) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E>
where
    J: Sync,
    R: Send,
    E: Send,
{
    let threads = rayon::current_num_threads();
    let fitting = (MEMORY / bytes.max(1)).max(1);
    let workers = threads.min(fitting).min(jobs.len()).max(1);
    if workers == 1 {
        return jobs.iter().map(run).collect();
    }
    let results: Vec<Mutex<Option<Result<R, E>>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else { break };
            let result = run(job);
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            *results[index].lock().expect("no holder panics") = Some(result);
        }
    };
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let pool = ThreadPoolBuilder::new().num_threads(threads / workers);
                match pool.build() {
                    Ok(pool) => pool.install(work),
                    // No more threads are available: this worker continues without its own pool.
                    Err(_) => work(),
                }
            });
        }
    });
    let results = results.into_iter();
    results
        .filter_map(|result| result.into_inner().expect("no holder panics"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_jobs() {
        let jobs: Vec<_> = (0..50).collect();
        let pool = ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        let squares = pool.install(|| work(&jobs, 1, |job| Ok::<_, ()>(job * job)));
        let expected: Vec<_> = jobs.iter().map(|job| job * job).collect();
        assert_eq!(squares, Ok(expected));
    }

    #[test]
    fn the_first_error_is_given_and_the_rest_is_given_up() {
        let jobs: Vec<_> = (0..1000).collect();
        let n_done = AtomicUsize::new(0);
        let pool = ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let run = |&job: &usize| {
            n_done.fetch_add(1, Ordering::Relaxed);
            if job >= 3 { Err(job) } else { Ok(job) }
        };
        assert_eq!(pool.install(|| work(&jobs, 1, run)), Err(3));
        assert!(n_done.load(Ordering::Relaxed) < 10);
    }

    #[test]
    fn as_many_at_once_as_memory_allows() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let pool = ThreadPoolBuilder::new().num_threads(8).build().unwrap();
        let run = |_: &usize| {
            let running = now.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(running, Ordering::SeqCst);
            thread::sleep(std::time::Duration::from_millis(2));
            now.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, ()>(())
        };
        let jobs: Vec<_> = (0..40).collect();
        pool.install(|| work(&jobs, MEMORY / 2, run)).unwrap();
        assert!(most.load(Ordering::SeqCst) <= 2);
        pool.install(|| work(&jobs, 2 * MEMORY, run)).unwrap();
    }
}
