//! Numbers on the command line, and how large they may be.

/// The most threads: more than any machine has cores, and few enough to be started.
const MAX_THREADS: usize = 1024;

/// The most pictures in a batch: beyond that, more is slower, and takes gigabytes.
const MAX_BATCH: usize = 4096;

/// A number that is at least 1.
pub fn positive(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(0) => Err("it must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}

/// A number of threads, or of what takes a thread each.
pub fn threads(text: &str) -> Result<usize, String> {
    up_to(MAX_THREADS, text)
}

/// Pictures in a batch.
pub fn batch_size(text: &str) -> Result<usize, String> {
    up_to(MAX_BATCH, text)
}

fn up_to(max: usize, text: &str) -> Result<usize, String> {
    match positive(text)? {
        number if number > max => Err(format!("it must be 1 to {max}")),
        number => Ok(number),
    }
}

/// A number of pixels, perhaps in millions, as `50M`.
pub fn pixels(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.strip_suffix('M') {
        Some(number) => (number, 1_000_000),
        None => (text, 1),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "it is no number of pixels, as 50M or 50000000".to_owned())?;
    match number.checked_mul(unit) {
        Some(0) => Err("it must be at least 1".to_owned()),
        Some(number) => Ok(number),
        None => Err("it is too large".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use cnn_codes::picture::DecodeLimits;

    use super::*;

    #[test]
    fn the_default_number_of_pixels_is_the_librarys() {
        assert_eq!(pixels("50M"), Ok(DecodeLimits::default().max_pixels));
    }

    #[test]
    fn pixels_are_counted_in_ones_or_millions() {
        assert_eq!(pixels("200M"), Ok(200_000_000));
        assert_eq!(pixels("1234"), Ok(1234));
        for wrong in ["", "M", "0", "0M", "-1", "1.5M", "1G", "99999999999999M"] {
            assert!(pixels(wrong).is_err(), "{wrong}");
        }
    }
}
