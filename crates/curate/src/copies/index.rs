//! Finds hashes that are near a given one.
//!
//! Multi-index hashing, after M. Norouzi, A. Punjani and D. Fleet, "Fast search in Hamming space
//! with multi-index hashing" (2012): the indices of the hashes are sorted by each of several bands
//! of bits. Two hashes that differ in fewer bits than there are bands have an equal band; so have
//! most that differ in a few more bits.

use std::ops::Range;

use super::perceptual_hash::PerceptualHash;
use super::probes::Probe;

/// Bits of a band. Among 100,000 pictures, 100 share a band by chance.
const BAND_BITS: u32 = 10;
/// The first bit of each band. Four bits belong to no band.
const BANDS: [u32; 6] = [0, 11, 21, 32, 43, 54];
/// The largest distance of a near hash.
const MAX_DISTANCE: u32 = 10;

/// The most hashes that are compared in one band. If more share it, the next ones in the order of
/// the hashes are taken: copies of one picture are neighbours there.
const MAX_IN_BAND: usize = 1024;

/// Hashes, sorted by each of their bands: 72 bytes per hash.
#[derive(Debug)]
pub(super) struct Index {
    bands: [Band; BANDS.len()],
}

/// Hashes sorted by one band.
#[derive(Debug)]
struct Band {
    /// The band's first bit.
    first_bit: u32,
    /// All hashes, sorted by their value under [`turned`]. They are stored contiguously, because
    /// reading them takes most of the time.
    hashes: Vec<PerceptualHash>,
    /// The index of each hash among the given ones.
    entries: Vec<u32>,
    /// For each value of the band, the start of its hashes; then the end of the last ones.
    starts: Vec<u32>,
}

/// A hash near one of the probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) distance: u32,
    /// Its index among the hashes.
    pub(super) entry: u32,
    /// The nearest probe; of equal ones, the first.
    pub(super) probe: u32,
}

impl Index {
    /// Makes an index of `n` hashes.
    pub(super) fn new(n: usize, hash: impl Fn(usize) -> PerceptualHash) -> Self {
        Self {
            bands: BANDS.map(|first_bit| Band::new(n, &hash, first_bit)),
        }
    }

