//! Borders of zeros around pictures, and cropping.

use ort_winograd::blocked::{BlockedShape, BlockedTensor};
use rayon::prelude::*;

/// Rows and columns of zeros around each picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Border {
    pub(crate) top: usize,
    pub(crate) left: usize,
    pub(crate) bottom: usize,
    pub(crate) right: usize,
}

impl Border {
    /// How often a window of `kernel` (rows, columns) fits into a picture of `input` with this
    /// border, moving by `stride`: floor((H + top + bottom - rows) / stride) + 1 rows, and likewise
    /// for columns.
    pub(crate) fn windows(
        self,
        input: BlockedShape,
        kernel: [usize; 2],
        stride: [usize; 2],
    ) -> Result<BlockedShape, String> {
        let along = |length: usize, before: usize, after: usize, axis: usize| {
            let length = length.checked_add(before)?.checked_add(after)?;
            Some(length.checked_sub(kernel[axis])? / stride[axis] + 1)
        };
        let shape = along(input.height, self.top, self.bottom, 0).zip(along(
            input.width,
            self.left,
            self.right,
            1,
        ));
        let (height, width) = shape.ok_or_else(|| {
            format!(
                "windows of {} x {} do not fit into {} x {}",
                kernel[0], kernel[1], input.height, input.width
            )
        })?;
        Ok(BlockedShape {
            height,
            width,
            ..input
        })
    }
}

/// Pictures (height, width) whose position (y, x) is (y + down, x + right) in `input`, with zeros
/// outside: adds or removes a border. With `down` and `right` negated, it is its own transpose.
pub(super) fn shifted(
    input: &BlockedTensor,
    height: usize,
    width: usize,
    down: isize,
    right: isize,
) -> BlockedTensor {
    let from = input.shape();
    let shape = BlockedShape {
        height,
        width,
        ..from
    };
    let mut output = BlockedTensor::zeros(shape);
    // Columns of the output that lie inside the input.
    let first = (-right).max(0).unsigned_abs().min(width);
    let end = (from.width as isize - right).clamp(first as isize, width as isize) as usize;
    let planes = input.vectors().par_chunks_exact(from.positions());
    let outputs = output.vectors_mut().par_chunks_exact_mut(shape.positions());
    planes.zip(outputs).for_each(|(plane, output)| {
        for (y, row) in output.chunks_exact_mut(width).enumerate() {
            let from_y = (y as isize).checked_add(down);
            let from_y = from_y.and_then(|y| usize::try_from(y).ok());
            let Some(from_y) = from_y.filter(|&y| y < from.height && first < end) else {
                continue;
            };
            let column = first.wrapping_add_signed(right);
            let row = &mut row[first..end];
            row.copy_from_slice(&plane[from_y * from.width + column..][..end - first]);
        }
    });
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_border_is_added_and_cut_off() {
        let shape = BlockedShape {
            n: 1,
            channels: 1,
            height: 2,
            width: 2,
        };
        let input = BlockedTensor::from_channels_last(&[1.0, 2.0, 3.0, 4.0], shape);
        let larger = shifted(&input, 3, 4, -1, -1);
        let expected = [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 3.0, 4.0, 0.0];
        assert_eq!(larger.to_channels_last(), expected);
        assert_eq!(
            shifted(&larger, 2, 2, 1, 1).to_channels_last(),
            input.to_channels_last()
        );
        assert_eq!(shifted(&input, 1, 1, 1, 0).to_channels_last(), [3.0]);
    }

    #[test]
    fn windows_that_do_not_fit_are_an_error() {
        let shape = BlockedShape {
            n: 1,
            channels: 1,
            height: 5,
            width: 4,
        };
        let border = Border {
            top: 1,
            left: 1,
            bottom: 1,
            right: 1,
        };
        let windows = border.windows(shape, [3, 2], [2, 2]).unwrap();
        assert_eq!((windows.height, windows.width), (3, 3));
        assert!(Border::default().windows(shape, [3, 5], [1, 1]).is_err());
    }
}
