//! Huffman codes (ITU-T T.81, annex C), decoded by tables.

use super::bits::Bits;
use super::segments::PLACES;
use super::transform::Block;

/// Number of bits by which most codes can be looked up.
const FAST: u32 = 10;

/// Number of bits that are looked up to skip symbols.
const AHEAD: u32 = 13;

/// Number of bits by which most frequencies' numbers can be looked up.
const NUMBER: u32 = 12;

/// More zeros than a block can have.
const END: u8 = 64;

/// The longest code, in bits.
const LONGEST: usize = 16;

/// A set of codes.
#[derive(Clone)]
pub(super) struct Codes {
    /// By the next [`FAST`] bits: length of the code and its symbol; length 0 for longer codes.
    fast: Box<[(u8, u8)]>,
    /// One more than the last code of each length, shifted to 16 bits; lengths from 0 on.
    ends: [u32; LONGEST + 1],
    /// For each length, what to add to a code to get the index of its symbol.
    offsets: [i32; LONGEST + 1],
    symbols: Vec<u8>,
}

/// The codes of frequencies, with tables that read several parts at once.
pub(super) struct Frequencies {
    codes: Codes,
    /// By the next [`NUMBER`] bits.
    numbers: Box<[Number; 1 << NUMBER]>,
    /// By the next [`AHEAD`] bits.
    passing: Box<[Passed; 1 << AHEAD]>,
}

/// What a sequence of [`NUMBER`] bits begins with: a frequency's symbol and its number.
#[derive(Clone, Copy, Default)]
struct Number {
    value: i16,
    /// Length of both in bits; 0 if they are longer than [`NUMBER`].
    bits: u8,
    /// Zeros before the number; [`END`] at the end of a block.
    zeros: u8,
}

/// What a sequence of [`AHEAD`] bits begins with: whole symbols of a block, with their numbers.
#[derive(Clone, Copy, Default)]
struct Passed {
    /// Length of the symbols in bits; 0 if not even one is whole.
    bits: u8,
    /// Frequencies that they stand for.
    frequencies: u8,
    /// Whether the last one ends the block.
    ends: bool,
}

impl Codes {
    /// Builds the codes from the number of codes of each length, 1 to 16, and their symbols in
    /// order; `None` if these are no valid codes.
    pub(super) fn new(counts: &[u8; LONGEST], symbols: &[u8]) -> Option<Self> {
        let (mut code, mut place) = (0_u32, 0_usize);
        let mut codes = Self {
            fast: vec![(0, 0); 1 << FAST].into(),
            ends: [0; LONGEST + 1],
            offsets: [0; LONGEST + 1],
            symbols: symbols.to_vec(),
        };
        for (length, &count) in (1..).zip(counts) {
            codes.offsets[length] = place as i32 - code as i32;
            for _ in 0..count {
                let symbol = *symbols.get(place)?;
                if length <= FAST as usize {
                    let first = (code as usize) << (FAST as usize - length);
                    let n = 1 << (FAST as usize - length);
                    codes
                        .fast
                        .get_mut(first..first + n)?
                        .fill((length as u8, symbol));
                }
                code += 1;
                place += 1;
            }
            if code > 1 << length {
                return None;
            }
            codes.ends[length] = code << (LONGEST - length);
            code <<= 1;
        }
        (place == symbols.len()).then_some(codes)
    }

    /// The symbol of the next code, and the code's length; `None` if there is no such code. 16 bits
    /// must be ready.
    #[inline(always)]
    fn look(&self, next: usize) -> Option<(u32, u8)> {
        let (length, symbol) = self.fast[next >> (LONGEST as u32 - FAST)];
        if length > 0 {
            return Some((length.into(), symbol));
        }
        self.look_longer(next)
    }

    #[cold]
    fn look_longer(&self, next: usize) -> Option<(u32, u8)> {
        let mut lengths = FAST as usize + 1..=LONGEST;
        let length = lengths.find(|&length| (next as u32) < self.ends[length])?;
        let place = (next >> (LONGEST - length)) as i32 + self.offsets[length];
        let symbol = self.symbols.get(usize::try_from(place).ok()?)?;
        Some((length as u32, *symbol))
    }

