//! Replaces an older directory, so that the next run can repair whatever a kill leaves.
//!
//! ```text
//! NAME                    -> NAME.cnn-codes-replaced     the old one waits
//! NAME.partial            -> NAME                        the new one is in its place
//! NAME.cnn-codes-replaced -> NAME.cnn-codes-old          and is removed
//! ```
//!
//! No rename replaces anything. Only this program uses the last two names. If NAME is missing, the
//! next run puts NAME.cnn-codes-replaced back; it removes NAME.cnn-codes-old.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{DraftError, PathError, path_error};
use super::rename::rename_new;
use super::target::{Found, Kind, beside};

/// Replaces `target` by `fresh`. The old target is moved to `aside` and checked there. If it must
/// not be replaced, or something fails, it is moved back.
pub fn put_in_place<E: From<PathError>>(
    fresh: &Path,
    target: &Path,
    aside: &Path,
    judge: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    rename_new(target, aside).map_err(path_error("move away", target))?;
    let placed = judge(aside).and_then(|()| {
        rename_new(fresh, target).map_err(path_error("create", target))?;
        Ok(())
    });
    if placed.is_err() {
        let _ = rename_new(aside, target);
    }
    placed
}

/// Where the old target is kept while the new one is put in place.
pub(super) fn waiting(target: &Path) -> PathBuf {
    beside(target, ".cnn-codes-replaced")
}

/// The old target's name while it is removed.
fn old(target: &Path) -> PathBuf {
    beside(target, ".cnn-codes-old")
}

/// Removes the old target, now that the new one is in place. It is renamed first, so that a kill
/// leaves no partial directory under the name that is put back.
pub(super) fn remove_replaced(target: &Path) -> Result<(), PathError> {
    let (replaced, old) = (waiting(target), old(target));
    remove(&old)?;
    match rename_new(&replaced, &old) {
        // Another process that began to write the same target has removed it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        renamed => {
            renamed.map_err(path_error("move away", &replaced))?;
            remove(&old)
        }
    }
}

/// Removes the old target of a run that was killed after it put the new one in place. A failure is
/// harmless.
pub(super) fn tidy(target: &Path, kind: Kind) {
    let is_replaced = |found| matches!(found, Ok(Found::OfKind));
    if is_replaced(Found::at(&waiting(target), kind)) && is_replaced(Found::at(target, kind)) {
        let _ = remove_replaced(target);
    }
    let _ = remove(&old(target));
}

/// Puts back an old target that a killed run had moved away without putting the new one in place.
/// The caller must hold the draft's lock, because another run may be about to replace the target.
pub(super) fn put_back(target: &Path, kind: Kind) -> Result<(), DraftError> {
    let replaced = waiting(target);
    match (Found::at(&replaced, kind)?, Found::at(target, kind)?) {
        (Found::Nothing, _) => Ok(()),
        (_, Found::Nothing) => {
            rename_new(&replaced, target).map_err(path_error("put back", target))?;
            Ok(())
        }
        _ => Err(DraftError::InTheWay { path: replaced }),
    }
}

fn remove(directory: &Path) -> Result<(), PathError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(path_error("remove", directory)),
    }
}
