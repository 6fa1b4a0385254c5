//! Pictures made to exhaust memory or patience: each is an error or a picture, and the memory that
//! it takes is bounded.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{self, Read};
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use cnn_codes::picture::{DecodeError, RgbImage, decode, decoding_bytes};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// The system's allocator, counting the bytes that decoding asks for, touched or not.
struct Counting;

static IN_USE: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    /// Whether this thread decodes: other tests run at the same time, and do not count.
    static IS_COUNTED: Cell<bool> = const { Cell::new(false) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts a block that is `n_bytes` longer than before.
fn took(n_bytes: isize) {
    if IS_COUNTED.get() {
        let in_use = IN_USE.fetch_add(n_bytes, Relaxed) + n_bytes;
        PEAK.fetch_max(in_use, Relaxed);
    }
}

/// The bytes of a block, of which there are never more than `isize::MAX`.
fn length(n_bytes: usize) -> isize {
    n_bytes.cast_signed()
}

// SAFETY: every call goes on to the system's allocator as it came; the counters touch no memory
// but their own, and a thread's mark is a constant with nothing to drop, which allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(length(layout.size()));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(length(layout.size()));
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Large blocks move by their pages, and are not there twice.
        took(length(new_size) - length(layout.size()));
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(start, layout, new_size) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        took(-length(layout.size()));
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(start, layout) }
    }
}

/// Keeps the other tests of this file from decoding meanwhile: there is one count.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Threads on which all is counted. Decoders take those of the pool in which they run.
static DECODING: LazyLock<ThreadPool> = LazyLock::new(|| {
    let pool = ThreadPoolBuilder::new().num_threads(2);
    let pool = pool.start_handler(|_| IS_COUNTED.set(true));
    pool.build().unwrap()
});

/// What becomes of a file, and the most bytes that it takes, the result's among them.
fn decoded(bytes: &[u8]) -> (Result<RgbImage, DecodeError>, usize) {
    DECODING.install(|| {
        let before = IN_USE.load(Relaxed);
        PEAK.store(before, Relaxed);
        let result = decode(bytes);
        let most = PEAK.load(Relaxed) - before;
        (result, most.cast_unsigned())
    })
}

/// The kind of error that a file gives, which must not take memory worth mentioning.
#[track_caller]
fn refused(bytes: &[u8]) -> &'static str {
    let (result, peak) = decoded(bytes);
    assert!(peak < 4 << 20, "{peak} bytes for {} of input", bytes.len());
    result.unwrap_err().kind()
}

/// The bytes that decoding takes for each pixel of a picture.
#[track_caller]
fn bytes_per_pixel(bytes: &[u8]) -> f64 {
    let (result, peak) = decoded(bytes);
    let picture = result.unwrap();
    let n_pixels = picture.width() * picture.height();
    assert!(n_pixels >= 1_000_000, "too small for what is constant");
    peak as f64 / f64::from(n_pixels)
}

/// `n` zeros as a zlib stream, about a thousandth as long.
fn deflated_zeros(n: u64) -> Vec<u8> {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    io::copy(&mut io::repeat(0).take(n), &mut zlib).unwrap();
    zlib.finish().unwrap()
}

/// A chunk of a PNG.
fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(name);
    crc.update(body);
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&length[..], name, body, &crc.sum().to_be_bytes()].concat()
}

/// The pixels of a PNG: black, or transparent black.
struct Zeros {
    side: u32,
    bit_depth: u8,
    colour_type: u8,
    bytes_per_pixel: u64,
}

/// A square PNG, with chunks before the pixels.
fn png(zeros: &Zeros, chunks: &[u8]) -> Vec<u8> {
    let side = zeros.side.to_be_bytes();
    let kind = [zeros.bit_depth, zeros.colour_type, 0, 0, 0];
    let row_bytes = u64::from(zeros.side) * zeros.bytes_per_pixel + 1;
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.extend(chunk(b"IHDR", &[&side[..], &side, &kind].concat()));
    png.extend(chunks);
    let pixels = deflated_zeros(u64::from(zeros.side) * row_bytes);
    png.extend(chunk(b"IDAT", &pixels));
    png.extend(chunk(b"IEND", b""));
    png
}

