//! Pictures that show different things.

use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};

/// Soft blobs that no other seed has, on 96 x 72 pixels.
pub fn scene(seed: u32) -> RgbImage {
    let mut bytes = [0; 48];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    let unit = |n: u32| f64::from(bytes[n as usize]) / 255.0;
    RgbImage::from_fn(96, 72, |x, y| {
        let (x, y) = (f64::from(x) / 96.0, f64::from(y) / 72.0);
        let mut level = 90.0;
        for blob in 0..12 {
            let (dx, dy) = (x - unit(4 * blob), y - unit(4 * blob + 1));
            let width = 0.004 + 0.02 * unit(4 * blob + 2);
            level += 160.0 * (unit(4 * blob + 3) - 0.4) * (-(dx * dx + dy * dy) / width).exp();
        }
        let byte = level.clamp(0.0, 255.0) as u8;
        Rgb([byte, byte / 2, 255 - byte])
    })
}

pub fn save(folder: &Path, name: &str, picture: &RgbImage) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    picture.save(path).unwrap();
}

/// Two classes of ten pictures each, in `folder/train`.
pub fn sound(folder: &Path) {
    for seed in 0..10 {
        save(folder, &format!("train/a/{seed}.png"), &scene(seed));
        save(folder, &format!("train/b/{seed}.png"), &scene(100 + seed));
    }
}
