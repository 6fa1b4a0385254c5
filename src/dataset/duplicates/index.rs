//! Hashes, found by what is near them.
//!
//! Multi-index hashing, after M. Norouzi, A. Punjani and D. Fleet, "Fast search in Hamming space
//! with multi-index hashing" (2012): a hash is cut into bands, and the places of the hashes are
//! sorted by each. Two hashes that differ in fewer bits than there are bands have a band in common.

use super::perceptual_hash::{PerceptualHash, Probe};

/// Bits of a band. With 100,000 pictures 400 have the same band by chance.
const BAND_BITS: usize = 8;
/// Bands of a hash.
const BANDS: usize = 64 / BAND_BITS;
/// The largest distance of a hash that is near: what all bands but one may hide.
const MAX_DISTANCE: u32 = BANDS as u32 - 1;

/// The most hashes that are looked at in one band. Where more have the same, those are taken that
/// are next in the order of their hashes: copies of one picture are next to each other there.
const MAX_IN_BAND: usize = 4096;

/// Hashes, sorted by each of their bands: 40 bytes for each.
#[derive(Debug)]
pub(super) struct Index {
    hashes: Vec<PerceptualHash>,
    /// For each band, places in `hashes`, sorted by the hash that is turned to begin with the band.
    orders: Vec<Vec<u32>>,
}

/// A hash near one of the probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) distance: u32,
    /// Its place among the hashes.
    pub(super) entry: u32,
    /// The probe that it is nearest to, the first of several.
    pub(super) probe: u32,
}

impl Index {
    pub(super) fn new(hashes: Vec<PerceptualHash>) -> Self {
        let n = u32::try_from(hashes.len()).expect("numbers of pictures fit into 32 bits");
        let orders = (0..BANDS).map(|band| {
            let mut order: Vec<u32> = (0..n).collect();
            order.sort_unstable_by_key(|&place| (turned(hashes[place as usize], band), place));
            order
        });
        Self {
            orders: orders.collect(),
            hashes,
        }
    }

    /// The hashes that are nearest to any of the probes and near it, at most `most` and the nearest
    /// first; only those that are `wanted`.
    pub(super) fn near(
        &self,
        probes: &[Probe],
        most: usize,
        wanted: impl Fn(u32) -> bool,
    ) -> Vec<Candidate> {
        let mut found = Vec::new();
        for (number, probe) in (0..).zip(probes) {
            for band in 0..BANDS {
                for &entry in self.with_band(probe.hash, band) {
                    let distance = self.hashes[entry as usize].distance(probe.hash);
                    if distance <= MAX_DISTANCE && wanted(entry) {
                        found.push(Candidate {
                            distance,
                            entry,
                            probe: number,
                        });
                    }
                }
            }
        }
        found.sort_unstable_by_key(|candidate| (candidate.entry, *candidate));
        found.dedup_by_key(|candidate| candidate.entry);
        found.sort_unstable();
        found.truncate(most);
        found
    }

    /// The places of the hashes that have this band of `hash`.
    fn with_band(&self, hash: PerceptualHash, band: usize) -> &[u32] {
        let order = &self.orders[band];
        let key = |place: &u32| turned(self.hashes[*place as usize], band);
        let wanted = turned(hash, band);
        let shift = 64 - BAND_BITS;
        let first = order.partition_point(|place| key(place) >> shift < wanted >> shift);
        let n = order[first..].partition_point(|place| key(place) >> shift == wanted >> shift);
        let bucket = &order[first..first + n];
        if n <= MAX_IN_BAND {
            return bucket;
        }
        let nearest = bucket.partition_point(|place| key(place) < wanted);
        let from = nearest.saturating_sub(MAX_IN_BAND / 2).min(n - MAX_IN_BAND);
        &bucket[from..from + MAX_IN_BAND]
    }
}

/// The hash, turned to have `band` in its highest bits.
fn turned(hash: PerceptualHash, band: usize) -> u64 {
    hash.0.rotate_left((band * BAND_BITS) as u32)
}
