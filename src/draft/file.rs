//! A file that appears whole or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{Existing, sync_directory};

/// A file that is written and synced beside its target. Dropped unpublished, it is removed.
#[derive(Debug)]
pub struct FileDraft {
    draft: NamedTempFile,
    target: PathBuf,
}

impl FileDraft {
    /// Writes `bytes` beside `target`, whose folder must be there.
    ///
    /// # Errors
    /// What the system answers; nothing is left behind then.
    pub fn write(target: &Path, bytes: &[u8]) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".cnn-codes-").suffix(".partial");
        // Readable as other files are; temporary ones are their owner's alone.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut draft = builder.tempfile_in(folder(target))?;
        draft.write_all(bytes)?;
        draft.as_file().sync_all()?;
        Ok(Self {
            draft,
            target: target.to_owned(),
        })
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if there is one of the name that is to be kept, and what
    /// else the system answers; what was there is then as it was.
    pub fn publish(self, existing: Existing) -> io::Result<()> {
        let published = match existing {
            Existing::Keep => self.draft.persist_noclobber(&self.target),
            Existing::Replace => self.draft.persist(&self.target),
        };
        published.map_err(|error| error.error)?;
        // Renamed is renamed; a folder that cannot be synced is no reason to say otherwise.
        let _ = sync_directory(folder(&self.target));
        Ok(())
    }
}

/// The folder that a file lies in.
fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_kept() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("a.txt");
        let write = |bytes: &[u8]| FileDraft::write(&target, bytes).unwrap();
        write(b"first").publish(Existing::Keep).unwrap();
        let refused = write(b"second").publish(Existing::Keep).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        drop(write(b"never published"));
        assert_eq!(fs::read(&target).unwrap(), b"first");
        write(b"third").publish(Existing::Replace).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"third");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
