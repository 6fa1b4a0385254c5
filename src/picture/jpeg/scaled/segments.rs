//! Tables and headers before the scan (ITU-T T.81, annex B).

use super::huffman::Codes;

/// Sequential pictures of 8 bits: the frame headers of baseline and of extended sequential, with Huffman codes.
const FRAMES: [u8; 2] = [0xC0, 0xC1];
const HUFFMAN: u8 = 0xC4;
const QUANTIZATION: u8 = 0xDB;
const RESTART_INTERVAL: u8 = 0xDD;
const SCAN: u8 = 0xDA;
const ADOBE: u8 = 0xEE;
/// Adobe's number for YCbCr.
const YCBCR: u8 = 1;

/// For each frequency, in the order of the file, its index in a block stored row by row.
pub(super) const PLACES: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The data known before the scan.
pub(super) struct Segments<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    /// One (grey) or three (Y, Cb and Cr).
    pub(super) components: Vec<Component>,
    /// Units of the scan between restarts; 0 for none.
    pub(super) restart_interval: usize,
    /// All that follows the scan's header.
    pub(super) compressed: &'a [u8],
}

/// A plane of the picture.
pub(super) struct Component {
    /// Blocks across and down in a unit, 1 or 2.
    pub(super) across: usize,
    pub(super) down: usize,
    /// What frequencies are multiplied by, in the order of the file.
    pub(super) steps: [f32; 64],
    pub(super) first: Codes,
    pub(super) others: Codes,
}

/// The tables read so far.
#[derive(Default)]
struct Tables {
    steps: [Option<[f32; 64]>; 4],
    firsts: [Option<Codes>; 4],
    others: [Option<Codes>; 4],
}

/// What the frame header says.
struct Frame {
    width: u32,
    height: u32,
    components: Vec<Described>,
}

/// A component as the frame header describes it.
struct Described {
    id: u8,
    /// Blocks across and down in a unit.
    across: usize,
    down: usize,
    /// Its index in [`Tables::steps`].
    steps: usize,
}

impl<'a> Segments<'a> {
    /// Reads up to the scan; `None` if the picture is not of a kind that is decoded here.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(&[0xFF, 0xD8])?;
        let mut tables = Tables::default();
        let mut frame = None;
        let mut restart_interval = 0;
        loop {
            let &[255, marker, high, low, ..] = rest else {
                return None;
            };
            if marker == 255 {
                // Fill bytes before a marker.
                rest = &rest[1..];
                continue;
            }
            let length = usize::from(u16::from_be_bytes([high, low]));
            let body = rest.get(4..2 + length)?;
            rest = &rest[2 + length..];
            match marker {
                HUFFMAN => tables.take_codes(body)?,
                QUANTIZATION => tables.take_steps(body)?,
                RESTART_INTERVAL => {
                    restart_interval = usize::from(u16::from_be_bytes(*body.first_chunk()?));
                }
                ADOBE if body.starts_with(b"Adobe") && body.get(11) != Some(&YCBCR) => return None,
                SCAN => {
                    let frame: Frame = frame?;
                    return Some(Self {
                        width: frame.width,
                        height: frame.height,
                        components: components(body, &frame.components, &tables)?,
                        restart_interval,
                        compressed: rest,
                    });
                }
                marker if FRAMES.contains(&marker) && frame.is_none() => {
                    frame = Some(Frame::read(body)?);
                }
                // Other kinds of frame, and frames whose height is only given at the end.
                0xC0..=0xCF | 0xDC => return None,
                _ => {}
            }
        }
    }
}

impl Frame {
    /// Reads a frame header; `None` if the picture is not of a kind that is decoded here.
    fn read(body: &[u8]) -> Option<Self> {
        let (&[8, h1, h0, w1, w0, n], components) = body.split_first_chunk()? else {
            return None;
        };
        let (components, []) = components.as_chunks::<3>() else {
            return None;
        };
        if components.len() != usize::from(n) || !matches!(n, 1 | 3) {
            return None;
        }
        let components = components.iter().map(|&[id, blocks, steps]| Described {
            id,
            // A single plane has one block per unit, whatever the header says (A.2.2).
            across: if n == 1 { 1 } else { usize::from(blocks >> 4) },
            down: if n == 1 { 1 } else { usize::from(blocks & 15) },
            steps: usize::from(steps),
        });
        let components: Vec<_> = components.collect();
        let side = |high, low| u32::from(u16::from_be_bytes([high, low]));
        let (width, height) = (side(w1, w0), side(h1, h0));
        // The channels are named after colours, so they are not YCbCr.
        let is_rgb = components.iter().map(|component| component.id).eq(*b"RGB");
        let is_taken = |component: &Described| {
            (1..=2).contains(&component.across) && (1..=2).contains(&component.down)
        };
        let is_taken = !is_rgb && width > 0 && height > 0 && components.iter().all(is_taken);
        is_taken.then_some(Self {
            width,
            height,
            components,
        })
    }
}

/// The components of a scan that has all of them, in their order, with all of their frequencies.
fn components(scan: &[u8], described: &[Described], tables: &Tables) -> Option<Vec<Component>> {
    let (&n, rest) = scan.split_first()?;
    let (chosen, rest) = rest.split_at_checked(2 * usize::from(n))?;
    if usize::from(n) != described.len() || rest != [0, 63, 0] {
        return None;
    }
    let pairs = described.iter().zip(chosen.as_chunks::<2>().0);
    let component = |(described, &[chosen, codes]): (&Described, &[u8; 2])| {
        let (first, others) = (usize::from(codes >> 4), usize::from(codes & 15));
        let component = Component {
            across: described.across,
            down: described.down,
            steps: (*tables.steps.get(described.steps)?)?,
            first: tables.firsts.get(first)?.clone()?,
            others: tables.others.get(others)?.clone()?,
        };
        (chosen == described.id).then_some(component)
    };
    let components: Vec<_> = pairs.map(component).collect::<Option<_>>()?;
    // The first plane has the most samples.
    let largest = components.iter().map(|of| of.across).max() == Some(components[0].across)
        && components.iter().map(|of| of.down).max() == Some(components[0].down);
    largest.then_some(components)
}

impl Tables {
    fn take_codes(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = body.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let n = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(n)?;
            let tables = match kind >> 4 {
                0 => &mut self.firsts,
                1 => &mut self.others,
                _ => return None,
            };
            *tables.get_mut(usize::from(kind & 15))? = Some(Codes::new(counts, symbols)?);
            body = rest;
        }
        Some(())
    }

    fn take_steps(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = body.split_first() {
            let width = 1 + usize::from(kind >> 4);
            let (steps, rest) = rest.split_at_checked(64 * width)?;
            let steps = match width {
                1 => std::array::from_fn(|at| f32::from(steps[at])),
                2 => std::array::from_fn(|at| {
                    f32::from(u16::from_be_bytes([steps[2 * at], steps[2 * at + 1]]))
                }),
                _ => return None,
            };
            *self.steps.get_mut(usize::from(kind & 15))? = Some(steps);
            body = rest;
        }
        Some(())
    }
}
