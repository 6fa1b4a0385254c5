//! Arrays that begin at a cache line.

use ndarray::{Array, Array1, Dimension, s};

/// Bytes of a cache line, and of the longest vectors.
const LINE: usize = 64;

/// Zeros in C order that begin at a cache line.
///
/// A vector of 64 bytes that crosses a line needs two accesses. Allocators put large arrays 16
/// bytes after a line, so every vector would cross one.
pub(in crate::head) fn aligned_zeros<D: Dimension>(dim: D) -> Array<f32, D> {
    let room = LINE / size_of::<f32>();
    let len = dim.size();
    let buffer = Array1::<f32>::zeros(len + room);
    // If the alignment is unknown, any start will do.
    let start = buffer.as_ptr().align_offset(LINE).min(room);
    buffer
        .slice_move(s![start..start + len])
        .into_shape_with_order(dim)
        .expect("it is as long as that")
}

#[cfg(test)]
mod tests {
    use ndarray::{Ix2, Ix3};

    use super::*;

    #[test]
    fn arrays_begin_at_a_line_and_are_in_c_order() {
        for n in [1, 7, 16, 1000] {
            let array = aligned_zeros(Ix2(n, 3));
            assert_eq!(array.dim(), (n, 3));
            assert_eq!(array.as_slice().unwrap(), vec![0.0; 3 * n]);
            assert_eq!(array.as_ptr().addr() % LINE, 0);
            assert_eq!(aligned_zeros(Ix3(2, n, 5)).dim(), (2, n, 5));
        }
    }
}