const ONE_RGB: Zeros = Zeros {
    side: 1,
    bit_depth: 8,
    colour_type: 2,
    bytes_per_pixel: 3,
};

/// The markers of a JPEG's frames: ITU-T T.81, table B.1.
#[derive(Clone, Copy)]
enum Frame {
    Baseline = 0xC0,
    Progressive = 0xC2,
    Lossless = 0xC3,
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    [&[0xFF, marker], &length[..], body].concat()
}

/// A scan over all `n_channels`, of the coefficients `first` to `last`, without any data.
fn scan(n_channels: u8, first: u8, last: u8) -> Vec<u8> {
    let channels = (1..=n_channels).flat_map(|channel| [channel, 0]);
    let body: Vec<u8> = [n_channels].into_iter().chain(channels).collect();
    segment(0xDA, &[&body[..], &[first, last, 0]].concat())
}

/// A JPEG of black squares: where data is missing, decoders read zeros, and the one code of the
/// Huffman tables is 0, for nothing.
fn jpeg(frame: Frame, side: u16, n_channels: u8, scans: &[u8]) -> Vec<u8> {
    let side = side.to_be_bytes();
    let channels = (1..=n_channels).flat_map(|channel| [channel, 0x11, 0]);
    let channels: Vec<u8> = channels.collect();
    let one_code = |class: u8| [&[class, 1][..], &[0; 15], &[0]].concat();
    let header = [&[8], &side[..], &side, &[n_channels], &channels].concat();
    [
        &[0xFF, 0xD8][..],
        &segment(0xDB, &[&[0][..], &[1; 64]].concat()),
        &segment(0xC4, &one_code(0x00)),
        &segment(0xC4, &one_code(0x10)),
        &segment(frame as u8, &header),
        scans,
        &[0xFF, 0xD9],
    ]
    .concat()
}

/// A little-endian TIFF of one directory of (tag, type, count, value), with `data` at offset 8.
fn tiff(entries: &[(u16, u16, u32, u32)], data: &[u8], next_directory: u32) -> Vec<u8> {
    let directory = u32::try_from(8 + data.len()).unwrap();
    let mut tiff = [b"II*\0", &directory.to_le_bytes()[..], data].concat();
    tiff.extend(u16::try_from(entries.len()).unwrap().to_le_bytes());
    for &(tag, kind, count, value) in entries {
        tiff.extend([tag, kind].map(u16::to_le_bytes).concat());
        tiff.extend([count, value].map(u32::to_le_bytes).concat());
    }
    tiff.extend(next_directory.to_le_bytes());
    tiff
}

const LONG: u16 = 4;

/// The directory of a grey TIFF in one strip of `n_bytes` at `offset`.
fn grey_strip(side: u32, offset: u32, n_bytes: u32) -> [(u16, u16, u32, u32); 9] {
    [
        (256, LONG, 1, side), // width
        (257, LONG, 1, side), // height
        (258, LONG, 1, 8),    // bits per sample
        (259, LONG, 1, 1),    // no compression
        (262, LONG, 1, 1),    // 0 is black
        (273, LONG, 1, offset),
        (277, LONG, 1, 1),    // samples per pixel
        (278, LONG, 1, side), // rows per strip
        (279, LONG, 1, n_bytes),
    ]
}

/// A black TIFF of one strip without compression, of four samples a pixel.
fn tiff_of_four(side: u32, bits: u16, photometric: u32) -> Vec<u8> {
    let n_bytes = side * side * 4 * u32::from(bits / 8);
    let mut data = [bits; 4].map(u16::to_le_bytes).concat();
    data.resize(data.len() + n_bytes as usize, 0);
    let mut entries = grey_strip(side, 16, n_bytes).to_vec();
    entries[2] = (258, 3, 4, 8); // bits per sample, at offset 8
    entries[4].3 = photometric;
    entries[6].3 = 4; // samples per pixel
    if photometric == 2 {
        entries.push((338, 3, 1, 2)); // the fourth is transparency
    }
    tiff(&entries, &data, 0)
}

