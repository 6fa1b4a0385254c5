//! `serve`: what the page, programs and hostile clients are answered.

use crate::support;

use std::io::Write;
use std::ops::Deref;

use serde_json::{Value, json};
use support::listening::Listening;
use support::place::{Place, quarters};

const COLORS: [(&str, [u8; 3]); 2] = [("green", [0, 250, 0]), ("red", [250, 0, 0])];

/// Runs the program in a folder.
fn run(place: &Place, words: &[&str]) {
    let mut command = support::cnn_codes();
    command.current_dir(place.path()).args(words);
    command.assert().success();
}

/// A server with a head of the tiny trunk, and its folder.
struct Server {
    place: Place,
    listening: Listening,
}

impl Deref for Server {
    type Target = Listening;

    fn deref(&self) -> &Listening {
        &self.listening
    }
}

impl Server {
    fn start(options: &[&str]) -> Option<Self> {
        let place = Place::new()?;
        for (class, color) in COLORS {
            for i in 0..8 {
                let color = color.map(|level| level.saturating_sub(i));
                place.save(&format!("train/{class}/{i}.png"), &quarters(color));
            }
            place.save(&format!("{class}.png"), &quarters(color));
        }
        run(
            &place,
            &[
                "extract-features",
                "train",
                "--out",
                "codes",
                "--card",
                "tiny.toml",
            ],
        );
        run(
            &place,
            &[
                "train-head",
                "--train",
                "codes",
                "--folds",
                "2",
                "--out",
                "head",
                "--head",
                "logistic",
            ],
        );
        let words = ["serve", "head", "--card", "tiny.toml", "--port", "0"];
        let words = [&words[..], options].concat();
        let listening = Listening::start(place.path(), &words);
        Some(Self { place, listening })
    }

    fn picture(&self, class: &str) -> Vec<u8> {
        std::fs::read(self.place.path().join(format!("{class}.png"))).unwrap()
    }
}

fn form(files: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, file) in files {
        body.extend(
            format!(
                "--edge\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{name}\"\r\n\r\n"
            )
            .bytes(),
        );
        body.extend_from_slice(file);
        body.extend(b"\r\n");
    }
    body.extend(b"--edge--\r\n");
    (
        "Content-Type: multipart/form-data; boundary=edge\r\n".to_owned(),
        body,
    )
}

#[test]
fn a_picture_is_answered_as_predict_prints_it() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let mut predict = support::cnn_codes();
    predict.current_dir(server.place.path());
    predict.args([
        "predict",
        "head",
        "red.png",
        "--card",
        "tiny.toml",
        "--format",
        "json",
    ]);
    let expected = predict.assert().success().get_output().stdout.clone();
    for method in ["PUT", "POST"] {
        let (status, head, body) =
            server.request(method, "/predict/red.png", "", &server.picture("red"));
        assert_eq!(status, 200);
        assert!(
            head.to_lowercase()
                .contains("content-type: application/json"),
            "{head}"
        );
        assert_eq!(body, expected);
    }
    let (headers, body) = form(&[
        ("a.png", &server.picture("green")),
        ("b.txt", b"no picture"),
        ("c.png", &server.picture("red")),
    ]);
    let (status, answer) =
        server.json("POST", "/predict?top_k=1&min_confidence=1", &headers, &body);
    assert_eq!(status, 200);
    let pictures = answer["pictures"].as_array().unwrap();
    assert_eq!(pictures[0]["path"], "a.png");
    assert_eq!(pictures[0]["predictions"][0]["class"], "green");
    assert_eq!(pictures[0]["predictions"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&pictures[1]["kind"], &pictures[1]["path"]),
        (&json!("unknown_format"), &json!("b.txt"))
    );
    assert_eq!(pictures[2]["predictions"][0]["class"], "red");
    assert_eq!(pictures[2]["unsure"], true);
}

