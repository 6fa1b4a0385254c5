//! `cnn-codes download` again: after a run that ended, was stopped or killed, or with another list.

use crate::support;

use std::fs;
use std::process::Command;
use std::time::Duration;

use support::download::{Place, end, path_of};
use support::http_server::{Server, picture};
use support::wait_for;

#[test]
fn equal_pictures_are_one_file_and_under_two_labels_a_contradiction_that_can_be_mended() {
    let server = Server::start();
    let url = |name: &str| server.url(&format!("/copy/{name}"));
    let rows = [
        (url("x/1"), "a"),
        (url("x/2"), "a"),
        (url("y/1"), "a"),
        (url("y/2"), "b"),
        (url("z"), "b"),
        (url("z"), "b"),
    ];
    let place = Place::new(&rows);
    assert_eq!(place.run(&[]).0, Some(0));
    assert_eq!(server.hits("/copy/z"), 1);
    let status = ["ok", "ok", "contradiction", "contradiction", "ok", "ok"];
    assert_eq!(place.column("status"), status);
    let reasons = place.column("reason");
    assert_eq!(reasons[0], "2 rows have these very bytes");
    assert_eq!(reasons[1], reasons[0]);
    assert_eq!(
        reasons[2],
        "the same bytes are 'a' (line 4) and 'b' (line 5)"
    );
    assert_eq!(place.pictures(), [path_of("a", "x"), path_of("b", "z")]);

    // Without one of the two rows, the picture that was set aside counts, and is not asked for.
    place.list(&[&rows[..3], &rows[4..]].concat());
    assert_eq!(place.run(&[]).0, Some(0));
    let mut expected = vec![path_of("a", "x"), path_of("a", "y"), path_of("b", "z")];
    expected.sort();
    assert_eq!(place.pictures(), expected);
    assert_eq!(server.all_hits(), 5);

    // A label that is put right moves the picture; a row that goes takes it out, and keeps it.
    place.list(&[(url("x/1"), "b"), (url("z"), "b")]);
    let (_, said, _) = place.run(&[]);
    assert!(
        said.contains("set aside, because the list has them no more: 1 pictures"),
        "{said}"
    );
    let mut expected = vec![path_of("b", "x"), path_of("b", "z")];
    expected.sort();
    assert_eq!(place.pictures(), expected);
    assert!(place.out().join(path_of(".download", "y")).is_file());
    assert_eq!(server.all_hits(), 5);
}

#[test]
fn what_a_server_gives_for_every_picture_that_is_gone_is_no_picture() {
    let server = Server::start();
    let mut rows: Vec<_> = (0..5)
        .map(|i| (server.url(&format!("/same/{i}")), "a"))
        .collect();
    rows.push((server.url("/png/1"), "a"));
    let place = Place::new(&rows[1..]);
    assert_eq!(place.run(&[]).0, Some(0));
    assert_eq!(place.column("status"), ["ok"; 5]);
    assert_eq!(place.pictures().len(), 2);
    // The fifth gives it away, and takes it out again.
    place.list(&rows);
    let (code, said, _) = place.run(&["--format", "json"]);
    assert_eq!(code, Some(0));
    let summary: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(summary["by_status"]["placeholder"], 5);
    assert_eq!(summary["per_class"]["a"], 1);
    assert_eq!(summary["urls_asked_for"], 1);
    assert_eq!(place.pictures(), [path_of("a", "1")]);
}

#[test]
fn a_second_run_asks_only_for_what_may_end_better() {
    let server = Server::start();
    let paths = ["/png/1", "/png/2", "/gone", "/once/3", "/page"];
    let rows: Vec<_> = paths.iter().map(|path| (server.url(path), "a")).collect();
    let place = Place::new(&rows);
    assert_eq!(place.run(&["--retries", "0"]).0, Some(0));
    let status = ["ok", "ok", "http_error", "throttled", "not_a_picture"];
    assert_eq!(place.column("status"), status);
    // A picture that is damaged or gone is not taken for one that is there.
    fs::write(place.out().join(path_of("a", "2")), b"damaged").unwrap();
    let (_, _, said) = place.run(&["--retries", "0"]);
    assert!(said.contains("going on after 3 of 5"), "{said}");
    let hits =
        |paths: &[&str]| -> Vec<usize> { paths.iter().map(|path| server.hits(path)).collect() };
    assert_eq!(hits(&paths), [1, 2, 1, 2, 1]);
    assert_eq!(
        fs::read(place.out().join(path_of("a", "2"))).unwrap(),
        picture("2")
    );
    assert_eq!(place.column("status")[3], "ok");
    place.run(&["--retries", "0", "--retry-all"]);
    assert_eq!(hits(&paths), [1, 2, 2, 2, 2]);
}

