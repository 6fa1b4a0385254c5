//! Finds pictures that show the same, without comparing all with all.
//!
//! ```text
//! picture -> thumbnail -> hash ---> index ------> alignment -> correlation -> groups
//!            32 x 32      64 bits   few that      turned,      of what lies   the same
//!            grey         (DCT)     may be equal  shifted      over the other picture
//! ```
//!
//! The hash is a cheap filter. Each picture asks the index for hashes near its own, or near the
//! hash that it would have if it were mirrored, turned a little, or cropped. These few candidates
//! are aligned with it, and count as the same picture if the overlapping parts agree.
//!
//! Thumbnails are kept in an unnamed temporary file, 1 KiB per picture. Memory holds 92 bytes per
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

/// Pictures whose partners are searched together; a constant, so that the result does not depend on
/// the number of threads.
const CHUNK: usize = 1024;

/// The most candidates that a picture is aligned with. Real copies are nearest, so only sets with
/// hundreds of copies of one picture reach this limit, and those are linked through one another.
const MAX_CANDIDATES: usize = 48;

/// How similar two pictures are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Likeness {
    /// The files are equal, byte for byte.
    Exact,
    /// The pictures show the same.
    Near {
        /// Correlation of the overlapping parts, up to 1.
        correlation: f32,
        /// Whether one is the mirror image of the other.
        is_mirrored: bool,
    },
}

/// Two pictures that show the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    /// Number of the first picture.
    pub(super) first: u32,
    /// Number of the second picture, which is larger.
    pub(super) second: u32,
    pub(super) likeness: Likeness,
}

/// A picture to compare.
#[derive(Clone, Copy, Debug)]
struct Entry {
    picture: u32,
    /// Index of its thumbnail in the file.
    thumbnail: u32,
    hash: PerceptualHash,
}

/// Pictures to compare, and their hashes.
#[derive(Debug)]
pub(super) struct Finder {
    hasher: Hasher,
    entries: Vec<Entry>,
    thumbnails: Thumbnails,
}

impl Finder {
    /// # Errors
    /// The system's error if a temporary file cannot be created.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            hasher: Hasher::new(),
            entries: Vec::new(),
            thumbnails: Thumbnails::new()?,
        })
    }

    /// Adds a picture under a number larger than the previous ones.
    ///
    /// # Errors
    /// The system's error if the temporary file cannot be written.
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
    /// Pictures in the same group are not compared, and from groups that existed at the start only
    /// the first picture is compared. The same pictures in the same order give the same pairs.
    ///
    /// # Errors
    /// The system's error if the temporary file cannot be read.
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

    /// Pairs of `entry` with pictures in other groups that show the same, the nearest first.
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
