//! The program under test, and what several of its tests prepare for it.

pub mod download;
pub mod http_server;
pub mod judged;
pub mod listening;
pub mod noise;
pub mod place;
pub mod review;
pub mod scenes;
#[cfg(target_os = "linux")]
pub mod terminal;
pub mod two_classes;

use std::process::Command;

pub use test_support::*;

/// The built command, with the models folder of the checkout and no say of the environment.
pub fn cnn_codes() -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("cnn-codes"));
    command
        .env_remove("ORT_DYLIB_PATH")
        .env("CNN_CODES_MODELS", models());
    command
}

/// A command that a hangup reaches, even where the tests themselves run under nohup.
#[cfg(unix)]
pub fn with_hangups(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec, signal is one of the calls that are allowed.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_DFL);
            Ok(())
        })
    }
}
