//! The download folder: where pictures are stored, and how they get there.
//!
//! `DIR/.download/` belongs to the program. A picture is written there under a temporary name,
//! synced, and renamed to its hash; another rename moves it into its label's folder. So a kill
//! never leaves a partial file under a valid name. Pictures removed from a label's folder are set
//! aside there, not deleted.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::DownloadError;
use super::error::io_error;
use super::label::RESULTS;
use super::picture_file::PictureFile;
use cnn_codes_files::{Existing, FileDraft, Lock, sweep, sync_directory};

/// The program's own folder inside the download folder. It is hidden, so it is not a class.
const OWN: &str = ".download";

/// The download folder, locked while this lives.
#[derive(Debug)]
pub(super) struct Folder {
    out: PathBuf,
    own: PathBuf,
    _lock: Lock,
}

/// Where a picture is: in the folder of a label, or set aside.
pub(super) type Place = Option<String>;

impl Folder {
    /// Opens or creates the folder.
    pub(super) fn open(out: &Path) -> Result<Self, DownloadError> {
        let own = out.join(OWN);
        fs::create_dir_all(out).map_err(io_error("create", out))?;
        make_real_folder(&own).map_err(io_error("create", &own))?;
        let Some(lock) = Lock::try_take(&own.join("lock"))? else {
            let out = out.to_owned();
            return Err(DownloadError::Busy { out });
        };
        // Files that a killed run was writing.
        sweep(&own);
        Ok(Self {
            out: out.to_owned(),
            own,
            _lock: lock,
        })
    }

    /// The table with the fate of every row.
    pub(super) fn results(&self) -> PathBuf {
        self.out.join(RESULTS)
    }

    /// The journal of the current run.
    pub(super) fn journal(&self) -> PathBuf {
        self.own.join("journal.jsonl")
    }

    /// A picture's path in results.csv, relative to this folder and with `/`.
    pub(super) fn relative(place: Option<&str>, file: &PictureFile) -> String {
        format!("{}/{}", place.unwrap_or(OWN), file.name())
    }

    /// Stores a picture, set aside for now.
    pub(super) fn save(&self, file: &PictureFile, bytes: &[u8]) -> Result<(), DownloadError> {
        self.write_whole(&self.own.join(file.name()), bytes)
    }

    /// Writes a file, whole or not at all, replacing an older one.
    pub(super) fn write_whole(&self, path: &Path, bytes: &[u8]) -> Result<(), DownloadError> {
        FileDraft::write_in(&self.own, path, bytes)
            .and_then(|draft| draft.publish_unsynced(Existing::Replace))
            .map_err(io_error("write", path))
    }

    /// Those of `places` that hold `file` with the contents that its name states.
    pub(super) fn found(&self, file: &PictureFile, places: Vec<Place>) -> Vec<Place> {
        let is_there = |place: &Place| {
            let path = self.path(place.as_deref(), file);
            let is_inside = path.parent().is_some_and(is_real_folder);
            is_inside && has_hash(&path, &file.blake3).unwrap_or(false)
        };
        places.into_iter().filter(is_there).collect()
    }

    /// Moves a picture to another place, replacing a file of the same name.
    pub(super) fn bring(
        &self,
        file: &PictureFile,
        from: &Place,
        to: Option<&str>,
    ) -> Result<(), DownloadError> {
        let target = self.path(to, file);
        if let Some(label) = to {
            let folder = self.out.join(label);
            make_real_folder(&folder).map_err(io_error("create", &folder))?;
        }
        fs::rename(self.path(from.as_deref(), file), &target).map_err(io_error("create", &target))
    }

    /// Makes renames survive a power failure.
    pub(super) fn sync<'a>(
        &self,
        labels: impl Iterator<Item = &'a str>,
    ) -> Result<(), DownloadError> {
        let folders = labels.map(|label| self.out.join(label));
        for folder in folders.chain([self.own.clone(), self.out.clone()]) {
            sync_directory(&folder)?;
        }
        Ok(())
    }

    fn path(&self, place: Option<&str>, file: &PictureFile) -> PathBuf {
        self.out.join(place.unwrap_or(OWN)).join(file.name())
    }
}

/// Makes a real folder, not a link, which might lead out of its parent.
fn make_real_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_real_folder(path) => {
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let problem = "there is a link or a file of this name; move it away";
            Err(io::Error::new(error.kind(), problem))
        }
        made => made,
    }
}

fn is_real_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

fn has_hash(path: &Path, blake3: &str) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(false);
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize().to_hex().as_str() == blake3)
}
