//! Decodes the blocks of a scan into planes.

use ort_winograd::{InstructionSet, Instructions, Kernel};

use super::Reduction;
use super::bits::Bits;
use super::huffman::Frequencies;
use super::segments::{Component, PLACES, Segments};
use super::transform::{Block, Transform};

/// The planes of a picture, all of the same size: rows of levels, reaching beyond the picture's
/// border.
pub(super) struct Planes {
    planes: Vec<Vec<u8>>,
    /// Samples in a row.
    stride: usize,
}

/// A component that is being decoded into a plane.
struct Reader<'a> {
    component: &'a Component,
    transform: Transform,
    /// The number of frequencies, in the order of the file, up to the last one that the samples
    /// need.
    n_taken: usize,
    frequencies: Frequencies,
    /// The constant term of the previous block.
    constant: i32,
}

impl Planes {
    /// Reads the whole scan; `None` if it is irregular.
    pub(super) fn read(segments: &Segments, reduction: Reduction) -> Option<Self> {
        Instructions::detect().run(Scan {
            segments,
            reduction,
        })
    }
}

/// The scan to read.
struct Scan<'a> {
    segments: &'a Segments<'a>,
    reduction: Reduction,
}

impl Kernel for Scan<'_> {
    type Output = Option<Planes>;

    #[inline(always)]
    fn run<S: InstructionSet>(self) -> Option<Planes> {
        let Self {
            segments,
            reduction,
        } = self;
        let first = &segments.components[0];
        let (across, down) = (first.across, first.down);
        let units_across = (segments.width as usize).div_ceil(8 * across);
        let units_down = (segments.height as usize).div_ceil(8 * down);
        let n = reduction.samples();
        // A plane of fewer blocks gets more samples per block, so that all planes have the same
        // size.
        let reader = |component| Reader::new(component, n * down, n * across);
        let mut readers: Vec<_> = segments.components.iter().map(reader).collect();
        let stride = units_across * across * n;
        let unit_rows = down * n;
        let mut planes = vec![vec![0; units_down * unit_rows * stride]; readers.len()];
        let mut bits = Bits::new(segments.compressed);
        let mut restarts = Restarts::new(segments.restart_interval);
        for unit_row in 0..units_down {
            for unit in 0..units_across {
                if restarts.is_due() {
                    if bits.is_overdrawn() || !bits.restart(restarts.number()) {
                        return None;
                    }
                    readers.iter_mut().for_each(|reader| reader.constant = 0);
                }
                let start = unit_row * unit_rows * stride + unit * across * n;
                for (reader, plane) in readers.iter_mut().zip(&mut planes) {
                    reader.unit(&mut bits, &mut plane[start..], stride)?;
                }
            }
            if bits.is_overdrawn() {
                return None;
            }
        }
        Some(Planes { planes, stride })
    }
}

impl Planes {
    /// The picture as RGB.
    pub(super) fn rgb(&self, width: usize, height: usize) -> Vec<u8> {
        let planes = self;
        Instructions::detect().run(Colours {
            planes,
            width,
            height,
        })
    }
}

/// Planes to RGB.
struct Colours<'a> {
    planes: &'a Planes,
    width: usize,
    height: usize,
}

impl Kernel for Colours<'_> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn run<S: InstructionSet>(self) -> Vec<u8> {
        let Self {
            planes: Planes { planes, stride },
            width,
            height,
        } = self;
        let mut rgb = vec![0; 3 * width * height];
        for (y, pixels) in rgb.chunks_exact_mut(3 * width).enumerate() {
            let row = y * stride..y * stride + width;
            let (pixels, _) = pixels.as_chunks_mut::<3>();
            match planes.as_slice() {
                [luma, blue, red] => {
                    let colours = blue[row.clone()].iter().zip(&red[row.clone()]);
                    let levels = luma[row].iter().zip(colours);
                    for (pixel, (&y, (&cb, &cr))) in pixels.iter_mut().zip(levels) {
                        *pixel = rgb_of(y, cb, cr);
                    }
                }
                planes => {
                    for (pixel, &level) in pixels.iter_mut().zip(&planes[0][row]) {
                        *pixel = [level; 3];
                    }
                }
            }
        }
        rgb
    }
}

/// A colour by JFIF's formula (ITU-T T.871, 7), in fixed point with 16 bits behind the point.
#[inline(always)]
fn rgb_of(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y) << 16, i32::from(cb) - 128, i32::from(cr) - 128);
    let level = |sum: i32| ((sum + 32_768) >> 16).clamp(0, 255) as u8;
    [
        level(y + 91_881 * cr),
        level(y - 22_554 * cb - 46_802 * cr),
        level(y + 116_130 * cb),
    ]
}

impl<'a> Reader<'a> {
    /// A component whose units have `height` x `width` samples.
    fn new(component: &'a Component, height: usize, width: usize) -> Self {
        let transform = Transform::new(height / component.down, width / component.across);
        let is_taken =
            |&place: &u8| transform.takes(usize::from(place / 8), usize::from(place % 8));
        let last = PLACES.iter().rposition(is_taken);
        Self {
            component,
            transform,
            n_taken: last.map_or(1, |last| last + 1),
            frequencies: Frequencies::new(component.others.clone()),
            constant: 0,
        }
    }

    /// Reads the blocks of a unit.
    #[inline(always)]
    fn unit(&mut self, bits: &mut Bits, plane: &mut [u8], stride: usize) -> Option<()> {
        for down in 0..self.component.down {
            for across in 0..self.component.across {
                let block = self.block(bits)?;
                let first = down * self.transform.height * stride + across * self.transform.width;
                self.transform.run(&block, &mut plane[first..], stride);
            }
        }
        Some(())
    }

    /// Reads the frequencies of a block that the samples need, and skips the others.
    #[inline(always)]
    fn block(&mut self, bits: &mut Bits) -> Option<Block> {
        let Component { steps, first, .. } = self.component;
        bits.refill();
        let n_bits = u32::from(first.symbol(bits)?);
        if n_bits > 11 {
            return None;
        }
        // Within 16 bits, where the file is regular.
        self.constant = self.constant.wrapping_add(bits.signed(n_bits));
        let mut block = Block::constant(self.constant as f32 * steps[0]);
        let at = self
            .frequencies
            .read(bits, steps, self.n_taken, &mut block)?;
        (at >= 64 || self.frequencies.pass(bits, at)).then_some(block)
    }
}

/// Counts the units until the next restart marker.
struct Restarts {
    interval: usize,
    /// Units until the next marker.
    left: usize,
    /// Number of markers so far.
    n: usize,
}

impl Restarts {
    fn new(interval: usize) -> Self {
        Self {
            interval,
            left: interval,
            n: 0,
        }
    }

    /// Counts a unit; returns whether a marker stands before it.
    #[inline(always)]
    fn is_due(&mut self) -> bool {
        if self.interval == 0 {
            return false;
        }
        if self.left == 0 {
            self.left = self.interval - 1;
            self.n += 1;
            return true;
        }
        self.left -= 1;
        false
    }

    /// The number of the next marker: 0 to 7, then 0 again.
    fn number(&self) -> u8 {
        ((self.n + 7) % 8) as u8
    }
}
