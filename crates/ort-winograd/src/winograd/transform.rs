//! The transforms of F(4x4, 3x3), for one tile each.
//!
//! With the points 0, a, -a, b, -b and infinity, the one-dimensional F(4, 3) is
//! y = A^T ((G g) * (B^T d)): d has 6 numbers, g 3, y 4. Two dimensions take each transform twice,
//! along the columns and along the rows.

use crate::instructions::Lanes;

/// Numbers along a side of a tile's input and of its transforms.
pub(super) const SIDE: usize = 6;

/// Numbers in a transformed tile: products for each pair of channels.
pub(super) const POINTS: usize = SIDE * SIDE;

/// Numbers along a side of a filter.
pub(super) const FILTER_SIDE: usize = 3;

/// Outputs along a side of a tile.
pub(super) const STEP: usize = 4;

/// The points a and b.
///
/// Of the pairs that were tried, this one loses the fewest digits: on 128 channels of half-normal
/// numbers, 8.3e-7 of the result by Frobenius norm. The usual 1 and 2 lose 1.8e-6, the points 0, 1,
/// -1, 1/2, -2 of Barabasz and others 1.2e-6, and a direct sum 2e-7. Pairs of points of both signs
/// share half of the operations, and these points are short in binary, so that the transforms'
/// factors are exact.
const A: f32 = 0.625;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;

/// The finite points, in the order of the transforms' rows.
const FINITE: [f32; SIDE - 1] = [0.0, A, -A, B, -B];

/// For each finite point, one over the product of its differences from the others.
const SCALES: [f32; SIDE - 1] = {
    let mut scales = [1.0; SIDE - 1];
    let mut row = 0;
    while row < scales.len() {
        let mut other = 0;
        while other < scales.len() {
            if other != row {
                scales[row] /= FINITE[row] - FINITE[other];
            }
            other += 1;
        }
        row += 1;
    }
    scales
};

/// Row ROW of G g G^T (6, 6) of filters g (3, 3).
///
/// G's row for a point x is (1, x, x^2) / N, where N is the product of the differences of x from
/// the other finite points; the last row is (0, 0, 1).
#[inline(always)]
pub(super) fn filters_row<L: Lanes, const ROW: usize>(g: &[[L; 3]; 3]) -> [L; SIDE] {
    let [top, middle, bottom] = *g;
    // Loops instead of closures, which may be compiled separately and without the instructions.
    let mut row = bottom;
    if ROW < FINITE.len() {
        for x in 0..3 {
            row[x] = filters_1d(top[x], middle[x], bottom[x], ROW);
        }
    }
    let [left, centre, right] = row;
    let mut transformed = [right; SIDE];
    for (x, transformed) in transformed[..FINITE.len()].iter_mut().enumerate() {
        *transformed = filters_1d(left, centre, right, x);
    }
    transformed
}

/// The number of G g for a finite point.
#[inline(always)]
fn filters_1d<L: Lanes>(g0: L, g1: L, g2: L, point: usize) -> L {
    let (x, scale) = (FINITE[point], SCALES[point]);
    let even = L::splat(x * x).mul_add(g2, g0);
    L::splat(x).mul_add(g1, even).mul(L::splat(scale))
}

/// B^T d: a row's numbers are the coefficients of the product of (x - y) over the other finite
/// points y.
#[inline(always)]
pub(super) fn input_1d<L: Lanes>(d: [L; SIDE]) -> [L; SIDE] {
    let (a, b) = (L::splat(A), L::splat(B));
    let (minus_a, minus_b) = (L::splat(-A), L::splat(-B));
    let (minus_a2, minus_b2) = (L::splat(-A2), L::splat(-B2));
    let (a2b2, minus_sum) = (L::splat(A2 * B2), L::splat(-(A2 + B2)));
    let [d0, d1, d2, d3, d4, d5] = d;
    let (even_a, odd_a) = (minus_b2.mul_add(d2, d4), minus_b2.mul_add(d1, d3));
    let (even_b, odd_b) = (minus_a2.mul_add(d2, d4), minus_a2.mul_add(d1, d3));
    [
        a2b2.mul_add(d0, minus_sum.mul_add(d2, d4)),
        a.mul_add(odd_a, even_a),
        minus_a.mul_add(odd_a, even_a),
        b.mul_add(odd_b, even_b),
        minus_b.mul_add(odd_b, even_b),
        a2b2.mul_add(d1, minus_sum.mul_add(d3, d5)),
    ]
}

/// A^T m: row i's numbers are the i-th powers of the finite points; the last product is only added
/// to the last row.
#[inline(always)]
pub(super) fn output_1d<L: Lanes>(m: [L; SIDE]) -> [L; STEP] {
    let [m0, m1, m2, m3, m4, m5] = m;
    let (even_a, odd_a) = (m1.add(m2), m1.sub(m2));
    let (even_b, odd_b) = (m3.add(m4), m3.sub(m4));
    [
        m0.add(even_a).add(even_b),
        L::splat(A).mul_add(odd_a, L::splat(B).mul(odd_b)),
        L::splat(A2).mul_add(even_a, L::splat(B2).mul(even_b)),
        L::splat(A2 * A).mul_add(odd_a, L::splat(B2 * B).mul_add(odd_b, m5)),
    ]
}

/// A d: a row's numbers are the powers of its finite point; the last is the last of d. The
/// transpose of [`output_1d`], for gradients of outputs.
#[inline(always)]
pub(super) fn d_output_1d<L: Lanes>(d: [L; STEP]) -> [L; SIDE] {
    let [d0, d1, d2, d3] = d;
    let (even_a, even_b) = (L::splat(A2).mul_add(d2, d0), L::splat(B2).mul_add(d2, d0));
    let odd_a = L::splat(A).mul(L::splat(A2).mul_add(d3, d1));
    let odd_b = L::splat(B).mul(L::splat(B2).mul_add(d3, d1));
    [
        d0,
        even_a.add(odd_a),
        even_a.sub(odd_a),
        even_b.add(odd_b),
        even_b.sub(odd_b),
        d3,
    ]
}

/// G^T u: the transpose of [`filters_1d`], for gradients of filters.
#[inline(always)]
pub(super) fn d_filter_1d<L: Lanes>(u: [L; SIDE]) -> [L; FILTER_SIDE] {
    let [u0, u1, u2, u3, u4, u5] = u;
    // Points that differ only in sign have the same scale.
    let (scale_a, scale_b) = (L::splat(SCALES[1]), L::splat(SCALES[3]));
    let (even_a, odd_a) = (scale_a.mul(u1.add(u2)), scale_a.mul(u1.sub(u2)));
    let (even_b, odd_b) = (scale_b.mul(u3.add(u4)), scale_b.mul(u3.sub(u4)));
    [
        L::splat(SCALES[0]).mul_add(u0, even_a.add(even_b)),
        L::splat(A).mul_add(odd_a, L::splat(B).mul(odd_b)),
        L::splat(A2).mul_add(even_a, L::splat(B2).mul_add(even_b, u5)),
    ]
}