    /// Takes the next symbol; 16 bits must be ready.
    #[inline(always)]
    pub(super) fn symbol(&self, bits: &mut Bits) -> Option<u8> {
        let (length, symbol) = self.look(bits.peek::<16>())?;
        bits.skip(length);
        Some(symbol)
    }

    /// What each sequence of [`NUMBER`] bits begins with.
    fn numbers(&self) -> Box<[Number; 1 << NUMBER]> {
        let number = |next: usize| {
            let next = next << (LONGEST as u32 - NUMBER);
            let known = self.look(next).filter(|&(_, symbol)| !is_unknown(symbol));
            let Some((length, symbol)) = known.filter(|&(length, symbol)| {
                symbol != 0xF0 && length + u32::from(symbol & 15) <= NUMBER
            }) else {
                return Number::default();
            };
            let mut rest = Bits::new(&[]);
            rest.put((next << length & 0xFFFF) as u16);
            Number {
                value: rest.signed(u32::from(symbol & 15)) as i16,
                bits: length as u8 + (symbol & 15),
                zeros: if symbol == 0 { END } else { symbol >> 4 },
            }
        };
        let numbers: Vec<_> = (0..1 << NUMBER).map(number).collect();
        numbers.try_into().ok().expect("as many")
    }

    /// What each sequence of [`AHEAD`] bits begins with.
    fn passing(&self) -> Box<[Passed; 1 << AHEAD]> {
        let passed = |next: usize| {
            let mut passed = Passed::default();
            while !passed.ends {
                // The remaining bits, on top of 16.
                let left = (next << (LONGEST as u32 - AHEAD) << passed.bits) & 0xFFFF;
                let Some((length, symbol)) = self.look(left) else {
                    break;
                };
                if is_unknown(symbol) {
                    break;
                }
                let n_bits = length + u32::from(symbol & 15);
                let frequencies = passed.frequencies + (symbol >> 4) + 1;
                if u32::from(passed.bits) + n_bits > AHEAD || frequencies > 63 {
                    break;
                }
                passed.bits += n_bits as u8;
                match symbol {
                    0 => passed.ends = true,
                    _ => passed.frequencies = frequencies,
                }
            }
            passed
        };
        let passing: Vec<_> = (0..1 << AHEAD).map(passed).collect();
        passing.try_into().ok().expect("as many")
    }
}

impl Frequencies {
    pub(super) fn new(codes: Codes) -> Self {
        Self {
            numbers: codes.numbers(),
            passing: codes.passing(),
            codes,
        }
    }

    /// Reads a block's frequencies from the second on and below `n`, each multiplied by its step.
    /// Returns the index of the next frequency: 64 at the block's end; `None` if the block is
    /// irregular.
    #[inline(always)]
    pub(super) fn read(
        &self,
        bits: &mut Bits,
        steps: &[f32; 64],
        n: usize,
        block: &mut Block,
    ) -> Option<usize> {
        let mut at = 1;
        while at < n {
            bits.refill();
            let known = self.numbers[bits.peek::<NUMBER>()];
            let value = if known.bits > 0 {
                bits.skip(known.bits.into());
                at += usize::from(known.zeros);
                if at > 63 {
                    return (known.zeros == END).then_some(64);
                }
                known.value.into()
            } else {
                let symbol = self.codes.symbol(bits)?;
                if symbol == 0 {
                    return Some(64);
                }
                if is_unknown(symbol) {
                    return None;
                }
                at += usize::from(symbol >> 4);
                if at > 63 {
                    return None;
                }
                bits.signed(u32::from(symbol & 15))
            };
            block.set(PLACES[at], value as f32 * steps[at]);
            at += 1;
        }
        Some(at)
    }