fn riff(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut webp = b"WEBP".to_vec();
    for (name, body) in chunks {
        webp.extend(*name);
        webp.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        webp.extend(*body);
        webp.resize(webp.len().next_multiple_of(2), 0);
    }
    let length = u32::try_from(webp.len()).unwrap().to_le_bytes();
    [b"RIFF", &length[..], &webp].concat()
}

/// The first chunk of an extended WebP: what it has (8 is EXIF data), and the canvas' size.
fn webp_canvas(flags: u8, side: u32) -> Vec<u8> {
    let side = (side - 1).to_le_bytes();
    [&[flags, 0, 0, 0], &side[..3], &side[..3]].concat()
}

/// A lossless WebP whose Huffman codes have one symbol each, so that pixels take no bits.
fn lossless_webp(side: u32) -> Vec<u8> {
    let header = (side - 1) | (side - 1) << 14;
    // From the right: no transform, no cache, one group of codes; five codes of the one symbol 0.
    let codes = 0b000_1000_1000_1000_1000_1000_u32;
    let stream = [&[0x2F][..], &header.to_le_bytes(), &codes.to_le_bytes()].concat();
    [stream, vec![0; 8]].concat()
}

/// A GIF with a square screen, and what follows its palette of two.
fn gif(side: u16, blocks: &[u8]) -> Vec<u8> {
    gif_of_size(side, side, blocks)
}

fn gif_of_size(width: u16, height: u16, blocks: &[u8]) -> Vec<u8> {
    let screen = [width, height].map(u16::to_le_bytes).concat();
    let palette = [0, 0, 0, 255, 255, 255];
    [b"GIF89a", &screen[..], b"\x80\0\0", &palette, blocks, b";"].concat()
}

/// A frame of `side` with one pixel's data.
fn gif_frame(side: u16) -> Vec<u8> {
    let side = side.to_le_bytes();
    // Codes of 3 bits, clear (4), pixel 0, end (5), in one block.
    let data = [2, 2, 0b01_000_100, 0b1, 0];
    [b",\0\0\0\0", &side[..], &side, b"\0", &data].concat()
}

fn bmp(width: i32, height: i32, compression: u32, n_colours: u32, data: &[u8]) -> Vec<u8> {
    let bits = if compression == 0 { 24_u16 } else { 8 };
    let mut bmp = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bmp.extend([width, height].map(i32::to_le_bytes).concat());
    bmp.extend([1, bits].map(u16::to_le_bytes).concat());
    let rest = [compression, 0, 0, 0, n_colours, 0];
    bmp.extend(rest.map(u32::to_le_bytes).concat());
    [&bmp, data].concat()
}

#[test]
fn sizes_that_a_header_claims_take_no_memory() {
    let _alone = alone();
    let huge = u32::from(u16::MAX);
    let large = Zeros {
        side: 60_000,
        bytes_per_pixel: 0, // there are none
        ..ONE_RGB
    };
    assert_eq!(refused(&png(&large, b"")), "too_large");
    let scans = scan(3, 0, 63);
    let jpeg = jpeg(Frame::Baseline, u16::MAX, 3, &scans);
    assert_eq!(refused(&jpeg), "too_large");
    assert_eq!(refused(&gif(u16::MAX, &gif_frame(1))), "too_large");
    assert_eq!(refused(&gif(1, &gif_frame(u16::MAX))), "too_large");
    assert_eq!(refused(&bmp(30_000, 30_000, 0, 0, b"")), "too_large");
    assert_eq!(refused(&bmp(4, i32::MIN, 0, 0, b"")), "damaged");
    assert_eq!(refused(&bmp(4, 4, 1, u32::MAX, b"")), "damaged");
    let strip = grey_strip(huge, 8, huge);
    assert_eq!(refused(&tiff(&strip, b"", 0)), "too_large");
    let canvas = webp_canvas(0, 60_000);
    let webp = riff(&[(b"VP8X", &canvas), (b"VP8L", &lossless_webp(1))]);
    assert_eq!(refused(&webp), "too_large");
}

