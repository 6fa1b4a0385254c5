//! This program's own files, opened for writing: journals, codes, locks.
//!
//! Links are refused. Files that are only read, such as a user's pictures, may be links;
//! [`regular`](super::regular) opens those.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a regular file. A link is refused: anyone with write access to the folder could point it
/// at another file of the user, which we would change. A pipe is refused too, because opening it
/// could block.
pub fn open_itself(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;

        use rustix::fs::OFlags;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed());
    }
    // For systems that do not refuse links themselves, and for a clear message on those that do.
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        return Err(io::Error::other("it is a link; remove it"));
    }
    let file = options.open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file; remove it"))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_link_or_a_pipe_is_refused_and_what_a_link_leads_to_is_as_it_was() {
        let place = tempfile::tempdir().unwrap();
        let thesis = place.path().join("thesis.txt");
        fs::write(&thesis, "dear").unwrap();
        for target in ["thesis.txt", "nowhere.txt"] {
            let link = place.path().join("link");
            symlink(place.path().join(target), &link).unwrap();
            let refused = open_itself(&link, File::options().write(true).create(true));
            assert_eq!(refused.unwrap_err().to_string(), "it is a link; remove it");
            fs::remove_file(link).unwrap();
        }
        assert_eq!(fs::read_to_string(&thesis).unwrap(), "dear");
        assert!(!place.path().join("nowhere.txt").exists());
        let pipe = place.path().join("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        open_itself(&pipe, File::options().write(true)).unwrap_err();
        open_itself(&pipe, File::options().read(true)).unwrap_err();
    }
}
