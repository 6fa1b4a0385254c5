//! A rename that never replaces anything.

use std::fs;
use std::io;
use std::path::Path;

/// Renames a directory to a name that must not exist.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if the name exists; it is then unchanged.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rename_in_one_step(from, to) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => rename_after_a_look(from, to),
        renamed => renamed,
    }
}

/// The system's own rename of this kind; [`io::ErrorKind::Unsupported`] if it has none.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_in_one_step(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;

    let renamed = renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE);
    renamed.map_err(|error| match error {
        // The answer of a kernel or a file system without it.
        Errno::INVAL | Errno::NOSYS | Errno::NOTSUP => io::ErrorKind::Unsupported.into(),
        error => error.into(),
    })
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_in_one_step(_from: &Path, _to: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// For file systems without such a rename. A target that appears between the check and the rename
/// is not lost: renaming a directory replaces at most an empty directory.
fn rename_after_a_look(from: &Path, to: &Path) -> io::Result<()> {
    let is_taken = || fs::symlink_metadata(to).is_ok();
    if is_taken() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to).map_err(|error| match error.kind() {
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory if is_taken() => {
            io::ErrorKind::AlreadyExists.into()
        }
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ways to rename, the second of which another file system would need.
    const WAYS: [fn(&Path, &Path) -> io::Result<()>; 2] = [rename_new, rename_after_a_look];

    #[test]
    fn a_free_name_is_taken() {
        for rename in WAYS {
            let place = tempfile::tempdir().unwrap();
            let (from, to) = (place.path().join("from"), place.path().join("to"));
            fs::create_dir(&from).unwrap();
            fs::write(from.join("file"), "1").unwrap();
            rename(&from, &to).unwrap();
            assert_eq!(fs::read_to_string(to.join("file")).unwrap(), "1");
            assert!(!from.exists());
        }
    }

    #[test]
    fn neither_a_folder_nor_a_file_nor_a_link_is_replaced() {
        for rename in WAYS {
            let place = tempfile::tempdir().unwrap();
            let from = place.path().join("from");
            let (folder, file) = (place.path().join("folder"), place.path().join("file"));
            fs::create_dir(&from).unwrap();
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("thesis.txt"), "dear").unwrap();
            fs::write(&file, "dear").unwrap();
            let taken = [
                &folder,
                &file,
                #[cfg(unix)]
                &{
                    let link = place.path().join("link");
                    std::os::unix::fs::symlink("nowhere", &link).unwrap();
                    link
                },
            ];
            for to in taken {
                let refused = rename(&from, to).unwrap_err();
                assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists, "{refused}");
            }
            assert!(from.is_dir());
            assert_eq!(
                fs::read_to_string(folder.join("thesis.txt")).unwrap(),
                "dear"
            );
            assert_eq!(fs::read_to_string(&file).unwrap(), "dear");
        }
    }

    #[test]
    fn a_plain_rename_replaces_no_directory_that_holds_something() {
        // What the way for other file systems relies on, should a folder appear after the look.
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(to.join("thesis.txt"), "dear").unwrap();
        fs::rename(&from, &to).unwrap_err();
        assert_eq!(fs::read_to_string(to.join("thesis.txt")).unwrap(), "dear");
    }
}
