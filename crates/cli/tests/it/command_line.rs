//! Command lines that cannot be meant: numbers that no machine has, and typos.

use crate::support;

#[test]
fn numbers_beyond_reason_are_refused_with_what_is_allowed() {
    let threads = "it must be 1 to 1024";
    for (arguments, allowed) in [
        ("check x --threads 1025", threads),
        ("split x --out y --threads 100000", threads),
        ("extract-features x --out y --threads 1025", threads),
        (
            "extract-features x --out y --batch-size 4097",
            "it must be 1 to 4096",
        ),
        ("predict x y --threads 1025", threads),
        ("predict x y --batch-size 4097", "it must be 1 to 4096"),
        ("export x --out y.onnx --threads 1025", threads),
        ("download x --out y --jobs 1025", threads),
        ("download x --out y --per-host 1025", threads),
        ("download x --out y --retries 101", "101 is not in 0..=100"),
        (
            "download x --out y --max-redirects 101",
            "101 is not in 0..=100",
        ),
        (
            "download x --out y --max-bytes 536870913",
            "is not in 0..=536870912",
        ),
        (
            "extract-features x --out y --shard 0/100000",
            "is 1 to 99999",
        ),
    ] {
        let output = support::cnn_codes()
            .args(arguments.split(' '))
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {said}");
        assert!(said.contains(allowed), "{arguments}: {said}");
    }
}

#[test]
fn a_typo_is_answered_with_the_name_that_may_be_meant() {
    for (arguments, meant) in [
        ("extrat-features x --out y", "'extract-features'"),
        ("extract-features x --out y --recpie caffe", "'--recipe'"),
        ("extract-features x --out y --recipe cafe", "'caffe'"),
        ("extract-features x --out y --filter bicubik", "'bicubic'"),
        ("fetch vgg-16", "'vgg16'"),
        ("completions fsh", "'fish'"),
        ("trunks --format jsn", "'json'"),
    ] {
        let output = support::cnn_codes()
            .args(arguments.split(' '))
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {said}");
        let tip = said
            .lines()
            .find(|line| line.starts_with("  tip: a similar "));
        let tip = tip.unwrap_or_else(|| panic!("{arguments}: {said}"));
        assert!(tip.ends_with(meant), "{arguments}: {tip}");
    }
    let doctor = support::cnn_codes()
        .args(["doctor", "--trunk", "vgg61"])
        .output()
        .unwrap();
    let found = String::from_utf8(doctor.stdout).unwrap();
    assert!(found.contains("did you mean 'vgg16'?"), "{found}");
}
