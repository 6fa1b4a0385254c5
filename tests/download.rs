//! `cnn-codes download` against a server on loopback that does what servers ought not to.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use support::http_server::{Server, picture};

/// A folder with a list to download from.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// With a list of these rows, each a URL and a label.
    fn new<T: AsRef<str>>(rows: &[(T, &str)]) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        place.list(rows);
        place
    }

    fn list<T: AsRef<str>>(&self, rows: &[(T, &str)]) {
        let mut csv = String::from("url,label\n");
        for (url, label) in rows {
            csv += &format!("{},{label}\n", url.as_ref());
        }
        fs::write(self.folder.path().join("urls.csv"), csv).unwrap();
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("cnn-codes"));
        command.current_dir(self.folder.path());
        for proxy in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
            command.env_remove(proxy).env_remove(proxy.to_lowercase());
        }
        command.args(["download", "urls.csv", "--out", "out"]);
        command.args(["--retry-wait", "0.01"]);
        command.args(more);
        command
    }

    /// Runs with private addresses allowed; exit code, stdout, stderr.
    fn run(&self, more: &[&str]) -> (Option<i32>, String, String) {
        end(self.start(more))
    }

    fn start(&self, more: &[&str]) -> Child {
        let mut command = self.command(more);
        command.arg("--allow-private");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn results(&self) -> Vec<BTreeMap<String, String>> {
        let mut reader = csv::Reader::from_path(self.out().join("results.csv")).unwrap();
        reader.deserialize().map(Result::unwrap).collect()
    }

    /// A column of results.csv.
    fn column(&self, name: &str) -> Vec<String> {
        let rows = self.results().into_iter();
        rows.map(|mut row| row.remove(name).unwrap()).collect()
    }

    /// Files in the folders of labels, as `label/name`.
    fn pictures(&self) -> Vec<String> {
        let mut names = Vec::new();
        for folder in fs::read_dir(self.out()).unwrap().flatten() {
            let label = folder.file_name().into_string().unwrap();
            if label.starts_with('.') || folder.path().is_file() {
                continue;
            }
            for file in fs::read_dir(folder.path()).unwrap().flatten() {
                let name = file.file_name().into_string().unwrap();
                names.push(format!("{label}/{name}"));
            }
        }
        names.sort();
        names
    }
}

fn end(child: Child) -> (Option<i32>, String, String) {
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Where the picture of `seed` goes.
fn path_of(label: &str, seed: &str) -> String {
    format!("{label}/{}.png", blake3::hash(&picture(seed)).to_hex())
}

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
    assert!(said.contains("not what a download left"), "{said}");
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
    let deadline = Instant::now() + Duration::from_secs(60);
    while fs::read_to_string(&journal)
        .unwrap_or_default()
        .lines()
        .count()
        < n
    {
        assert!(Instant::now() < deadline, "nothing was done");
        thread::sleep(Duration::from_millis(2));
    }
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

#[cfg(unix)]
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
    let lock = place.out().join(".download/journal.jsonl");
    while !lock.exists() {
        thread::sleep(Duration::from_millis(2));
    }
    let (code, _, said) = place.run(&[]);
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(code, Some(1));
    assert!(
        said.contains("another process is downloading into out"),
        "{said}"
    );
}

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
