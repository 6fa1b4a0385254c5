//! Any bytes are a journal whose numbers agree, or an error; cut anywhere, it is a journal of less.
#![no_main]

use cnn_codes::codes::{JournalError, read_journal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|journal: &[u8]| {
    let (job, last) = match read_journal(journal) {
        Ok(Some(read)) => read,
        Ok(None) => return,
        Err(JournalError::Contradiction { line, reason }) => {
            return assert!(line > 1 && !reason.is_empty());
        }
        Err(error) => panic!("memory can be read: {error}"),
    };
    let n_failures: usize = last.failures.values().sum();
    assert!(last.n_done <= last.n_rows + n_failures);
    assert!(last.n_rows + n_failures <= job.n_pictures || last.n_rows + n_failures == 0);
    let cut = &journal[..journal.len() / 2];
    if let Ok(Some((same_job, earlier))) = read_journal(cut) {
        assert_eq!(same_job, job);
        assert!(earlier.n_done <= last.n_done && earlier.n_rows <= last.n_rows);
    }
});
