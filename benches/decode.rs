//! All of an extraction but the inference, against Pillow and NumPy in one process, in turns.
//!
//!     cargo bench --bench decode -- [PICTURES] [ROUNDS]
//!
//! PICTURES holds one folder per class (default: data/train); ROUNDS defaults to 9. The environment
//! variable CNN_CODES_TEST_PYTHON names a Python with Pillow and NumPy; without it there is nothing
//! to compare with, and only our own rate on PICTURES is printed.
//!
//! Four sets are measured: PICTURES as they are, and photographs of 1000 x 750, 2000 x 1500 and 4000 x 3000
//! pixels that Pillow makes of them: enlarged with Lanczos, with noise for the detail that enlarging cannot
//! give, as JPEG of quality 90 with halved colours; about 230 KB and more, as a camera's would have. Large
//! ones are decoded as a whole and reduced: by `Decoding::Scaled`, and by Pillow's `draft`.
//!
//! Ours is `extract::dry_run`, with a thread for every core: read, hash with BLAKE3, decode, resize to
//! 224 x 224, apply the recipe `caffe`, in batches of 20. Pillow's
//! half, `decode_pillow.py`, does the same without the hash, in one thread. Where other programs
//! keep the cores busy, our threads lose more than its one. The breakdown is of one thread.

mod peer;
mod timing;

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cnn_codes::dataset::{self, Pictures};
use cnn_codes::extract::{ExtractOptions, Extractor, OnFailure};
use cnn_codes::model::ModelCard;
use cnn_codes::picture::{self, Decoding, Filter, Fit, Layout, Preparation, Recipe, Resize};

use peer::Peer;
use timing::median;

const BATCH_SIZE: usize = 20;
/// Numbers of photographs, with their widths and heights.
const PHOTOGRAPHS: [(usize, u32, u32); 3] = [(100, 1000, 750), (50, 2000, 1500), (24, 4000, 3000)];
const SIDE: u32 = 224;

const PREPARATION: Preparation = Preparation {
    resize: Resize {
        width: SIDE,
        height: SIDE,
        fit: Fit::Stretch,
        filter: Filter::Bilinear,
        decoding: Decoding::Full,
    },
    recipe: Recipe::Caffe,
    layout: Layout::ChannelsLast,
    views: cnn_codes::picture::Views::None,
};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let folder = arguments.first().map_or("data/train", String::as_str);
    let rounds = arguments.get(1).map_or(Ok(9), |rounds| rounds.parse())?;
    ensure!(rounds > 0, "at least one round");

    let place = tempfile::tempdir()?;
    let pictures = Set::of_dataset(Path::new(folder), place.path())?;
    let Some(python) = std::env::var_os("CNN_CODES_TEST_PYTHON") else {
        println!("CNN_CODES_TEST_PYTHON names no Python: no baseline, no photographs");
        return pictures.measure(None, rounds);
    };
    let mut pillow = Peer::start(&python, "decode_pillow.py", &[])?;
    pictures.measure(Some(&mut pillow), rounds)?;
    for (n, width, height) in PHOTOGRAPHS {
        let place = tempfile::tempdir()?;
        let photographs =
            Set::of_photographs(&mut pillow, &pictures, place.path(), (n, width, height))?;
        photographs.measure(Some(&mut pillow), rounds)?;
    }
    Ok(())
}

/// Pictures to measure on.
struct Set {
    name: String,
    pictures: Pictures,
    paths: Vec<PathBuf>,
    /// A file that names them, for Python.
    list: PathBuf,
}

impl Set {
    fn new(name: String, paths: Vec<PathBuf>, list: PathBuf) -> anyhow::Result<Self> {
        let mut lines = String::new();
        let mut n_bytes = 0;
        for path in &paths {
            lines += path.to_str().context("a path is not UTF-8")?;
            lines += "\n";
            n_bytes += fs::metadata(path)?.len();
        }
        let pictures = dataset::read_unlabelled_list(lines.as_bytes())?;
        fs::write(&list, lines)?;
        let kb = n_bytes as f64 / 1000.0 / paths.len() as f64;
        let name = format!("{} {name} of {kb:.0} KB", paths.len());
        Ok(Self {
            name,
            pictures,
            paths,
            list,
        })
    }

    fn of_dataset(folder: &Path, place: &Path) -> anyhow::Result<Self> {
        let dataset = dataset::find(folder)?;
        let root = dataset.root.canonicalize()?;
        let paths = dataset
            .listed
            .iter()
            .map(|picture| root.join(&*picture.path));
        let name = format!("pictures in {}", folder.display());
        Self::new(name, paths.collect(), place.join("pictures.txt"))
    }

