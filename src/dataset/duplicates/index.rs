//! Hashes, found by what is near them.
//!
//! Multi-index hashing, after M. Norouzi, A. Punjani and D. Fleet, "Fast search in Hamming space
//! with multi-index hashing" (2012): the places of the hashes are sorted by each of several bands of
//! bits. Two hashes that differ in fewer bits than there are bands have a band in common, and most
//! that differ in a few more have one too.

use super::perceptual_hash::PerceptualHash;
use super::probes::Probe;

/// Bits of a band. With 100,000 pictures 100 have the same band by chance.
const BAND_BITS: u32 = 10;
/// The first bit of each band. Four bits are in none.
const BANDS: [u32; 6] = [0, 11, 21, 32, 43, 54];
/// The largest distance of a hash that is near.
const MAX_DISTANCE: u32 = 7;

/// The most hashes that are looked at in one band. Where more have the same, those are taken that
/// are next in the order of their hashes: copies of one picture are next to each other there.
const MAX_IN_BAND: usize = 1024;

/// Hashes, sorted by each of their bands: 32 bytes for each.
#[derive(Debug)]
pub(super) struct Index {
    hashes: Vec<PerceptualHash>,
    /// For each band, places in `hashes`, sorted by the hash that is turned to begin with the band.
    orders: Vec<Vec<u32>>,
    /// For each band, where in its order the hashes begin that have a number as this band, and the
    /// end after the last number.
    starts: Vec<Vec<u32>>,
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
        let orders = BANDS.map(|first_bit| {
            let mut order: Vec<u32> = (0..n).collect();
            order.sort_unstable_by_key(|&place| (turned(hashes[place as usize], first_bit), place));
            order
        });
        let starts = orders.iter().zip(BANDS).map(|(order, first_bit)| {
            let start =
                |band| order.partition_point(|&at| band_of(hashes[at as usize], first_bit) < band);
            (0..=1 << BAND_BITS)
                .map(|band| start(band) as u32)
                .collect()
        });
        Self {
            starts: starts.collect(),
            orders: orders.into(),
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
            for band in 0..BANDS.len() {
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
        let number = band_of(hash, BANDS[band]);
        let [first, end] = [number, number + 1].map(|at| self.starts[band][at] as usize);
        let bucket = &self.orders[band][first..end];
        if bucket.len() <= MAX_IN_BAND {
            return bucket;
        }
        let key = |place: &u32| turned(self.hashes[*place as usize], BANDS[band]);
        let nearest = bucket.partition_point(|place| key(place) < turned(hash, BANDS[band]));
        let from = nearest.saturating_sub(MAX_IN_BAND / 2);
        let from = from.min(bucket.len() - MAX_IN_BAND);
        &bucket[from..from + MAX_IN_BAND]
    }
}

/// The hash, turned to have the bits from this one on as its highest.
fn turned(hash: PerceptualHash, first_bit: u32) -> u64 {
    hash.0.rotate_left(64 - BAND_BITS - first_bit)
}

fn band_of(hash: PerceptualHash, first_bit: u32) -> usize {
    (turned(hash, first_bit) >> (64 - BAND_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::super::alignment::Warp;
    use super::*;

    fn probe(hash: u64) -> [Probe; 1] {
        [Probe {
            hash: PerceptualHash(hash),
            warp: Warp::turned(0.0, 1.0),
            is_mirrored: false,
        }]
    }

    #[test]
    fn all_hashes_that_differ_in_fewer_bits_than_there_are_bands_are_found() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let hashes: Vec<u64> = (0..2000).map(|_| rng.r#gen()).collect();
        let index = Index::new(hashes.iter().copied().map(PerceptualHash).collect());
        for (entry, hash) in (0..).zip(hashes) {
            let mut other = hash;
            for _ in 0..BANDS.len() - 1 {
                other ^= 1 << rng.gen_range(0..64);
            }
            let found = index.near(&probe(other), 10, |_| true);
            assert!(found.iter().any(|candidate| candidate.entry == entry));
            let distances = found.iter().map(|candidate| candidate.distance);
            assert!(distances.is_sorted_by(|a, b| a <= b && *b <= MAX_DISTANCE));
        }
    }

    #[test]
    fn of_many_equal_hashes_the_wanted_are_found() {
        let index = Index::new(vec![PerceptualHash(3); 5 * MAX_IN_BAND]);
        let found = index.near(&probe(3), 7, |entry| entry % 2 == 1);
        let entries: Vec<_> = found.iter().map(|candidate| candidate.entry).collect();
        assert_eq!(entries, [1, 3, 5, 7, 9, 11, 13]);
    }
}
