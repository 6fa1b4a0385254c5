//! What was said of labels, and the file of it: on the disk before anybody is told that it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail};
use cnn_codes::codes::{Correction, Corrections, PictureRow};
use cnn_codes_files::{Lock, parent};

use crate::shown;

/// Corrections and their file.
pub struct Said {
    path: PathBuf,
    lock: PathBuf,
    /// So that two reviews do not write one file.
    _held: Lock,
    corrections: Corrections,
    /// The file as it was read or written last.
    bytes: Option<Vec<u8>>,
}

/// The file was written to by somebody else. It was read again, and nothing was written.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} was changed by another program; it was read again, and your last key was not taken: press it once more",
    shown(path)
)]
pub struct ChangedElsewhere {
    path: PathBuf,
}

impl Said {
    /// Reads the file, if there is one, and keeps other reviews from it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let name = path.file_name().context("--relabel names no file")?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".lock");
        let lock = path.with_file_name(hidden);
        if !parent(path).is_dir() {
            bail!(
                "there is no folder {} for {}",
                shown(parent(path)),
                shown(path)
            );
        }
        let Some(held) = Lock::try_take(&lock)? else {
            bail!("another review writes {}", shown(path));
        };
        let mut said = Self {
            path: path.to_owned(),
            lock,
            _held: held,
            corrections: Corrections::default(),
            bytes: None,
        };
        said.read()?;
        Ok(said)
    }

    pub fn corrections(&self) -> &Corrections {
        &self.corrections
    }

    /// Says something of a picture, and writes it.
    pub fn say(
        &mut self,
        picture: &PictureRow,
        old: Option<&str>,
        new: Option<&str>,
        why: &str,
    ) -> anyhow::Result<()> {
        let now = humantime::format_rfc3339_seconds(SystemTime::now());
        let mut corrections = self.corrections.clone();
        corrections.add(Correction {
            path: picture.path.clone(),
            blake3: picture.blake3,
            old: old.map(Into::into),
            new: new.map(Into::into),
            when: now.to_string().into(),
            why: why.into(),
        });
        self.write(corrections)
    }

    /// Takes back what was said last, and returns it.
    pub fn undo(&mut self) -> anyhow::Result<Option<Correction>> {
        let mut corrections = self.corrections.clone();
        let Some(undone) = corrections.undo() else {
            return Ok(None);
        };
        self.write(corrections)?;
        Ok(Some(undone))
    }

    fn write(&mut self, corrections: Corrections) -> anyhow::Result<()> {
        if fs::read(&self.path).ok() != self.bytes {
            self.read()?;
            let path = self.path.clone();
            return Err(ChangedElsewhere { path }.into());
        }
        corrections.write(&self.path)?;
        self.bytes = Some(corrections.to_csv());
        self.corrections = corrections;
        Ok(())
    }

    fn read(&mut self) -> anyhow::Result<()> {
        self.corrections = Corrections::read_if_there(&self.path)?;
        self.bytes = fs::read(&self.path).ok();
        Ok(())
    }
}

impl Drop for Said {
    fn drop(&mut self) {
        // Before the lock is given back: whoever takes it then makes a file of its own.
        let _ = fs::remove_file(&self.lock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: &str) -> PictureRow {
        PictureRow {
            path: path.into(),
            label: Some(0),
            width: 1,
            height: 1,
            blake3: blake3::hash(b"x"),
            group: None,
        }
    }

    #[test]
    fn what_another_program_wrote_is_not_written_over() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("relabel.csv");
        let mut said = Said::open(&path).unwrap();
        assert!(Said::open(&path).is_err());
        said.say(&row("1"), Some("a"), Some("b"), "changed")
            .unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let edited = text.replace(",b,", ",c,");
        fs::write(&path, &edited).unwrap();
        let error = said.say(&row("2"), Some("a"), None, "set aside");
        assert!(error.unwrap_err().is::<ChangedElsewhere>());
        assert_eq!(fs::read_to_string(&path).unwrap(), edited);
        said.say(&row("2"), Some("a"), None, "set aside").unwrap();
        assert_eq!(said.undo().unwrap().unwrap().path, "2".into());
        assert_eq!(said.corrections().all()[0].new.as_deref(), Some("c"));
        drop(said);
        // Nothing but the table is left.
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        let mut again = Said::open(&path).unwrap();
        assert_eq!(again.undo().unwrap().unwrap().path, "1".into());
        assert!(again.undo().unwrap().is_none());
    }
}