#[test]
fn the_open_inference_protocol_takes_files_and_pixels() {
    use base64::Engine;
    let Some(server) = Server::start(&[]) else {
        return;
    };
    for path in [
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/head/ready",
        "/openapi.json",
    ] {
        assert_eq!(server.json("GET", path, "", b"").0, 200, "{path}");
    }
    let (_, model) = server.json("GET", "/v2/models/head", "", b"");
    assert_eq!(model["outputs"][0]["shape"], json!([-1, 2]));
    let infer = |request: Value| {
        server.json(
            "POST",
            "/v2/models/head/infer",
            "",
            request.to_string().as_bytes(),
        )
    };
    let text = base64::prelude::BASE64_STANDARD.encode(server.picture("green"));
    let image = json!({ "name": "image", "datatype": "BYTES", "shape": [1], "data": [text] });
    let (status, answer) = infer(json!({ "id": "7", "inputs": [image] }));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (&answer["id"], &answer["model_name"]),
        (&json!("7"), &json!("head"))
    );
    assert_eq!(answer["outputs"][1]["data"], json!(["green"]));
    let of_file = answer["outputs"][0]["data"].clone();
    // The same pixels: 8 x 8, a quarter of them green.
    let picture = image::load_from_memory(&server.picture("green"))
        .unwrap()
        .into_rgb8();
    let (width, height) = picture.dimensions();
    let pixels = json!({ "name": "pixels", "datatype": "UINT8", "shape": [1, height, width, 3], "data": picture.as_raw() });
    let (_, answer) = infer(json!({ "inputs": [pixels] }));
    assert_eq!(answer["outputs"][0]["data"], of_file);
    for (request, said) in [
        (json!({}), "missing field `inputs`"),
        (json!({ "inputs": [] }), "0 inputs"),
        (
            json!({ "inputs": [{ "name": "image", "datatype": "FP32", "shape": [1], "data": [1.0] }] }),
            "no input image of FP32",
        ),
        (
            json!({ "inputs": [{ "name": "image", "datatype": "BYTES", "shape": [2], "data": ["aaaa"] }] }),
            "there are 1",
        ),
        (
            json!({ "inputs": [{ "name": "image", "datatype": "BYTES", "shape": [1], "data": ["%"] }] }),
            "base64",
        ),
        (
            json!({ "inputs": [{ "name": "image", "datatype": "BYTES", "shape": [18446744073709551615_u64, 9], "data": [] }] }),
            "1 to 100",
        ),
        (
            json!({ "inputs": [{ "name": "pixels", "datatype": "UINT8", "shape": [1, 4294967295_u64, 4294967295_u64, 3], "data": [1] }] }),
            "there are 1 levels",
        ),
        (
            json!({ "inputs": [{ "name": "pixels", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [1, 2, 300] }] }),
            "0 to 255",
        ),
        (
            json!({ "inputs": [{ "name": "pixels", "datatype": "UINT8", "shape": [3, 2], "data": [] }] }),
            "(N, H, W, 3)",
        ),
    ] {
        let (status, answer) = infer(request);
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(said), "{answer}");
    }
    let (status, answer) = server.json("POST", "/v2/models/other/infer", "", b"{}");
    assert_eq!(status, 404, "{answer}");
    let (status, _) = server.json(
        "POST",
        "/v2/models/head/infer",
        "Inference-Header-Content-Length: 99\r\n",
        b"{}",
    );
    assert_eq!(status, 400);
}

