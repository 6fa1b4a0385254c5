//! `cnn-codes download` against a server on loopback that does what servers ought not to.

use crate::support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use support::download::{Place, path_of};
use support::http_server::Server;

#[test]
fn pictures_go_into_the_folders_of_their_labels_under_the_hashes_of_their_bytes() {
    let server = Server::start();
    let place = Place::new(&[("", "")]);
    let list = format!(
        "\u{feff}split,label,url\ntrain, Äpfel & Birnen ,  {}  \ntest,dog,{}\ntest,dog,{}\n",
        server.url("/png/a b.jpg"),
        server.url("/jpg/b.jpg"),
        server.url("/to/png/c")
    );
    fs::write(place.folder.path().join("urls.csv"), list).unwrap();
    let (code, said, _) = place.run(&[]);
    assert_eq!(code, Some(0));
    assert!(
        said.starts_with("3 pictures of 2 classes, 3 URLs asked for"),
        "{said}"
    );
    // The first is asked for as browsers would.
    assert_eq!(server.hits("/png/a%20b.jpg"), 1);
    let agent = concat!("cnn-codes/", env!("CARGO_PKG_VERSION"));
    let headers = server.last_headers();
    let has_agent = |line: &String| line.eq_ignore_ascii_case(&format!("user-agent: {agent}"));
    assert!(headers.iter().any(has_agent), "{headers:?}");

    let rows = place.results();
    assert_eq!(rows[0]["path"], path_of("Äpfel & Birnen", "a%20b.jpg"));
    assert_eq!(rows[0]["split"], "train");
    assert_eq!((&*rows[0]["width"], &*rows[0]["height"]), ("6", "4"));
    assert_eq!(
        (&*rows[0]["http_status"], &*rows[0]["attempts"]),
        ("200", "1")
    );
    // The ending is the format's, and not that of the URL.
    assert!(rows[1]["path"].ends_with(".bmp"), "{}", rows[1]["path"]);
    assert_eq!(rows[2]["path"], path_of("dog", "c"));
    for row in &rows {
        let bytes = fs::read(place.out().join(&row["path"])).unwrap();
        assert_eq!(blake3::hash(&bytes).to_hex().as_str(), row["blake3"]);
        assert_eq!(bytes.len().to_string(), row["bytes"]);
    }
    assert_eq!(place.pictures().len(), 3);
}

#[test]
fn every_misbehaviour_of_a_server_is_told_apart() {
    let server = Server::start();
    let cases = [
        ("/png/1", "ok"),
        ("/type/2", "ok"),
        ("/once/3", "ok"),
        ("/throttle/4", "ok"),
        ("/patient/5", "ok"),
        ("/gone", "http_error"),
        ("/down", "server_error"),
        ("/silent", "timed_out"),
        ("/stall/6", "timed_out"),
        ("/cut/7", "cut_off"),
        ("/hang-up", "no_connection"),
        ("/short/8", "not_a_picture"),
        ("/page", "not_a_picture"),
        ("/empty", "not_a_picture"),
        ("/loop", "too_many_redirects"),
        ("/out", "bad_response"),
        ("/garbage", "bad_response"),
        ("/huge", "too_large"),
        ("/endless", "too_large"),
    ];
    let rows: Vec<_> = cases
        .iter()
        .map(|(path, _)| (server.url(path), "a"))
        .collect();
    let place = Place::new(&rows);
    let (code, said, _) = place.run(&[
        "--timeout",
        "1",
        "--retries",
        "1",
        "--max-wait",
        "1",
        "--max-bytes",
        "100000",
        "--per-host",
        "8",
    ]);
    assert_eq!(code, Some(0), "{said}");
    let expected: Vec<_> = cases.iter().map(|(_, status)| *status).collect();
    assert_eq!(place.column("status"), expected);
    assert_eq!(place.pictures().len(), 5);

    let rows = place.results();
    let row = |path: &str| &rows[cases.iter().position(|(of, _)| *of == path).unwrap()];
    // Failures that may pass were met twice, the others once.
    for path in [
        "/once/3",
        "/throttle/4",
        "/down",
        "/silent",
        "/stall/6",
        "/cut/7",
        "/hang-up",
    ] {
        assert_eq!(
            (server.hits(path), &*row(path)["attempts"]),
            (2, "2"),
            "{path}"
        );
    }
    for path in ["/gone", "/page", "/huge", "/endless", "/short/8", "/out"] {
        assert_eq!(
            (server.hits(path), &*row(path)["attempts"]),
            (1, "1"),
            "{path}"
        );
    }
    assert_eq!(server.hits("/loop"), 6, "five redirects");
    assert_eq!(row("/gone")["http_status"], "404");
    assert_eq!(row("/cut/7")["http_status"], "200");
    assert_eq!(row("/silent")["http_status"], "");
    assert!(
        row("/page")["reason"].contains("this is a web page"),
        "{:?}",
        row("/page")
    );
    assert!(said.contains("       2  timed out\n"), "{said}");
}

