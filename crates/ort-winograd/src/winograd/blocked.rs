//! Tensors whose channels are in blocks of 16: (N, C/16, H, W, 16).

use super::aligned_buffer::AlignedBuffer;
use super::tiles::Shape;
use crate::instructions::{LANES, Vector};

/// The axes of a [`BlockedTensor`], without blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockedShape {
    /// Number of pictures, N.
    pub n: usize,
    /// Number of channels, C.
    pub channels: usize,
    /// Number of rows, H.
    pub height: usize,
    /// Number of columns, W.
    pub width: usize,
}

impl BlockedShape {
    /// Number of blocks of 16 channels.
    #[must_use]
    pub fn n_blocks(self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Number of positions in a picture, H W.
    #[must_use]
    pub fn positions(self) -> usize {
        self.height * self.width
    }

    /// Number of vectors in a picture.
    #[must_use]
    pub fn picture_len(self) -> usize {
        self.n_blocks() * self.positions()
    }

    /// The same shape with another number of channels.
    #[must_use]
    pub fn with_channels(self, channels: usize) -> Self {
        Self { channels, ..self }
    }

    pub(super) fn pictures(self) -> Shape {
        Shape {
            n: self.n,
            height: self.height,
            width: self.width,
        }
    }
}

/// A tensor (N, C/16, H, W, 16) that begins at a cache line. Channels that pad the last block are
/// zeros.
#[derive(Debug)]
pub struct BlockedTensor {
    vectors: AlignedBuffer<[Vector; 1]>,
    shape: BlockedShape,
}

impl BlockedTensor {
    /// A tensor of zeros.
    #[must_use]
    pub fn zeros(shape: BlockedShape) -> Self {
        Self {
            vectors: AlignedBuffer::zeros(shape.n * shape.picture_len()),
            shape,
        }
    }

    /// Makes a tensor of numbers (N, H, W, C) in C order.
    ///
    /// # Panics
    /// If the length of `values` is not that of the shape.
    #[must_use]
    pub fn from_channels_last(values: &[f32], shape: BlockedShape) -> Self {
        let positions = shape.positions();
        assert_eq!(values.len(), shape.n * positions * shape.channels);
        let mut tensor = Self::zeros(shape);
        if values.is_empty() {
            return tensor;
        }
        let pictures = values.chunks_exact(positions * shape.channels);
        let blocked = tensor.vectors_mut().chunks_exact_mut(shape.picture_len());
        for (picture, blocked) in pictures.zip(blocked) {
            for (position, pixel) in picture.chunks_exact(shape.channels).enumerate() {
                for (block, channels) in pixel.chunks(LANES).enumerate() {
                    let vector = &mut blocked[block * positions + position];
                    vector[..channels.len()].copy_from_slice(channels);
                }
            }
        }
        tensor
    }

    /// The numbers (N, H, W, C) in C order.
    #[must_use]
    pub fn to_channels_last(&self) -> Vec<f32> {
        let (shape, positions) = (self.shape, self.shape.positions());
        let mut values = vec![0.0; shape.n * positions * shape.channels];
        if values.is_empty() {
            return values;
        }
        let pictures = values.chunks_exact_mut(positions * shape.channels);
        for (picture, blocked) in pictures.zip(self.vectors().chunks_exact(shape.picture_len())) {
            for (position, pixel) in picture.chunks_exact_mut(shape.channels).enumerate() {
                for (block, channels) in pixel.chunks_mut(LANES).enumerate() {
                    let vector = &blocked[block * positions + position];
                    channels.copy_from_slice(&vector[..channels.len()]);
                }
            }
        }
        values
    }

    /// The tensor's axes.
    #[must_use]
    pub fn shape(&self) -> BlockedShape {
        self.shape
    }

    /// The vectors (N, C/16, H, W).
    #[must_use]
    pub fn vectors(&self) -> &[Vector] {
        self.vectors.items().as_flattened()
    }

    /// The vectors (N, C/16, H, W), mutable. Zeros that pad the last block must stay zeros.
    #[must_use]
    pub fn vectors_mut(&mut self) -> &mut [Vector] {
        self.vectors.items_mut().as_flattened_mut()
    }
}

impl Clone for BlockedTensor {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.shape);
        copy.vectors_mut().copy_from_slice(self.vectors());
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_last_and_blocks_are_two_orders_of_the_same_numbers() {
        let shape = BlockedShape {
            n: 2,
            channels: 19,
            height: 3,
            width: 2,
        };
        let values: Vec<f32> = (0..2 * 6 * 19).map(|i| i as f32).collect();
        let tensor = BlockedTensor::from_channels_last(&values, shape);
        // Picture 1, block 1, position 4, its third lane: channel 18.
        let vector = tensor.vectors()[12 + 6 + 4];
        assert_eq!(vector[2], ((6 + 4) * 19 + 18) as f32);
        assert_eq!(vector[3..], [0.0; 13]);
        assert_eq!(tensor.clone().to_channels_last(), values);
    }
}
