//! Skipping a test where the machine lacks something: said, counted, and forbidden on demand.

use std::fs::File;
use std::io::Write;
use std::panic::Location;

/// The environment variable that makes a skip a failure: `REQUIRE_ALL=1`.
const REQUIRE_ALL: &str = "REQUIRE_ALL";
/// The environment variable that names the file to which skips are added, a line each.
/// scripts/test.sh sets it, and prints the lines at the end.
const LIST: &str = "CNN_CODES_TEST_SKIPS";

/// Says that the running test is skipped, with a reason as [`format!`] takes it. The caller returns.
///
/// With `REQUIRE_ALL=1` in the environment it panics instead.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)*) => {
        $crate::skips::skip(&format!($($reason)*))
    };
}

/// What [`skip!`](crate::skip) does with its reason.
#[track_caller]
pub fn skip(reason: &str) {
    let test = running_test(Location::caller());
    let is_forbidden = std::env::var_os(REQUIRE_ALL).is_some_and(|value| value != "0");
    assert!(!is_forbidden, "{test} would be skipped: {reason}");
    eprintln!("skipped: {reason}");
    if let Some(list) = std::env::var_os(LIST) {
        let mut list = File::options()
            .append(true)
            .create(true)
            .open(list)
            .unwrap();
        // One write, so that lines of tests that run at once do not mix.
        list.write_all(format!("{test}: {reason}\n").as_bytes())
            .unwrap();
    }
}

/// The test's name: nextest tells it, and cargo's own harness calls the test's thread by it. On a
/// thread of another name it is the place of the skip.
fn running_test(place: &Location<'_>) -> String {
    if let Ok(name) = std::env::var("NEXTEST_TEST_NAME") {
        return name;
    }
    match std::thread::current().name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => format!("{}:{}", place.file(), place.line()),
    }
}