/// Found by `fuzz/fuzz_targets/picture.rs`: the decoder took 4 GiB before it read 2 bytes.
#[test]
fn the_length_that_a_webps_exif_claims_takes_no_memory() {
    let _alone = alone();
    let picture = lossless_webp(8);
    let exif = |length: u32| [b"EXIF", &length.to_le_bytes()[..], b"MM"].concat();
    for length in [3, 1 << 20, u32::MAX - 1, u32::MAX] {
        let chunks: [(_, &[u8]); 2] = [(b"VP8X", &webp_canvas(8, 8)), (b"VP8L", &picture)];
        let webp = [riff(&chunks), exif(length)].concat();
        assert_eq!(refused(&webp), "damaged", "{length}");
    }
}

/// Found by `fuzz/fuzz_targets/picture.rs`: resizing a picture without pixels panicked.
#[test]
fn a_gif_whose_screen_has_no_pixels_is_damaged() {
    let _alone = alone();
    for (width, height) in [(4375, 0), (0, 4375), (0, 0)] {
        let gif = gif_of_size(width, height, &gif_frame(1));
        assert_eq!(refused(&gif), "damaged", "{width} x {height}");
    }
}

#[test]
fn a_tiff_takes_no_memory_for_strips_that_are_not_there() {
    let _alone = alone();
    let strip = |offset, n_bytes| tiff(&grey_strip(4, offset, n_bytes), &[7; 16], 0);
    assert_eq!(refused(&strip(u32::MAX, 16)), "damaged");
    assert_eq!(refused(&strip(8, u32::MAX)), "too_large");
    // The pixels are there, whatever the strip's length is said to be.
    let (result, _) = decoded(&strip(8, 0));
    assert_eq!(result.unwrap().get_pixel(3, 3).0, [7; 3]);
    let mut entries = grey_strip(4, 8, 16);
    entries[5].2 = u32::MAX; // so many offsets
    entries[8].2 = u32::MAX; // and lengths
    assert_eq!(refused(&tiff(&entries, &[7; 16], 0)), "too_large");
}

#[test]
fn a_tiff_whose_directories_lead_back_to_themselves_is_damaged() {
    let _alone = alone();
    let itself = 8 + 16;
    let tiff = tiff(&grey_strip(4, 8, 16), &[7; 16], itself);
    assert_eq!(refused(&tiff), "damaged");
}

#[test]
fn what_comes_with_a_png_does_not_unpack_without_bounds() {
    let _alone = alone();
    const UNPACKED: u64 = 400 << 20;
    let bomb = deflated_zeros(UNPACKED);
    let profile = [&b"name\0\0"[..], &bomb].concat();
    let text = [&b"name\0\x01\0\0\0"[..], &bomb].concat();
    for chunk in [
        chunk(b"iCCP", &profile),
        chunk(b"zTXt", &profile),
        chunk(b"iTXt", &text),
    ] {
        let (result, peak) = decoded(&png(&ONE_RGB, &chunk));
        assert_eq!(result.unwrap().dimensions(), (1, 1));
        assert!(peak < 150 << 20, "{peak}");
    }
}

#[test]
fn pixels_beyond_the_last_are_not_unpacked() {
    let _alone = alone();
    let tall = Zeros {
        bytes_per_pixel: 100 << 20,
        ..ONE_RGB
    };
    let (result, peak) = decoded(&png(&tall, b""));
    assert_eq!(result.unwrap().dimensions(), (1, 1));
    assert!(peak < 4 << 20, "{peak}");
}