#[test]
fn a_server_that_asks_to_wait_is_not_asked_before() {
    let server = Server::start();
    let rows: Vec<_> = (0..3)
        .map(|i| (server.url(&format!("/png/{i}")), "a"))
        .collect();
    let throttled = (server.url("/throttle/x"), "a");
    let place = Place::new(&[&[throttled][..], &rows].concat());
    let start = Instant::now();
    assert_eq!(place.run(&["--jobs", "1"]).0, Some(0));
    // A lower bound only: Retry-After is a second, and the retry's own wait far less.
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(place.column("status"), ["ok"; 4]);
    assert_eq!(place.column("attempts"), ["2", "1", "1", "1"]);
}

#[test]
fn no_more_requests_at_once_than_allowed_for_a_host() {
    let server = Server::start_slow(Duration::from_millis(20));
    let rows: Vec<_> = (0..24)
        .map(|i| (server.url(&format!("/png/{i}")), "a"))
        .collect();
    let place = Place::new(&rows);
    assert_eq!(place.run(&["--per-host", "3", "--jobs", "8"]).0, Some(0));
    assert!(
        (2..=3).contains(&server.max_active()),
        "{}",
        server.max_active()
    );
    assert_eq!(place.pictures().len(), 24);
}

#[test]
fn this_machine_is_not_asked_unless_that_is_allowed() {
    let server = Server::start();
    let port = server.port();
    let hosts = [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
    ];
    let rows: Vec<_> = hosts
        .iter()
        .map(|host| (format!("http://{host}:{port}/png/{host}"), "a"))
        .collect();
    let place = Place::new(&rows);
    let output = place.command(&["--retries", "0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("none of the 6 rows gave a picture; the first"),
        "{said}"
    );
    assert!(
        said.contains("127.0.0.1, is not on the public internet"),
        "{said}"
    );
    assert_eq!(server.all_hits(), 0);
    for status in place.column("status") {
        assert!(
            ["private_address", "no_such_host", "no_connection"].contains(&&*status),
            "{status}"
        );
    }
    assert!(place.pictures().is_empty());

    // Nor by way of a proxy, which would not be asked to judge.
    let proxied = place
        .command(&["--retries", "0"])
        .env("HTTP_PROXY", server.url("/"))
        .output()
        .unwrap();
    let said = String::from_utf8(proxied.stderr).unwrap();
    assert!(
        said.contains("the environment names a proxy, which is not used"),
        "{said}"
    );
    assert_eq!(server.all_hits(), 0);

    // What was refused is asked for once it is allowed.
    assert_eq!(place.run(&[]).0, Some(0));
    assert_eq!(place.column("status")[0], "ok");
}

#[test]
fn nothing_is_written_outside_the_folder_whatever_labels_and_urls_say() {
    let server = Server::start();
    let url = |name: &str| server.url(&format!("/png/{name}"));
    let place = Place::new(&[
        (url("../../../evil"), "good"),
        (url("1"), "../evil"),
        (url("2"), ".."),
        (url("3"), "/evil"),
        (url("4"), "a\\b"),
        (url("5"), "nul.txt"),
        (url("6"), ""),
        ("file:///etc/passwd".to_owned(), "good"),
        ("ftp://a.org/x.png".to_owned(), "good"),
    ]);
    assert_eq!(place.run(&[]).0, Some(0));
    let mut expected = vec!["ok"];
    expected.extend(["bad_label"; 6]);
    expected.extend(["bad_url"; 2]);
    assert_eq!(place.column("status"), expected);
    assert_eq!(server.all_hits(), 1);
    let names = |path: &Path| -> Vec<String> {
        let entries = fs::read_dir(path).unwrap().flatten();
        let mut names: Vec<_> = entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(place.folder.path()), ["out", "urls.csv"]);
    assert_eq!(names(&place.out()), [".download", "good", "results.csv"]);
}

#[cfg(unix)]
#[test]
fn a_label_that_is_a_link_out_of_the_folder_is_not_followed() {
    let server = Server::start();
    let place = Place::new(&[(server.url("/png/1"), "a")]);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir(place.out()).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), place.out().join("a")).unwrap();
    let (code, _, said) = place.run(&[]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("there is a link or a file of this name; move it away"),
        "{said}"
    );
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    // Nothing is lost: once the link is gone, nothing is asked for again.
    fs::remove_file(place.out().join("a")).unwrap();
    assert_eq!(place.run(&[]).0, Some(0));
    assert_eq!(
        (server.all_hits(), place.pictures()),
        (1, vec![path_of("a", "1")])
    );
}

