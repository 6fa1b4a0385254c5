//! Products summed over positions, used for gradients of filters.

use super::products::Row;
use crate::instructions::{InstructionSet, Kernel, LANES, Lanes, Vector};

/// Input channels whose sums stay in registers, if there are 32: with 2 vectors for each, 16 sums.
const MANY: usize = 8;

/// Input channels whose sums stay in 16 registers of half a vector: 12 of these.
const FEW: usize = 6;

/// sums (16, W) += inputs^T (16, positions) d_outputs (positions, W), W in vectors of 16 channels.
pub(super) struct OverPositions<'a, const W: usize> {
    /// Of 16 input channels, for each position.
    pub(super) inputs: &'a [Vector],
    /// For each position.
    pub(super) d_outputs: &'a [Row<W>],
    /// For each input channel.
    pub(super) sums: &'a mut [Row<W>; LANES],
}

impl<const W: usize> Kernel for OverPositions<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<L: InstructionSet>(mut self) {
        // Each sum is over the positions in order, whatever number is processed at a time.
        if L::HAS_MANY_REGISTERS {
            self.some::<L, MANY>(0);
            self.some::<L, MANY>(MANY);
        } else {
            self.some::<L, FEW>(0);
            self.some::<L, { FEW - 1 }>(FEW);
            self.some::<L, { FEW - 1 }>(2 * FEW - 1);
        }
    }
}

impl<const W: usize> OverPositions<'_, W> {
    /// Adds to the sums of C input channels from `first` on.
    #[inline(always)]
    fn some<L: Lanes, const C: usize>(&mut self, first: usize) {
        let mut sums = [[L::splat(0.0); W]; C];
        for (inputs, d_outputs) in self.inputs.iter().zip(self.d_outputs) {
            let inputs: &[f32; C] = inputs[first..].first_chunk().expect("C of 16 channels");
            let mut loaded = [L::splat(0.0); W];
            for (loaded, d_output) in loaded.iter_mut().zip(d_outputs) {
                *loaded = L::load(d_output);
            }
            for (sums, &input) in sums.iter_mut().zip(inputs) {
                let input = L::splat(input);
                for (sum, d_output) in sums.iter_mut().zip(loaded) {
                    *sum = input.mul_add(d_output, *sum);
                }
            }
        }
        for (sums, all) in sums.iter().zip(&mut self.sums[first..]) {
            for (sum, all) in sums.iter().zip(all) {
                L::load(all).add(*sum).store(all);
            }
        }
    }
}
