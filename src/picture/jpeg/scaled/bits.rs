//! The bits of a scan.

/// Bytes that are read at a time.
const WORD: usize = 8;

/// Reads the bits of the compressed data, from the first on. A 0 after a byte of 255 is stuffing;
/// any other byte after it makes a marker, which ends the data.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// The byte that comes after those in `buffer`.
    at: usize,
    /// The bits to come, the first one on top. Bits below the `n` valid ones are zeros or later
    /// bits.
    buffer: u64,
    n: u32,
    /// How many of the last bits are made up because the data ended.
    made_up: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            at: 0,
            buffer: 0,
            n: 0,
            made_up: 0,
        }
    }

    /// Makes at least 32 bits ready.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        if self.n >= 32 {
            return;
        }
        if let Some(word) = self
            .data
            .get(self.at..)
            .and_then(|data| data.first_chunk::<WORD>())
        {
            let word = u64::from_be_bytes(*word);
            if !has_255(word) {
                self.buffer |= word >> self.n;
                let n_bytes = (63 - self.n) / 8;
                self.at += n_bytes as usize;
                self.n += 8 * n_bytes;
                return;
            }
        }
        self.refill_by_bytes();
    }

    #[cold]
    #[inline(never)]
    fn refill_by_bytes(&mut self) {
        // Bytes that were read ahead are read again.
        self.buffer &= !(u64::MAX.checked_shr(self.n).unwrap_or(0));
        while self.n <= 56 {
            let byte = match (self.data.get(self.at), self.data.get(self.at + 1)) {
                (Some(255), Some(0)) => {
                    self.at += 2;
                    255
                }
                (Some(255) | None, _) => {
                    self.made_up += 8;
                    0
                }
                (Some(&byte), _) => {
                    self.at += 1;
                    byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.n);
            self.n += 8;
        }
    }

    /// The next N bits, at most 32, which must be ready.
    #[inline(always)]
    pub(super) fn peek<const N: u32>(&self) -> usize {
        (self.buffer >> (64 - N)) as usize
    }

    /// Puts these bits before the others.
    pub(super) fn put(&mut self, first: u16) {
        self.buffer = u64::from(first) << 48;
        self.n = 16;
    }

    /// Skips bits, which must be ready.
    #[inline(always)]
    pub(super) fn skip(&mut self, n: u32) {
        self.buffer <<= n;
        self.n -= n;
    }

    /// Takes `n` bits, at most 16, as a number of that many digits in which the first bit is the sign
    /// (ITU-T T.81, F.2.2.1).
    #[inline(always)]
    pub(super) fn signed(&mut self, n: u32) -> i32 {
        // In two steps, as no number can be shifted by 64.
        let number = (self.buffer >> 1 >> (63 - n)) as i32;
        // All ones if the first bit is 0. Without a branch this is faster, because the bit cannot
        // be predicted.
        let is_negative = !((self.buffer as i64) >> 63) as i32;
        self.skip(n);
        number + (is_negative & (1 - (1 << n)))
    }

    /// Whether more bits were taken than the data has.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.made_up > self.n
    }

    /// Moves behind the next restart marker; `false` if it is missing or has another number.
    pub(super) fn restart(&mut self, number: u8) -> bool {
        // The rest of the last byte is filled with ones; whole bytes do not belong to this
        // interval.
        let is_at_end = self.n - self.made_up < 8;
        self.buffer = 0;
        self.n = 0;
        self.made_up = 0;
        let marker = self.data.get(self.at..self.at + 2);
        self.at += 2;
        is_at_end && marker == Some(&[255, 0xD0 + number])
    }
}

/// Whether one of the bytes is 255.
#[inline(always)]
fn has_255(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    (!word).wrapping_sub(ONES) & word & (ONES << 7) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffed_zeros_are_left_out_and_a_marker_ends_the_data() {
        let data = [
            0x12, 0xFF, 0x00, 0x34, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0xFF, 0x00, 0xFF, 0xD9, 0x55,
        ];
        let mut bits = Bits::new(&data);
        let mut bytes = Vec::new();
        for _ in 0..14 {
            bits.refill();
            bytes.push(bits.peek::<8>() as u8);
            bits.skip(8);
            assert!(!bits.is_overdrawn());
        }
        assert_eq!(
            bytes,
            [0x12, 0xFF, 0x34, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0xFF]
        );
        bits.refill();
        assert_eq!(bits.peek::<8>(), 0);
        bits.skip(1);
        assert!(bits.is_overdrawn());
    }

    #[test]
    fn numbers_below_half_are_negative() {
        // 4 bits each: 0101 is -10, 1000 is 8; none are 0.
        let mut bits = Bits::new(&[0b0101_1000, 0]);
        bits.refill();
        assert_eq!(
            [bits.signed(4), bits.signed(4), bits.signed(0)],
            [-10, 8, 0]
        );
    }

    #[test]
    fn a_restart_comes_where_the_data_end_and_with_its_number() {
        let restarted = |n_read: u32, number: u8| {
            let mut bits = Bits::new(&[1, 2, 0xFF, 0xD3, 7, 7, 7, 7, 7, 7, 7, 7]);
            bits.refill();
            bits.skip(n_read);
            let there = bits.restart(number);
            bits.refill();
            (there, bits.peek::<8>())
        };
        assert_eq!(restarted(13, 3), (true, 7));
        assert!(!restarted(13, 4).0);
        assert!(!restarted(7, 3).0, "a byte was not read");
    }
}
