//! Conversion between ONNX's layout (N, C, H, W) and the blocked one (N, C/16, H, W, 16).

use crate::instructions::{LANES, Vector};

/// Positions that are transposed at a time, so few that both sides stay in the first-level cache.
const POSITIONS: usize = 64;

/// Converts one block of at most 16 channels, planes of `positions` numbers, to vectors.
///
/// Missing channels become zeros.
pub(super) fn to_block(channels: &[f32], positions: usize, block: &mut [Vector]) {
    for (index, vectors) in block.chunks_mut(POSITIONS).enumerate() {
        let first = index * POSITIONS;
        if channels.len() < LANES * positions {
            vectors.fill([0.0; LANES]);
        }
        for (lane, plane) in channels.chunks_exact(positions).enumerate() {
            for (vector, &value) in vectors.iter_mut().zip(&plane[first..]) {
                vector[lane] = value;
            }
        }
    }
}

/// Converts vectors to at most 16 channels, planes of `positions` numbers.
pub(super) fn from_block(block: &[Vector], positions: usize, channels: &mut [f32]) {
    for (index, vectors) in block.chunks(POSITIONS).enumerate() {
        let first = index * POSITIONS;
        for (lane, plane) in channels.chunks_exact_mut(positions).enumerate() {
            for (vector, value) in vectors.iter().zip(&mut plane[first..]) {
                *value = vector[lane];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_the_channels_of_a_position_side_by_side() {
        let (positions, n_channels) = (130, 5);
        let channels: Vec<f32> = (0..positions * n_channels).map(|i| i as f32).collect();
        let mut block = vec![[f32::NAN; LANES]; positions];
        to_block(&channels, positions, &mut block);
        assert_eq!(block[129][4], (4 * positions + 129) as f32);
        assert_eq!(block[64][0], 64.0);
        assert!(block.iter().all(|vector| vector[n_channels..] == [0.0; 11]));
        let mut back = vec![0.0; channels.len()];
        from_block(&block, positions, &mut back);
        assert_eq!(back, channels);
    }
}