#[test]
fn clients_of_another_site_wrong_paths_and_broken_requests_are_refused() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let port = server.port;
    for (request, expected) in [
        (
            format!("GET / HTTP/1.1\r\nHost: evil.example:{port}\r\nConnection: close\r\n\r\n"),
            403,
        ),
        (
            "GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
            403,
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: http://evil.example\r\nConnection: close\r\n\r\n"
            ),
            403,
        ),
        (
            format!(
                "GET /../../etc/passwd HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
            ),
            404,
        ),
        (
            format!(
                "DELETE /predict HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
            ),
            405,
        ),
        (
            format!(
                "POST /predict HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            ),
            400,
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: localhost:{port}\r\nX: {}\r\n\r\n",
                "x".repeat(200_000)
            ),
            431,
        ),
        ("no request at all\r\n\r\n".to_owned(), 400),
    ] {
        let (status, head, _) = server.raw(request.as_bytes());
        assert_eq!(
            status,
            expected,
            "{head} for {}",
            &request[..request.len().min(100)]
        );
    }
    let (headers, _) = form(&[]);
    for body in [&b"--edge\r\n"[..], b"", b"--other--\r\n"] {
        let (status, _) = server.json("POST", "/predict", &headers, body);
        assert_eq!(status, 400);
    }
    let many: Vec<(&str, &[u8])> = vec![("x", b"y"); 101];
    let (headers, body) = form(&many);
    assert_eq!(server.json("POST", "/predict", &headers, &body).0, 413);
    for query in ["top_k=0", "top_k=x", "min_confidence=2", "topk=1"] {
        let (status, answer) = server.json(
            "POST",
            &format!("/predict?{query}"),
            "",
            &server.picture("red"),
        );
        assert_eq!(status, 400, "{answer}");
    }
    let huge = vec![0; (64 << 20) + 1];
    assert_eq!(server.request("POST", "/predict", "", &huge).0, 413);
    // A client that breaks off, and one that says nothing, hold nobody up.
    let silent = server.connect();
    let mut cut = server.connect();
    cut.write_all(
        format!(
            "POST /predict HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: 999\r\n\r\nabc"
        )
        .as_bytes(),
    )
    .unwrap();
    drop(cut);
    assert_eq!(
        server
            .request("PUT", "/predict", "", &server.picture("red"))
            .0,
        200
    );
    drop(silent);
}

#[test]
fn the_page_holds_nothing_of_others_and_names_are_text() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let (status, head, page) = server.request("GET", "/", "", b"");
    let page = String::from_utf8(page).unwrap();
    assert_eq!(status, 200);
    assert!(
        head.to_lowercase()
            .contains("content-security-policy: default-src 'none'"),
        "{head}"
    );
    assert!(
        page.contains("green, red") && page.matches("http").count() == 1,
        "{page}"
    );
    for (path, kind) in [("/app.js", "text/javascript"), ("/style.css", "text/css")] {
        let (status, head, _) = server.request("GET", path, "", b"");
        assert_eq!(status, 200);
        assert!(head.contains(kind), "{head}");
    }
}

#[cfg(unix)]
#[test]
fn a_signal_finishes_what_was_begun_and_figures_are_counted() {
    let Some(server) = Server::start(&["--queue", "8"]) else {
        return;
    };
    for _ in 0..3 {
        assert_eq!(
            server
                .request("PUT", "/predict", "", &server.picture("red"))
                .0,
            200
        );
    }
    assert_eq!(server.request("PUT", "/predict", "", b"no picture").0, 422);
    let (_, _, text) = server.request("GET", "/metrics", "", b"");
    let text = String::from_utf8(text).unwrap();
    for line in [
        "cnn_codes_requests_total{path=\"/predict\",status=\"200\"} 3",
        "cnn_codes_requests_total{path=\"/predict\",status=\"422\"} 1",
        "cnn_codes_pictures_total 4",
        "cnn_codes_failures_total{kind=\"unknown_format\"} 1",
        "cnn_codes_waiting_pictures 0",
        "cnn_codes_batch_size_count 4",
    ] {
        assert!(text.lines().any(|told| told == line), "{line} in {text}");
    }
    let (code, said) = server.listening.end();
    assert_eq!(code, Some(143));
    assert!(said.contains("requests in progress are finished"), "{said}");
}

