//! Codes that need not be computed: those of pictures seen before, in this run or in other stores.
//!
//! A picture is its file's bytes, and BLAKE3 stands for them.

use std::collections::HashMap;

use blake3::Hash;

use super::ExtractError;
use crate::codes::{PictureRow, Store, StoreDescription};

/// Where a known code lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A row of the store that is being written.
    Row(usize),
    /// A row of one of the stores to reuse.
    Reused {
        /// Index of the store.
        store: usize,
        /// Row in it.
        row: usize,
    },
    /// A row of those that an earlier run kept ahead of their turn.
    Ahead(usize),
}

/// A code that is known, and the size of its picture, which then need not be decoded.
///
/// There is one for each picture of a job, so it is packed: stores and rows have 32 bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownCode {
    /// Index of the store to reuse, or [`OWN`] or [`AHEAD`].
    store: u32,
    row: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// The store that is being written.
const OWN: u32 = u32::MAX;
/// The codes that are kept ahead of their turn.
const AHEAD: u32 = u32::MAX - 1;

impl KnownCode {
    /// Where the code lies.
    pub(super) fn place(&self) -> Place {
        let row = self.row as usize;
        match self.store {
            OWN => Place::Row(row),
            AHEAD => Place::Ahead(row),
            store => Place::Reused {
                store: store as usize,
                row,
            },
        }
    }
}

/// All codes known so far: 48 bytes a picture, and the hash table's spare room.
#[derive(Debug, Default)]
pub(super) struct Known {
    by_hash: HashMap<Hash, KnownCode>,
}

impl Known {
    /// The codes of `stores`, which must be such as `description` has them, and of the rows that an
    /// earlier run wrote, and kept ahead.
    pub(super) fn new(
        stores: &[Store],
        description: &StoreDescription,
        written: &[PictureRow],
        ahead: &[PictureRow],
    ) -> Result<Self, ExtractError> {
        let mut known = Self::default();
        known.note_rows(written, Place::Row);
        known.note_rows(ahead, Place::Ahead);
        for (index, store) in stores.iter().enumerate() {
            check_reusable(store, description)?;
            known.note_rows(store.pictures(), |row| Place::Reused { store: index, row });
        }
        Ok(known)
    }

    fn note_rows(&mut self, rows: &[PictureRow], place: impl Fn(usize) -> Place) {
        for (row, picture) in rows.iter().enumerate() {
            self.note(picture.blake3, place(row), picture.width, picture.height);
        }
    }

    /// The code of the picture with these bytes.
    pub(super) fn find(&self, hash: &Hash) -> Option<KnownCode> {
        self.by_hash.get(hash).copied()
    }

    /// Notes where a code lies, unless it is known from elsewhere, or in a row beyond 32 bits,
    /// from where it is only computed again.
    pub(super) fn note(&mut self, hash: Hash, place: Place, width: u32, height: u32) {
        let (store, row) = match place {
            Place::Row(row) => (Some(OWN), row),
            Place::Ahead(row) => (Some(AHEAD), row),
            Place::Reused { store, row } => (u32::try_from(store).ok(), row),
        };
        if let (Some(store), Ok(row)) = (store, u32::try_from(row)) {
            self.by_hash.entry(hash).or_insert(KnownCode {
                store,
                row,
                width,
                height,
            });
        }
    }
}

/// Codes may be copied where they mean the same and are stored the same way.
fn check_reusable(store: &Store, description: &StoreDescription) -> Result<(), ExtractError> {
    let theirs = store.manifest();
    let reason = if let Some(difference) = theirs.codes.difference(&description.codes) {
        difference
    } else if theirs.dtype != description.dtype {
        format!(
            "the dtype differs: {} and {}",
            theirs.dtype, description.dtype
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