#[cfg(unix)]
#[test]
fn a_list_that_cannot_be_understood_is_refused_before_anything_is_asked_for() {
    let place = Place::new(&[("http://a.org/1", "Cat"), ("http://a.org/2", "cat")]);
    let (code, _, said) = place.run(&[]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("urls.csv: the labels 'Cat' (line 2) and 'cat' (line 3)"),
        "{said}"
    );
    assert!(!place.out().exists());
}

#[test]
fn a_list_may_come_from_stdin() {
    let server = Server::start();
    let place = Place::new(&[("", "")]);
    support::cnn_codes()
        .current_dir(place.folder.path())
        .args(["download", "-", "--out", "out", "--allow-private"])
        .env("NO_PROXY", "*")
        .write_stdin(format!("url,label\n{},a\n", server.url("/png/1")))
        .assert()
        .success();
    assert_eq!(place.pictures(), [path_of("a", "1")]);
}

#[test]
fn a_password_is_never_sent_and_a_part_is_no_picture() {
    let server = Server::start();
    let login = format!("/login/127.0.0.1:{}/png/x", server.port());
    let place = Place::new(&[
        (server.url("/png/a"), "cat"),
        (server.url(&login), "cat"),
        (server.url("/part/b"), "cat"),
    ]);
    assert_eq!(place.run(&["--retries", "0"]).0, Some(0));
    assert_eq!(
        place.column("status"),
        ["ok", "bad_response", "bad_response"]
    );
    let reasons = place.column("reason");
    assert!(
        reasons[1].contains("a user name or a password; these are not sent"),
        "{}",
        reasons[1]
    );
    assert!(reasons[2].contains("only a part came"), "{}", reasons[2]);
    assert_eq!(server.hits("/png/x"), 0);
}

#[test]
fn a_label_called_as_the_table_of_results_is_refused_and_the_rest_is_fetched() {
    let server = Server::start();
    let place = Place::new(&[
        (server.url("/png/a"), "cat"),
        (server.url("/png/b"), "Results.csv"),
    ]);
    assert_eq!(place.run(&[]).0, Some(0));
    assert_eq!(place.column("status"), ["ok", "bad_label"]);
    assert_eq!(server.hits("/png/b"), 0);
}