    fn of_photographs(
        pillow: &mut Peer,
        from: &Self,
        place: &Path,
        (n, width, height): (usize, u32, u32),
    ) -> anyhow::Result<Self> {
        let folder = place.display();
        pillow.ask(&format!(
            "photographs\t{folder}\t{n}\t{}\t{width}\t{height}",
            from.list.display()
        ))?;
        let paths = (0..n).map(|index| place.join(format!("{index:03}.jpg")));
        let name = format!("photographs of {width} x {height}");
        Self::new(name, paths.collect(), place.join("photographs.txt"))
    }

    /// Ours and Pillow's in turns, and where our time goes.
    fn measure(&self, mut pillow: Option<&mut Peer>, rounds: usize) -> anyhow::Result<()> {
        println!("\n{}", self.name);
        let threads = std::thread::available_parallelism()?.get();
        for (decoding, command) in [(Decoding::Full, "prepare"), (Decoding::Scaled, "draft")] {
            let mut options = options(threads);
            options.preparation.resize.decoding = decoding;
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                ours.push(self.rate(|| {
                    let pictures = self.pictures.clone();
                    let extractor = Extractor::without_trunk(&ModelCard::vgg16());
                    extractor.options(options.clone()).dry_run(pictures)?;
                    Ok(())
                })?);
                if let Some(pillow) = &mut pillow {
                    let request = format!("{command}\t{}", self.list.display());
                    theirs.push(self.rate(|| pillow.ask(&request))?);
                }
            }
            let ours = median(ours);
            println!(
                "  ours, {decoding}, {threads} threads: {ours:.0} pictures/s (median of {rounds})"
            );
            if pillow.is_some() {
                let theirs = median(theirs);
                let ratio = ours / theirs;
                println!("  Pillow and NumPy, {command}: {theirs:.0} pictures/s; ratio {ratio:.2}");
            }
        }
        // In a pool of its own: jpeg-decoder would spread over the global one.
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
        alone.install(|| breakdown(&self.paths))
    }

    /// Pictures per second of `work` on all of them.
    fn rate(&self, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
        let start = Instant::now();
        work()?;
        Ok(self.paths.len() as f64 / start.elapsed().as_secs_f64())
    }
}

fn options(threads: usize) -> ExtractOptions {
    let mut options = ExtractOptions::for_card(&ModelCard::vgg16());
    options.preparation = PREPARATION;
    options.batch_size = BATCH_SIZE;
    options.threads = threads;
    options.on_failure = OnFailure::Stop;
    options
}

/// Prints the time of every stage in one thread, and which of them sets the limit.
fn breakdown(paths: &[PathBuf]) -> anyhow::Result<()> {
    const STAGES: [&str; 5] = ["read", "hash", "decode", "resize", "recipe"];
    let mut busy = [Duration::ZERO; 5];
    let mut tensor = vec![0.0; PREPARATION.tensor_len()];
    for path in paths {
        for (busy, spent) in busy.iter_mut().zip(stage_times(path, &mut tensor)?) {
            *busy += spent;
        }
    }
    let total: Duration = busy.iter().sum();
    let each = total.as_secs_f64() * 1e3 / paths.len() as f64;
    println!("  one thread, {each:.3} ms a picture:");
    for (stage, busy) in STAGES.iter().zip(&busy) {
        let ms = busy.as_secs_f64() * 1e3 / paths.len() as f64;
        println!("    {stage:7}{ms:7.3} ms{:4.0} %", 100.0 * ms / each);
    }
    let (longest, limit) = STAGES
        .iter()
        .zip(&busy)
        .max_by_key(|(_, busy)| **busy)
        .map(|(stage, busy)| (stage, busy.as_secs_f64() / total.as_secs_f64()))
        .expect("there are stages");
    let rest = 1.0 / limit;
    println!("  limit: {longest}; all the rest for nothing would make it {rest:.2} times as fast");
    Ok(())
}

/// How long each stage takes on one picture.
fn stage_times(path: &Path, tensor: &mut [f32]) -> anyhow::Result<[Duration; 5]> {
    let mut times = Vec::with_capacity(5);
    let mut start = Instant::now();
    let mut lap = || times.push(std::mem::replace(&mut start, Instant::now()).elapsed());
    let bytes = fs::read(path)?;
    lap();
    black_box(blake3::hash(&bytes));
    lap();
    let mut picture = picture::decode(&bytes)?;
    lap();
    // `prepare` copies nothing either where the size is right.
    if picture.dimensions() != (SIDE, SIDE) {
        picture = PREPARATION.resize.apply(&picture);
    }
    lap();
    PREPARATION
        .recipe
        .apply(&picture, PREPARATION.layout, tensor);
    lap();
    Ok(times.try_into().expect("five stages"))
}