#[test]
fn a_folder_of_another_list_or_of_the_users_own_is_left_alone() {
    let server = Server::start();
    let place = Place::new(&[(server.url("/png/1"), "a")]);
    assert_eq!(place.run(&[]).0, Some(0));
    place.list(&[(server.url("/png/2"), "a")]);
    let (code, _, said) = place.run(&[]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("is of another list: none of its 1 URLs is in this one"),
        "{said}"
    );
    assert_eq!(place.pictures(), [path_of("a", "1")]);

    let results = place.out().join("results.csv");
    fs::write(&results, "dear,diary\n").unwrap();
    let (code, _, said) = place.run(&[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("no download wrote this file"), "{said}");
    assert_eq!(fs::read_to_string(&results).unwrap(), "dear,diary\n");
}

/// A job that takes a second or so, and one that was not disturbed.
fn long_job(server: &Server) -> Place {
    let rows: Vec<_> = (0..60)
        .map(|i| match i % 10 {
            7 => (server.url(&format!("/gone/{i}")), "a"),
            8 => (server.url("/same/x"), "b"),
            n => (
                server.url(&format!("/png/{i}")),
                if n < 5 { "a" } else { "b" },
            ),
        })
        .collect();
    Place::new(&rows)
}

fn wait_for_lines(place: &Place, n: usize) {
    let journal = place.out().join(".download/journal.jsonl");
    let n_lines = || {
        let journal = fs::read_to_string(&journal);
        journal.unwrap_or_default().lines().count()
    };
    wait_for("nothing was done", || n_lines() >= n);
}

#[test]
fn a_run_killed_again_and_again_ends_as_one_that_was_not() {
    let server = Server::start_slow(Duration::from_millis(25));
    let whole = long_job(&server);
    assert_eq!(whole.run(&[]).0, Some(0));
    let server_hits = server.all_hits();

    let killed = long_job(&server);
    for n in [1, 10, 30] {
        let mut child = killed.start(&["--jobs", "2"]);
        wait_for_lines(&killed, n);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            killed.pictures().is_empty(),
            "nothing counts before all is known"
        );
    }
    assert_eq!(killed.run(&[]).0, Some(0));
    assert_eq!(
        fs::read_to_string(killed.out().join("results.csv")).unwrap(),
        fs::read_to_string(whole.out().join("results.csv")).unwrap()
    );
    assert_eq!(killed.pictures(), whole.pictures());
    // At most what was under way is asked for again: two requests for each kill.
    assert!(server.all_hits() <= 2 * server_hits + 3 * 2);
    let left: Vec<_> = fs::read_dir(killed.out().join(".download"))
        .unwrap()
        .flatten()
        .collect();
    assert_eq!(left.len(), 2, "{left:?}"); // the lock and the empty journal
}

#[test]
fn a_run_that_is_stopped_puts_what_it_has_in_order_and_goes_on_later() {
    let server = Server::start_slow(Duration::from_millis(25));
    let place = long_job(&server);
    let child = place.start(&["--jobs", "2"]);
    wait_for_lines(&place, 10);
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    let (code, _, said) = end(child);
    assert_eq!(code, Some(130), "{said}");
    assert!(
        said.contains("the same command goes on from there"),
        "{said}"
    );
    let status = place.column("status");
    let n = |fate: &str| status.iter().filter(|status| *status == fate).count();
    assert!(n("ok") > 0 && n("not_tried") > 0, "{status:?}");
    assert_eq!(n("ok") + n("not_tried") + n("http_error"), 60, "{status:?}");
    assert!(!place.pictures().is_empty());
    assert_eq!(place.run(&[]).0, Some(0));
    assert!(!place.column("status").contains(&"not_tried".to_owned()));
}

#[test]
fn two_runs_into_one_folder_exclude_each_other() {
    let server = Server::start();
    let place = Place::new(&[(server.url("/silent"), "a")]);
    let mut first = place.start(&["--timeout", "60"]);
    let journal = place.out().join(".download/journal.jsonl");
    wait_for("nothing was begun", || journal.exists());
    let (code, _, said) = place.run(&[]);
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(code, Some(1));
    assert!(
        said.contains("another process is downloading into out"),
        "{said}"
    );
}

#[cfg(unix)]
#[test]
fn a_link_in_the_place_of_the_lock_or_the_journal_is_not_written_through() {
    let server = Server::start();
    let place = Place::new(&[(server.url("/copy/x"), "a")]);
    let thesis = place.folder.path().join("thesis.txt");
    fs::write(&thesis, "dear").unwrap();
    let own = place.out().join(".download");
    fs::create_dir_all(&own).unwrap();
    for name in ["lock", "journal.jsonl"] {
        let link = own.join(name);
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(&thesis, &link).unwrap();
        let (code, _, said) = place.run(&[]);
        assert_eq!(code, Some(1), "{said}");
        let expected = format!("out/.download/{name}: it is a link; remove it");
        assert!(said.contains(&expected), "{said}");
        assert_eq!(fs::read_to_string(&thesis).unwrap(), "dear");
        fs::remove_file(&link).unwrap();
    }
    assert_eq!(place.run(&[]).0, Some(0));
}
