//! The program in a folder with the tiny trunk.

use assert_cmd::Command;

pub use test_support::place::*;

/// `extract-features` in the folder, into `store`.
pub trait Extract {
    /// The command, on the tiny trunk.
    fn extract(&self) -> Command {
        self.extract_with_card("tiny.toml")
    }

    fn extract_with_card(&self, card: &str) -> Command;
}

impl Extract for Place {
    fn extract_with_card(&self, card: &str) -> Command {
        let mut command = super::cnn_codes();
        command.current_dir(self.path());
        command.args([
            "extract-features",
            "pictures",
            "--out",
            "store",
            "--card",
            card,
        ]);
        command
    }
}