    /// The `wanted` hashes that are near any of the probes, at most `most`, the nearest first.
    pub(super) fn near(
        &self,
        probes: &[Probe],
        most: usize,
        wanted: impl Fn(u32) -> bool,
    ) -> Vec<Candidate> {
        let mut found = Vec::new();
        for (number, probe) in (0..).zip(probes) {
            for band in &self.bands {
                let like = band.like(probe.hash);
                for (&hash, &entry) in band.hashes[like.clone()].iter().zip(&band.entries[like]) {
                    let distance = hash.distance(probe.hash);
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
}

impl Band {
    fn new(n: usize, hash: impl Fn(usize) -> PerceptualHash, first_bit: u32) -> Self {
        let n = u32::try_from(n).expect("numbers of pictures fit into 32 bits");
        let hash = |&entry: &u32| hash(entry as usize);
        let mut entries: Vec<u32> = (0..n).collect();
        entries.sort_unstable_by_key(|entry| (turned(hash(entry), first_bit), *entry));
        let hashes: Vec<_> = entries.iter().map(hash).collect();
        let start = |number| hashes.partition_point(|&hash| number_of(hash, first_bit) < number);
        let starts = (0..=1 << BAND_BITS).map(|number| start(number) as u32);
        Self {
            first_bit,
            starts: starts.collect(),
            hashes,
            entries,
        }
    }

    /// The range of hashes that have the same band as `hash`.
    fn like(&self, hash: PerceptualHash) -> Range<usize> {
        let number = number_of(hash, self.first_bit);
        let [first, end] = [number, number + 1].map(|at| self.starts[at] as usize);
        if end - first <= MAX_IN_BAND {
            return first..end;
        }
        let wanted = turned(hash, self.first_bit);
        let all = &self.hashes[first..end];
        let nearest = all.partition_point(|&hash| turned(hash, self.first_bit) < wanted);
        let skipped = nearest.saturating_sub(MAX_IN_BAND / 2);
        let skipped = skipped.min(all.len() - MAX_IN_BAND);
        first + skipped..first + skipped + MAX_IN_BAND
    }
}

/// The hash, rotated so that this bit becomes the highest.
fn turned(hash: PerceptualHash, first_bit: u32) -> u64 {
    hash.0.rotate_left(64 - BAND_BITS - first_bit)
}

/// The band of a hash that begins at this bit, as a number.
fn number_of(hash: PerceptualHash, first_bit: u32) -> usize {
    (turned(hash, first_bit) >> (64 - BAND_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::warp::Warp;
    use super::*;

    fn probes(hashes: &[u64]) -> Vec<Probe> {
        let probe = |&hash| Probe {
            hash: PerceptualHash(hash),
            warp: Warp::turned(0.0, 1.0),
            is_mirrored: false,
        };
        hashes.iter().map(probe).collect()
    }

    /// Hashes with up to 14 bits of one of three others flipped, so that many are near each other.
    fn clusters(n: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u64>> {
        let near = (0..3_u64, prop::collection::vec(0..64_u32, 0..14));
        let hash = near.prop_map(|(middle, flips)| {
            let middle = (middle + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            flips.iter().fold(middle, |hash, bit| hash ^ 1 << bit)
        });
        prop::collection::vec(hash, n)
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_comparing_all_with_all_finds(
            hashes in clusters(1..120), wanted in clusters(1..6), most in 1..200_usize,
        ) {
            let index = Index::new(hashes.len(), |entry| PerceptualHash(hashes[entry]));
            let found = index.near(&probes(&wanted), most, |entry| entry % 3 > 0);
            // Of each hash, how far the nearest probe is.
            let nearest = |entry: usize| {
                let distances = wanted.iter().map(|probe| (hashes[entry] ^ probe).count_ones());
                distances.min().unwrap()
            };
            prop_assert!(found.windows(2).all(|pair| pair[0].distance <= pair[1].distance));
            let mut entries: Vec<_> = found.iter().map(|candidate| candidate.entry).collect();
            entries.sort_unstable();
            entries.dedup();
            prop_assert_eq!(entries.len(), found.len());
            for candidate in &found {
                let (entry, probe) = (candidate.entry as usize, candidate.probe as usize);
                let distance = (hashes[entry] ^ wanted[probe]).count_ones();
                prop_assert_eq!(candidate.distance, distance);
                prop_assert!(distance <= MAX_DISTANCE && entry % 3 > 0);
            }
            // In fewer bits than there are bands not all bands can differ.
            let sure = (0..hashes.len()).filter(|entry| entry % 3 > 0 && nearest(*entry) < 6);
            let sure: Vec<_> = sure.collect();
            if found.len() < most {
                for entry in sure {
                    let candidate = found.iter().find(|other| other.entry as usize == entry);
                    prop_assert_eq!(candidate.map(|other| other.distance), Some(nearest(entry)));
                }
            } else {
                let within = found.last().unwrap().distance;
                let nearer = sure.into_iter().filter(|entry| nearest(*entry) < within);
                for entry in nearer {
                    prop_assert!(entries.contains(&(entry as u32)));
                }
            }
        }
    }

    #[test]
    fn of_many_equal_hashes_the_wanted_are_found() {
        let index = Index::new(5 * MAX_IN_BAND, |_| PerceptualHash(3));
        let found = index.near(&probes(&[3]), 7, |entry| entry % 2 == 1);
        let entries: Vec<_> = found.iter().map(|candidate| candidate.entry).collect();
        assert_eq!(entries, [1, 3, 5, 7, 9, 11, 13]);
    }
}
