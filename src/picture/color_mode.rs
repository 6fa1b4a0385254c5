//! The colours that a picture's file can hold.

use image::ExtendedColorType;

use crate::named;

/// The colours that a picture's file can hold, whatever the picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColorMode {
    /// One channel of any depth.
    Grey,
    /// One channel and transparency.
    GreyAlpha,
    /// Red, green and blue, even if they are stored as YCbCr.
    Rgb,
    /// Red, green, blue and transparency.
    Rgba,
    /// Indices into a list of colours.
    Palette,
    /// Four inks: cyan, magenta, yellow and black.
    Cmyk,
}

named!(ColorMode, "colour mode", Grey => "grey", GreyAlpha => "grey_alpha", Rgb => "rgb",
    Rgba => "rgba", Palette => "palette", Cmyk => "cmyk");

impl From<ExtendedColorType> for ColorMode {
    fn from(stored: ExtendedColorType) -> Self {
        use ExtendedColorType as Stored;
        match stored {
            Stored::A8 | Stored::L1 | Stored::L2 | Stored::L4 | Stored::L8 | Stored::L16 => {
                Self::Grey
            }
            Stored::La1 | Stored::La2 | Stored::La4 | Stored::La8 | Stored::La16 => Self::GreyAlpha,
            Stored::Rgba1
            | Stored::Rgba2
            | Stored::Rgba4
            | Stored::Rgba8
            | Stored::Rgba16
            | Stored::Rgba32F
            | Stored::Bgra8 => Self::Rgba,
            Stored::Cmyk8 | Stored::Cmyk16 => Self::Cmyk,
            _ => Self::Rgb,
        }
    }
}