#[test]
fn a_head_that_is_exchanged_answers_and_one_of_other_codes_does_not() {
    let Some(server) = Server::start(&["--watch"]) else {
        return;
    };
    let head = |server: &Server| {
        server.json("PUT", "/predict", "", &server.picture("red")).1["head"].clone()
    };
    assert_eq!(head(&server), "logistic");
    run(
        &server.place,
        &[
            "train-head",
            "--train",
            "codes",
            "--folds",
            "2",
            "--out",
            "head",
            "--head",
            "nearest-centroid",
            "--overwrite",
        ],
    );
    support::wait_for("the new head does not answer", || {
        head(&server) == "nearest-centroid"
    });
    run(
        &server.place,
        &[
            "extract-features",
            "train",
            "--out",
            "others",
            "--card",
            "tiny.toml",
            "--pool",
            "avg",
        ],
    );
    run(
        &server.place,
        &[
            "train-head",
            "--train",
            "others",
            "--folds",
            "2",
            "--out",
            "head",
            "--head",
            "logistic",
            "--overwrite",
        ],
    );
    // It stays; that it was looked at, the next exchange tells.
    run(
        &server.place,
        &[
            "train-head",
            "--train",
            "codes",
            "--folds",
            "2",
            "--out",
            "head",
            "--head",
            "logistic",
            "--overwrite",
        ],
    );
    support::wait_for("the third head does not answer", || {
        head(&server) == "logistic"
    });
}

#[test]
fn what_cannot_be_served_is_told_before_it_listens() {
    let Some(place) = Place::new() else { return };
    let mut command = support::cnn_codes();
    command
        .current_dir(place.path())
        .args(["serve", "nowhere", "--port", "0"]);
    command
        .assert()
        .code(1)
        .stderr(predicates::str::contains("nowhere is not a head"));
}

#[test]
fn the_nearest_training_pictures_are_told_and_shown_where_nobody_else_reaches_the_server() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let red = server.picture("red");
    let (_, answer) = server.json("POST", "/predict?nearest=3", "", &red);
    let near = answer["pictures"][0]["nearest"].as_array().unwrap().clone();
    // Equal directions of the means: the first red ones of the store.
    assert_eq!(near.len(), 3);
    assert!(
        near.iter()
            .all(|near| near["class"] == "red" && near["distance"].as_f64().unwrap() < 1e-5)
    );
    let row = &near[0]["row"];
    let images = server.place.path().join("codes/images.csv");
    let mut images = csv::Reader::from_path(images).unwrap();
    let lines: Vec<_> = images.records().map(Result::unwrap).collect();
    let line = lines
        .iter()
        .find(|line| *row == line[0].parse::<u64>().unwrap())
        .unwrap();
    assert_eq!(near[0]["path"], line[1]);
    let path = format!("/training/{row}");
    let (status, head, picture) = server.request("GET", &path, "", b"");
    assert!(status == 200 && head.contains("image/jpeg"), "{head}");
    let picture = image::load_from_memory(&picture).unwrap().to_rgb8();
    assert!(picture.get_pixel(1, 1).0[0] > 200);
    for (path, expected) in [
        ("/training/99", 404),
        ("/training/x", 400),
        ("/training/-1", 400),
        ("/training/..%2Fx", 400),
    ] {
        assert_eq!(server.json("GET", path, "", b"").0, expected, "{path}");
    }
    assert_eq!(server.json("POST", "/predict?nearest=11", "", &red).0, 400);
    let (_, answer) = server.json("POST", "/predict", "", &red);
    assert!(answer["pictures"][0].get("nearest").is_none());
    drop(server);

    let server = Server::start(&["--name", "demo.example"]).unwrap();
    let (_, answer) = server.json("POST", "/predict?nearest=3", "", &red);
    assert!(answer["pictures"][0].get("nearest").is_none());
    assert_eq!(server.json("GET", "/training/0", "", b"").0, 404);
}