    /// Skips the rest of a block, from the frequency `at` on; `false` if the block is irregular.
    #[inline(always)]
    pub(super) fn pass(&self, bits: &mut Bits, mut at: usize) -> bool {
        while at < 64 {
            bits.refill();
            let passed = self.passing[bits.peek::<AHEAD>()];
            let after = at + usize::from(passed.frequencies);
            // Several symbols may reach beyond the last frequency; the rest belong to the next
            // block.
            if passed.bits > 0 && (after < 64 || (after == 64 && !passed.ends)) {
                bits.skip(passed.bits.into());
                if passed.ends {
                    return true;
                }
                at = after;
                continue;
            }
            let Some(symbol) = self.codes.symbol(bits) else {
                return false;
            };
            if is_unknown(symbol) {
                return false;
            }
            bits.skip(u32::from(symbol & 15));
            match symbol {
                0 => return true,
                _ => at += usize::from(symbol >> 4) + 1,
            }
        }
        at == 64
    }
}

/// Whether a symbol has no number and is neither of the two without one: the block's end and 16
/// zeros.
#[inline(always)]
fn is_unknown(symbol: u8) -> bool {
    symbol & 15 == 0 && !matches!(symbol, 0 | 0xF0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes 0, 10, 110, 1110 and one of 12 bits, 1111 0000 0000, of the symbols 0 (end), 0x01 (a number of
    /// one bit), 0x12 (a zero, then two bits), 0xF0 (16 zeros) and 0x05.
    fn codes() -> Codes {
        let mut counts = [0; 16];
        counts[..4].fill(1);
        counts[11] = 1;
        Codes::new(&counts, &[0, 0x01, 0x12, 0xF0, 0x05]).unwrap()
    }

    #[test]
    fn codes_of_all_lengths_are_known() {
        let codes = codes();
        // 10 | 110 | 0 | 1111 0000 0000 | 1110 ...
        let mut bits = Bits::new(&[0b1011_0011, 0b1100_0000, 0b0011_1011]);
        bits.refill();
        let symbols: Vec<_> = (0..5).map(|_| codes.symbol(&mut bits)).collect();
        assert_eq!(
            symbols,
            [Some(0x01), Some(0x12), Some(0), Some(0x05), Some(0xF0)]
        );
        // No code begins with 1111 1111.
        let mut bits = Bits::new(&[0xFE, 0xFE, 0xFE]);
        bits.refill();
        assert_eq!(codes.symbol(&mut bits), None);
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(
            Codes::new(&counts, &[1, 2, 3]).is_none(),
            "three codes of one bit"
        );
        counts[0] = 2;
        assert!(Codes::new(&counts, &[1]).is_none(), "a symbol is missing");
        assert!(
            Codes::new(&counts, &[1, 2, 3]).is_none(),
            "a symbol too many"
        );
        assert!(Codes::new(&counts, &[1, 2]).is_some());
    }

    /// Passes over a block by single symbols.
    fn one_by_one(codes: &Codes, bits: &mut Bits, mut at: usize) -> bool {
        while at < 64 {
            bits.refill();
            let Some(symbol) = codes.symbol(bits) else {
                return false;
            };
            bits.skip(u32::from(symbol & 15));
            if symbol == 0 {
                return true;
            }
            at += usize::from(symbol >> 4) + 1;
        }
        at == 64
    }

    #[test]
    fn many_symbols_at_once_end_where_single_ones_do() {
        use rand::{Rng, SeedableRng};
        let codes = codes();
        let frequencies = Frequencies::new(codes.clone());
        let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(1);
        let (mut well, mut ill) = (0, 0);
        for _ in 0..20_000 {
            // Few ends, so that blocks are filled to the last frequency.
            let data: Vec<u8> = (0..40)
                .map(|_| rng.r#gen::<u8>() | rng.r#gen::<u8>() & 0xAA)
                .collect();
            let at = rng.gen_range(1..64);
            let (mut many, mut single) = (Bits::new(&data), Bits::new(&data));
            let is_well = frequencies.pass(&mut many, at);
            assert_eq!(is_well, one_by_one(&codes, &mut single, at));
            if is_well {
                many.refill();
                single.refill();
                assert_eq!(many.peek::<32>(), single.peek::<32>());
                well += 1;
            } else {
                ill += 1;
            }
        }
        assert!(well > 1000 && ill > 1000, "{well} {ill}");
    }
}
