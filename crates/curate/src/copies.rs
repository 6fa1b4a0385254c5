//! Pictures that show the same, found without comparing all with all.
//!
//! ```text
//! picture -> thumbnail -> hash ---> index ------> alignment -> correlation -> groups
//!            32 x 32      64 bits   few that      turned,      of what lies   the same
//!            grey         (DCT)     may be equal  shifted      over the other picture
//! ```
//!
//! The hash says cheaply what is worth a look: each picture asks the index for those whose hashes
//! are near its own, or near what its own would be if it were mirrored, turned a little, or cropped.
//! Those few are laid over each other, and count as one picture if what lies over the other agrees.
//!
//! Thumbnails wait in a temporary file without a name, 1 KiB a picture. Memory holds 92 bytes a
//! picture: its numbers and its hash (16), the index (72) and its group (4).

mod alignment;
mod index;
mod perceptual_hash;
mod probes;
mod thumbnail;
mod warp;

use std::io;

use rayon::prelude::*;

use self::alignment::align;
use self::index::Index;
use self::perceptual_hash::{Hasher, PerceptualHash};
use self::probes::Prober;
pub(super) use self::thumbnail::Thumbnail;
use self::thumbnail::Thumbnails;
pub(super) use cnn_codes::codes::Groups;

/// Pictures whose partners are looked for at a time; a constant, so that what is found does not
/// depend on the number of threads.
const CHUNK: usize = 1024;

/// The most pictures that one is laid over. Real copies are nearest, so that only sets with
/// hundreds of copies of one picture get here, and those are linked through one another.
const MAX_CANDIDATES: usize = 48;

/// How alike two pictures are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Likeness {
    /// The files are the same, byte for byte.
    Exact,
    /// They show the same.
    Near {
        /// Correlation of what lies over each other, up to 1.
        correlation: f32,
        /// Whether one is the mirror image of the other.
        is_mirrored: bool,
    },
}

/// Two pictures that show the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    /// The number of the first.
    pub(super) first: u32,
    /// The number of the second, which is larger.
    pub(super) second: u32,
    pub(super) likeness: Likeness,
}

/// A picture that is to be compared.
#[derive(Clone, Copy, Debug)]
struct Entry {
    picture: u32,
    /// Its place in the file.
    thumbnail: u32,
    hash: PerceptualHash,
}

/// Pictures that are to be compared, and what is known of them.
#[derive(Debug)]
pub(super) struct Finder {
    hasher: Hasher,
    entries: Vec<Entry>,
    thumbnails: Thumbnails,
}

impl Finder {
    /// # Errors
    /// What the system says if there is no room for temporary files.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            hasher: Hasher::new(),
            entries: Vec::new(),
            thumbnails: Thumbnails::new()?,
        })
    }

    /// Takes up a picture under a number that is larger than those before.
    ///
    /// # Errors
    /// What the system says if the temporary file cannot be written.
    pub(super) fn add(&mut self, picture: u32, thumbnail: &Thumbnail) -> io::Result<()> {
        self.thumbnails.push(thumbnail)?;
        let hash = self.hasher.hash(thumbnail);
        self.entries.push(Entry {
            picture,
            thumbnail: u32::try_from(self.entries.len()).expect("no more than pictures"),
            hash,
        });
        Ok(())
    }

    /// Joins the groups of pictures that show the same, and returns the pairs that joined them.
    ///
    /// Pictures that are in one group already are not compared, and of those that were when this
    /// began only the first is compared at all. The same pictures in the same order give the same
    /// pairs.
    ///
    /// # Errors
    /// What the system says if the temporary file cannot be read.
    pub(super) fn join(mut self, groups: &mut Groups) -> io::Result<Vec<Pair>> {
        self.thumbnails.finish()?;
        self.entries
            .retain(|entry| groups.of(entry.picture) == entry.picture);
        let index = Index::new(self.entries.len(), |entry| self.entries[entry].hash);
        let prober = Prober::new(&self.hasher);
        let mut pairs = Vec::new();
        for first in (0..self.entries.len()).step_by(CHUNK) {
            let chunk = first..(first + CHUNK).min(self.entries.len());
            let found: Vec<Vec<Pair>> = chunk
                .into_par_iter()
                .map(|entry| self.like(self.entries[entry], &prober, &index, groups))
                .collect::<io::Result<_>>()?;
            let found = found.into_iter().flatten();
            pairs.extend(found.filter(|pair| groups.join(pair.first, pair.second)));
        }
        pairs.sort_unstable_by_key(|pair| (pair.first, pair.second));
        Ok(pairs)
    }

    /// Pairs of `entry` with pictures that show the same and are not in its group, the nearest first.
    fn like(
        &self,
        entry: Entry,
        prober: &Prober,
        index: &Index,
        groups: &Groups,
    ) -> io::Result<Vec<Pair>> {
        let group = groups.of(entry.picture);
        let is_new = |other: u32| groups.of(self.entries[other as usize].picture) != group;
        let thumbnail = self.thumbnails.read(entry.thumbnail)?;
        let probes = prober.probes(&thumbnail);
        let mut pairs = Vec::new();
        for candidate in index.near(&probes, MAX_CANDIDATES, is_new) {
            let other = self.entries[candidate.entry as usize];
            let probe = &probes[candidate.probe as usize];
            let is_mirrored = probe.is_mirrored;
            let levels = self.thumbnails.read(other.thumbnail)?;
            if let Some(correlation) = align(&thumbnail, &levels, probe.warp, is_mirrored) {
                pairs.push((
                    correlation,
                    Pair {
                        first: entry.picture.min(other.picture),
                        second: entry.picture.max(other.picture),
                        likeness: Likeness::Near {
                            correlation,
                            is_mirrored,
                        },
                    },
                ));
            }
        }
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        Ok(pairs.into_iter().map(|(_, pair)| pair).collect())
    }
}
