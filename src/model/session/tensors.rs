//! Pixels as the session's input tensor, and the session's output as codes.

use ort::value::{DynValueTypeMarker, TensorRef, ValueRef};

use super::error::TrunkError;
use crate::model::card::{CardInput, Element};
use crate::picture::Layout;

/// How many pictures of `per_picture` numbers each are in `n_numbers`.
pub(super) fn n_pictures(n_numbers: usize, per_picture: usize) -> Result<usize, TrunkError> {
    if n_numbers == 0 || !n_numbers.is_multiple_of(per_picture) {
        return Err(TrunkError::PixelCount {
            actual: n_numbers,
            per_picture,
        });
    }
    Ok(n_numbers / per_picture)
}

/// Shape of the input tensor of `n` pictures.
pub(super) fn input_shape(input: &CardInput, n: usize) -> [usize; 4] {
    let (height, width) = (input.height as usize, input.width as usize);
    match input.layout {
        Layout::ChannelsLast => [n, height, width, 3],
        Layout::ChannelsFirst => [n, 3, height, width],
    }
}

/// The input tensor of `n` pictures: `numbers`, or, for a trunk that takes bytes, `levels`.
pub(super) fn input_tensor<'a>(
    input: &CardInput,
    n: usize,
    numbers: &'a [f32],
    levels: &'a [u8],
) -> ort::Result<ValueRef<'a, DynValueTypeMarker>> {
    let shape = input_shape(input, n);
    Ok(match input.element {
        Element::Float32 => TensorRef::from_array_view((shape, numbers))?.into_dyn(),
        Element::Uint8 => TensorRef::from_array_view((shape, levels))?.into_dyn(),
    })
}

/// Numbers that are levels 0 to 255, as bytes.
pub(super) fn as_levels(tensor: &[f32]) -> Result<Vec<u8>, TrunkError> {
    // `as` saturates, so that only levels survive the round trip.
    let level = |&value: &f32| match value as u8 {
        level if f32::from(level) == value => Ok(level),
        _ => Err(TrunkError::NotALevel { value }),
    };
    tensor.iter().map(level).collect()
}

/// Turns one code from (C, H, W) into (H, W, C).
pub(super) fn channels_last(code: &[f32], channels: usize, out: &mut [f32]) {
    let positions = code.len() / channels;
    for (position, pixel) in out.chunks_exact_mut(channels).enumerate() {
        for (channel, value) in pixel.iter_mut().enumerate() {
            *value = code[channel * positions + position];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_pictures_follows_from_the_length_and_other_lengths_are_refused() {
        assert_eq!(n_pictures(12, 12).unwrap(), 1);
        assert_eq!(n_pictures(36, 12).unwrap(), 3);
        for actual in [0, 11, 13, 35] {
            let error = n_pictures(actual, 12).unwrap_err();
            assert!(
                matches!(
                    error,
                    TrunkError::PixelCount {
                        per_picture: 12,
                        ..
                    }
                ),
                "{error}"
            );
        }
    }

    #[test]
    fn only_whole_numbers_from_0_to_255_are_levels() {
        assert_eq!(as_levels(&[0.0, 128.0, 255.0]).unwrap(), [0, 128, 255]);
        for value in [-1.0, 0.5, 256.0, f32::NAN, f32::INFINITY] {
            let error = as_levels(&[1.0, value]).unwrap_err();
            assert!(matches!(error, TrunkError::NotALevel { .. }), "{value}");
        }
    }

    #[test]
    fn channels_move_from_first_to_last() {
        let mut out = [0.0; 6];
        channels_last(&[1.0, 3.0, -2.0, -4.0, 5.0, 5.0], 3, &mut out);
        assert_eq!(out, [1.0, -2.0, 5.0, 3.0, -4.0, 5.0]);
    }
}