#[test]
fn the_memory_for_a_pixel_is_bounded_in_every_format() {
    let _alone = alone();
    let deep = Zeros {
        side: 1500,
        bit_depth: 16,
        colour_type: 6,
        bytes_per_pixel: 8,
    };
    // Orientation 6, a quarter turn, which makes a copy.
    let exif = tiff(&[(0x112, 3, 1, 6)], b"", 0);
    let turned = png(&deep, &chunk(b"eXIf", &exif));
    let cases = [
        ("PNG", turned),
        ("GIF", gif(1500, &gif_frame(1))),
        ("BMP", bmp(1500, 1500, 1, 1, b"\0\0\0\0\0\x01")),
        ("WebP", riff(&[(b"VP8L", &lossless_webp(1500))])),
        (
            "grey TIFF",
            tiff(&grey_strip(1500, 8, 1500 * 1500), &[7; 1500 * 1500], 0),
        ),
        ("TIFF of 8 bits", tiff_of_four(1500, 8, 2)),
        ("TIFF of 16 bits", tiff_of_four(1500, 16, 2)),
        ("TIFF of inks", tiff_of_four(1500, 8, 5)),
    ];
    for (format, bytes) in cases {
        let taken = bytes_per_pixel(&bytes);
        let reckoned = decoding_bytes(&bytes).unwrap() as f64 / f64::from(1500 * 1500);
        assert!(
            taken < 1.1 * reckoned,
            "{format}: {taken} bytes for a pixel in place of {reckoned}"
        );
    }
}

#[test]
fn a_gifs_later_frames_cost_nothing() {
    let _alone = alone();
    let frames = gif_frame(100).repeat(100_000);
    let (_, peak) = decoded(&gif(100, &frames));
    assert!(peak < 4 << 20, "{peak}");
}

/// Whether it is decoded. libjpeg-turbo then misses the data.
fn is_supported(jpeg: &[u8]) -> bool {
    let expected = cfg!(feature = "turbojpeg").then_some("damaged");
    decode(jpeg).err().map(|error| error.kind()) == expected
}

#[test]
fn a_jpeg_of_more_scans_than_anyone_needs_is_unsupported() {
    let _alone = alone();
    let many = |side: u16, n: usize| jpeg(Frame::Baseline, side, 3, &scan(3, 0, 63).repeat(n));
    assert!(is_supported(&many(8, 500)));
    assert_eq!(refused(&many(8, 501)), "unsupported");
    assert_eq!(refused(&many(8, 100_000)), "unsupported");
    // 49 million pixels, in a file of 800 bytes.
    assert_eq!(refused(&many(7000, 33)), "unsupported");
    // A marker inside a comment is none.
    let comment = segment(0xFE, &[0xFF, 0xDA].repeat(600));
    let scans = [comment, scan(3, 0, 63)].concat();
    assert!(is_supported(&jpeg(Frame::Baseline, 8, 3, &scans)));
}

/// The samples of a JPEG are held several times over; `Process::bytes_per_sample` says how often.
#[cfg(not(feature = "turbojpeg"))]
#[test]
fn a_jpegs_samples_take_the_memory_that_is_reckoned_with() {
    let _alone = alone();
    for (frame, scans, bytes_per_sample) in [
        (Frame::Baseline, scan(3, 0, 63), 2.0),
        (Frame::Progressive, scan(3, 0, 0), 4.0),
        (Frame::Lossless, scan(3, 1, 0), 6.0),
    ] {
        // A power of two, which vectors that grow by doubling do not overshoot.
        let taken = bytes_per_pixel(&jpeg(frame, 1024, 3, &scans)) / 3.0;
        assert!(
            (bytes_per_sample - 0.5..bytes_per_sample + 0.2).contains(&taken),
            "{taken} bytes for a sample in place of {bytes_per_sample}"
        );
    }
}

#[test]
fn a_jpeg_that_would_take_more_than_the_limit_is_too_large() {
    let _alone = alone();
    // 89 million pixels: 1.4 GiB in four channels of coefficients, 1.5 GiB without loss.
    let inks = jpeg(Frame::Progressive, 9459, 4, &scan(4, 0, 0));
    assert_eq!(refused(&inks), "too_large");
    let lossless = jpeg(Frame::Lossless, 9459, 3, &scan(3, 1, 0));
    assert_eq!(refused(&lossless), "too_large");
}
