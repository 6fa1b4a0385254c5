//! What the verb `fetch` calls, on a wheel of a few bytes. The verb itself takes the pinned wheels
//! alone, of many megabytes; so this test program is run in its place.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use cnn_codes_cli::assets::{WheelSource, install_onnxruntime};
use cnn_codes_onnxruntime::pins::{RUNTIMES, RuntimePin, Wheel};
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;

use super::strace::Program;
use super::trial::Trial;

const PLACE: &str = "CNN_CODES_TEST_FETCH_IN";
const SHA256: &str = "CNN_CODES_TEST_FETCH_SHA256";
const MEMBERS: [(&str, &[u8]); 3] = [
    ("onnxruntime/capi/libonnxruntime.so.9", b"the library"),
    ("onnxruntime/LICENSE", b"MIT"),
    ("onnxruntime/ThirdPartyNotices.txt", b"and others"),
];

/// Writes `runtime.whl` into `place`.
pub fn write_wheel(place: &Path) {
    let file = fs::File::create(place.join("runtime.whl")).unwrap();
    let mut zip = zip::ZipWriter::new(file);
    for (member, bytes) in MEMBERS {
        zip.start_file(member, SimpleFileOptions::default())
            .unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

/// This test program, installing the wheel.
pub fn program(trial: &Trial) -> Program {
    let words = [
        "--exact",
        "accidents::fetch::install",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ];
    let mut command = vec![std::env::current_exe().unwrap().into()];
    command.extend(words.map(Into::into));
    let mut environment = trial.environment.clone();
    let wheel = fs::read(trial.path("runtime.whl")).unwrap();
    let digest = Sha256::digest(wheel);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    environment.extend([(PLACE, trial.place().into()), (SHA256, hex.into())]);
    // What is printed is the test harness's.
    let is_command = false;
    Program {
        command,
        environment,
        is_command,
    }
}

#[test]
#[ignore = "the tests of fetch run it"]
fn install() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else {
        return;
    };
    let wheel = place.join("runtime.whl");
    let (member, bytes) = MEMBERS[0];
    let library = member.rsplit('/').next().unwrap();
    let blake3 = blake3::hash(bytes).to_string().leak();
    let pin = RuntimePin {
        library,
        libraries: vec![(library, &*blake3)].leak(),
        wheel: Wheel {
            version: "9",
            sha256: std::env::var(SHA256).unwrap().leak(),
            ..RUNTIMES[0].wheel
        },
        ..RUNTIMES[0]
    };
    let source = WheelSource::File(&wheel);
    if let Err(error) = install_onnxruntime(&place, &pin, &source, &mut |_| {}) {
        // As the command does.
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}
