//! Arrays of vectors that begin at a cache line.

use std::marker::PhantomData;

use crate::instructions::{LANES, Vector};

/// An array of `T`, each of whole cache lines, that begins at a cache line.
#[derive(Debug)]
pub(super) struct AlignedBuffer<T> {
    lines: Vec<CacheLine>,
    items: PhantomData<T>,
}

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct CacheLine(Vector);

/// Arrays of vectors.
pub(super) trait Vectors: Copy {}
impl<const N: usize> Vectors for [Vector; N] {}

impl<T> Default for AlignedBuffer<T> {
    fn default() -> Self {
        Self {
            lines: Vec::new(),
            items: PhantomData,
        }
    }
}

impl<T: Vectors> AlignedBuffer<T> {
    pub(super) fn zeros(len: usize) -> Self {
        let lines = size_of::<T>() / size_of::<CacheLine>();
        Self {
            lines: vec![CacheLine([0.0; LANES]); len * lines],
            items: PhantomData,
        }
    }

    pub(super) fn items(&self) -> &[T] {
        let len = size_of_val(self.lines.as_slice()) / size_of::<T>();
        // SAFETY: a `T` is an array of vectors, of whole lines, and every number is initialized.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), len) }
    }

    pub(super) fn items_mut(&mut self) -> &mut [T] {
        let len = size_of_val(self.lines.as_slice()) / size_of::<T>();
        // SAFETY: as in `items`, and borrowed for writing.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), len) }
    }

    /// The first `len` items, after growing where they are fewer. What they hold is left over.
    pub(super) fn at_least(&mut self, len: usize) -> &mut [T] {
        if self.items().len() < len {
            *self = Self::zeros(len);
        }
        &mut self.items_mut()[..len]
    }
}
