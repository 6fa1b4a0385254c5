//! Prefetches memory before it is needed.

/// Numbers of a cache line.
const LINE: usize = 16;

/// Prefetches the numbers that lie `ahead` of these, in as many lines as these have. They need not
/// exist.
///
/// A thread that computes with each number it reads has too few reads in flight to keep the memory
/// busy.
#[inline(always)]
pub(super) fn prefetch(values: &[f32], ahead: usize) {
    for start in (0..values.len()).step_by(LINE) {
        prefetch_line(values.as_ptr().wrapping_add(start + ahead));
    }
}

/// Prefetches the line with this number.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn prefetch_line(number: *const f32) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch is a hint that changes nothing and fails for no address, and every x86-64
    // has the instruction.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(number.cast()) }
}

/// Other processors: there is no stable way to prefetch.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn prefetch_line(_number: *const f32) {}
