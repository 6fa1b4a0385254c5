//! Codes that need not be computed: those of pictures in this run or in other stores.
//!
//! Pictures are compared by the BLAKE3 hash of their files' bytes.

use std::collections::HashMap;

use blake3::Hash;

use super::ExtractError;
use crate::codes::{PictureRow, Store, StoreDescription};

/// The location of a known code. Rows have 32 bits, because there is one entry per picture of a
/// job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodeSource {
    /// A row of the store that is being written.
    Written(u32),
    /// A row of one of the stores to reuse.
    Reused {
        /// Index of the store.
        store: u32,
        /// Row in it.
        row: u32,
    },
    /// A row of the codes that an earlier run kept ahead of their turn.
    Ahead(u32),
}

/// The location of a known code, and the size of its picture, which then need not be decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownCode {
    pub(super) source: CodeSource,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// All codes known so far: 52 bytes per picture, plus the hash table's spare room.
#[derive(Debug, Default)]
pub(super) struct Known {
    by_hash: HashMap<Hash, KnownCode>,
}

impl Known {
    /// The codes of `stores`, which must match `description`, and of the rows that an earlier run
    /// wrote or kept ahead.
    pub(super) fn new(
        stores: &[Store],
        description: &StoreDescription,
        written: &[PictureRow],
        ahead: &[PictureRow],
    ) -> Result<Self, ExtractError> {
        let mut known = Self::default();
        known.note_rows(written, CodeSource::Written);
        known.note_rows(ahead, CodeSource::Ahead);
        for (store, index) in stores.iter().zip(0..) {
            check_reusable(store, description)?;
            let source = |row| CodeSource::Reused { store: index, row };
            known.note_rows(store.pictures(), source);
        }
        Ok(known)
    }

    fn note_rows(&mut self, rows: &[PictureRow], source: impl Fn(u32) -> CodeSource) {
        for (row, picture) in rows.iter().enumerate() {
            self.note(picture, row, &source);
        }
    }

    /// The code of the picture with these bytes.
    pub(super) fn find(&self, hash: &Hash) -> Option<KnownCode> {
        self.by_hash.get(hash).copied()
    }

    /// Records where the code of a picture is. It is ignored if the code is known already, or if
    /// the row does not fit 32 bits; then the code is only computed again.
    pub(super) fn note(
        &mut self,
        picture: &PictureRow,
        row: usize,
        source: impl Fn(u32) -> CodeSource,
    ) {
        if let Ok(row) = u32::try_from(row) {
            self.by_hash.entry(picture.blake3).or_insert(KnownCode {
                source: source(row),
                width: picture.width,
                height: picture.height,
            });
        }
    }
}

/// Codes may be copied if they mean the same and are stored in the same way.
fn check_reusable(store: &Store, description: &StoreDescription) -> Result<(), ExtractError> {
    let theirs = &store.manifest().store;
    let reason = if let Some(difference) = theirs.codes.difference(&description.codes) {
        difference
    } else if theirs.dtype != description.dtype {
        format!(
            "the dtype differs: {} and {}",
            theirs.dtype, description.dtype
        )
    } else if theirs.views != description.views {
        format!(
            "the views differ: {} and {}",
            theirs.views, description.views
        )
    } else if theirs.decoder != description.decoder {
        format!(
            "the JPEG decoder differs: {} and {}",
            theirs.decoder, description.decoder
        )
    } else {
        return Ok(());
    };
    Err(ExtractError::Reuse {
        store: store.dir().to_owned(),
        reason,
    })
}
