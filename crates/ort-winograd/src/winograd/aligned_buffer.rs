//! Arrays of vectors that begin at a cache line.

use std::marker::PhantomData;

use crate::instructions::{LANES, Vector};

/// Bytes of a cache line, which is a vector.
const LINE: usize = size_of::<Vector>();

/// An array that begins at a cache line; each `T` consists of whole cache lines.
#[derive(Debug)]
pub(super) struct AlignedBuffer<T> {
    /// The numbers, and some spare ones for the alignment.
    numbers: Vec<f32>,
    first: usize,
    items: PhantomData<T>,
}

/// Arrays of vectors.
pub(super) trait Vectors: Copy {
    /// Number of vectors in one.
    const N: usize;

    fn of(vectors: &[Vector]) -> &[Self];

    fn of_mut(vectors: &mut [Vector]) -> &mut [Self];
}

impl<const N: usize> Vectors for [Vector; N] {
    const N: usize = N;

    fn of(vectors: &[Vector]) -> &[Self] {
        vectors.as_chunks().0
    }

    fn of_mut(vectors: &mut [Vector]) -> &mut [Self] {
        vectors.as_chunks_mut().0
    }
}

impl<T> Default for AlignedBuffer<T> {
    fn default() -> Self {
        Self {
            numbers: Vec::new(),
            first: 0,
            items: PhantomData,
        }
    }
}

impl<T: Vectors> AlignedBuffer<T> {
    pub(super) fn zeros(len: usize) -> Self {
        if len == 0 {
            return Self::default();
        }
        let n_numbers = len * T::N * LANES;
        // Zeros from the system: no page is touched here.
        let mut numbers = vec![0.0; n_numbers + LANES];
        let first = numbers.as_ptr().align_offset(LINE).min(LANES);
        numbers.truncate(first + n_numbers);
        Self {
            numbers,
            first,
            items: PhantomData,
        }
    }

    pub(super) fn items(&self) -> &[T] {
        T::of(self.numbers[self.first..].as_chunks().0)
    }

    pub(super) fn items_mut(&mut self) -> &mut [T] {
        T::of_mut(self.numbers[self.first..].as_chunks_mut().0)
    }

    /// Resizes it to `len` items. Their contents are old values or zeros.
    pub(super) fn resize(&mut self, len: usize) {
        if self.items().len() != len {
            *self = Self::zeros(len);
        }
    }

    /// The first `len` items, after growing if there are fewer. Their contents are old values.
    pub(super) fn at_least(&mut self, len: usize) -> &mut [T] {
        if self.items().len() < len {
            *self = Self::zeros(len);
        }
        &mut self.items_mut()[..len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_at_a_line_and_are_zeros() {
        for len in [0, 1, 3, 40_000] {
            let mut buffer = AlignedBuffer::<[Vector; 3]>::zeros(len);
            assert_eq!(buffer.items().len(), len);
            assert!(len == 0 || buffer.items().as_ptr().align_offset(LINE) == 0);
            assert!(
                buffer
                    .items()
                    .as_flattened()
                    .as_flattened()
                    .iter()
                    .all(|&number| number == 0.0)
            );
            buffer.items_mut().fill([[1.0; LANES]; 3]);
            assert_eq!(buffer.at_least(len + 1).len(), len + 1);
        }
    }
}
