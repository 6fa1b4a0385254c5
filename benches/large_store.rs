//! Training the MLP from a store that is larger than its process may be, against training
//! from memory and against reading the file.
//!
//!     cargo bench --bench large_store -- [ROWS] [f32|f16] [ROUNDS]
//!
//! ROWS defaults to 20,000, of 25,088 features: 2 GB as f32. The store is made up in target/tmp (as
//! in the bench `mlp`, class after class) and removed at the end. ROUNDS defaults to 3.
//!
//! In each round, in turns: one epoch, as many steps on 600 rows in memory, the file read from end to
//! end, and its rows read in a random order. The job is [`MlpOptions::default`] with one epoch. In a
//! control group whose memory is smaller than the store, all of it but the rows in memory comes from
//! the disk in every round.
//!
//! Resident memory is the peak of what is the process' own (RssAnon); what the system keeps of the
//! file is its cache, and not counted.

mod timing;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use anyhow::ensure;
use cnn_codes::codes::{
    Code, CodesIdentity, Dtype, PictureRow, Pool, Store, StoreDescription, StoreWriter,
};
use cnn_codes::files::Existing;
use cnn_codes::head::mlp::{Mlp, MlpOptions};
use cnn_codes::head::{Head, Samples};
use cnn_codes::model::{OutputSpec, TrunkIdentity};
use cnn_codes::picture::{Decoding, Filter, Fit, Recipe, Resize};
use cnn_codes::progress::Watch;
use ndarray::Array2;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use timing::{median, seconds};

const N_CLASSES: usize = 3;
const N_FEATURES: usize = 25_088;
/// Rows in memory: the tutorial's store.
const MEMORY_ROWS: usize = 600;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let mut numbers = arguments
        .iter()
        .filter_map(|argument| argument.parse().ok());
    let n_rows: usize = numbers.next().unwrap_or(20_000);
    let rounds: usize = numbers.next().unwrap_or(3);
    let is_half = arguments.iter().any(|argument| argument == "f16");
    let dtype = if is_half { Dtype::F16 } else { Dtype::F32 };
    ensure!(
        n_rows >= MEMORY_ROWS && rounds > 0,
        "at least {MEMORY_ROWS} rows and one round"
    );

    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let dir = folder.path().join("store");
    let time = seconds(|| write(&dir, n_rows, dtype))?;
    let file = dir.join("codes.npy");
    let bytes = fs::metadata(&file)?.len();
    println!(
        "{n_rows} x {N_FEATURES} {dtype}, {:.2} GB, written in {time:.0} s",
        bytes as f64 / 1e9
    );
    measure(&dir, &file, rounds)
}

fn measure(dir: &Path, file: &Path, rounds: usize) -> anyhow::Result<()> {
    let store = Store::open(dir)?;
    let samples = Samples::of_store(&store)?;
    let in_memory = Array2::from_shape_fn((MEMORY_ROWS, N_FEATURES), |(row, feature)| {
        code(row, feature)
    });
    let labels: Vec<_> = (0..MEMORY_ROWS).map(|row| row % N_CLASSES).collect();
    let in_memory = Samples::new(in_memory.view(), &labels, N_CLASSES)?;
    let n_rows = samples.len();
    let mut times: [Vec<f64>; 4] = Default::default();
    let memory = Memory::default();
    for _ in 0..rounds {
        times[0].push(seconds(|| epoch(&samples, &memory))?);
        let of_memory = seconds(|| epoch(&in_memory, &Memory::default()))?;
        times[1].push(of_memory * n_rows as f64 / MEMORY_ROWS as f64);
        times[2].push(seconds(|| read_in_order(file))?);
        times[3].push(seconds(|| read_at_random(&store))?);
    }
    let [from_store, in_memory, in_order, at_random] = times.map(median);
    println!(
        "one epoch of {n_rows} rows, {} threads, medians of {rounds}:",
        rayon::current_num_threads()
    );
    println!(
        "  from the store           {from_store:6.2} s; / rows in memory {:.2}",
        from_store / in_memory
    );
    println!("  rows in memory           {in_memory:6.2} s, from {MEMORY_ROWS} rows");
    println!("reading alone, on one thread:");
    println!("  from end to end          {in_order:6.2} s");
    println!("  rows in a random order   {at_random:6.2} s");
    println!(
        "peak of resident memory: {} MB of its own",
        memory.own.load(Ordering::Relaxed) / 1000
    );
    Ok(())
}

/// Trains for an epoch.
fn epoch(samples: &Samples, memory: &Memory) -> anyhow::Result<()> {
    let mut options = MlpOptions::default();
    options.epochs = 1;
    Mlp::fit(samples, None, &options, memory)?;
    Ok(())
}

/// Largest resident memory so far, in kB.
#[derive(Default)]
struct Memory {
    own: AtomicU64,
    steps: AtomicUsize,
}

impl Watch for Memory {
    fn is_stopped(&self) -> bool {
        let step = self.steps.fetch_add(1, Ordering::Relaxed);
        if step.is_multiple_of(50)
            && let Ok(status) = fs::read_to_string("/proc/self/status")
        {
            let mut lines = status.lines();
            let own = lines.find_map(|line| line.strip_prefix("RssAnon:"));
            let own = own.and_then(|own| own.split_whitespace().next()?.parse().ok());
            self.own.fetch_max(own.unwrap_or(0), Ordering::Relaxed);
        }
        false
    }
}

fn read_in_order(file: &Path) -> anyhow::Result<()> {
    let mut file = File::open(file)?;
    let mut bytes = vec![0; 1 << 20];
    while file.read(&mut bytes)? > 0 {}
    Ok(())
}

fn read_at_random(store: &Store) -> anyhow::Result<()> {
    let mut rows: Vec<_> = (0..store.pictures().len()).collect();
    rows.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(0));
    let mut bytes = Vec::new();
    for row in rows {
        store.read_code_bytes(row, &mut bytes)?;
    }
    Ok(())
}

/// A value that is 0 with a chance of 80%, from a hash of its place.
fn code(row: usize, feature: usize) -> f32 {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64((row * N_FEATURES + feature) as u64);
    if rng.gen_bool(0.8) {
        return 0.0;
    }
    let of_class = feature % N_CLASSES == row % N_CLASSES;
    rng.gen_range(0.0..2.0) + if of_class { 0.5 } else { 0.0 }
}

/// Writes a store whose rows come class after class, as those of folders do.
fn write(dir: &Path, n_rows: usize, dtype: Dtype) -> anyhow::Result<()> {
    let mut writer = StoreWriter::create(dir, Existing::Keep, description(dtype))?;
    let rows: Vec<_> = (0..n_rows).collect();
    for chunk in rows.chunks(256) {
        let codes: Vec<(usize, Vec<f32>)> = chunk
            .par_iter()
            .map(|&row| {
                let label = row * N_CLASSES / n_rows;
                let row = row * N_CLASSES + label;
                (
                    label,
                    (0..N_FEATURES).map(|feature| code(row, feature)).collect(),
                )
            })
            .collect();
        for (&row, (label, code)) in chunk.iter().zip(&codes) {
            let picture = PictureRow {
                path: format!("{row}.jpg").into(),
                label: Some(*label),
                width: 224,
                height: 224,
                group: None,
                blake3: blake3::hash(&row.to_le_bytes()),
            };
            writer.append(&picture, Code::Values(code))?;
        }
    }
    writer.finish()?;
    Ok(())
}

fn description(dtype: Dtype) -> StoreDescription {
    StoreDescription {
        codes: CodesIdentity {
            trunk: TrunkIdentity {
                name: "made up".to_owned(),
                sha256: "0".repeat(64),
                tensors_sha256: "0".repeat(64),
                graph_sha256: None,
            },
            recipe: Recipe::Caffe,
            resize: Resize {
                width: 224,
                height: 224,
                fit: Fit::Stretch,
                filter: Filter::Bilinear,
                decoding: Decoding::Full,
            },
            output: OutputSpec {
                name: "out".to_owned(),
                shape: vec![7, 7, 512],
                layers: Vec::new(),
            },
            pool: Pool::None,
        },
        dtype,
        views: cnn_codes::picture::Views::None,
        classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
        root: None,
        listing: None,
        part: None,
        decoder: "none".to_owned(),
        onnxruntime: "none".to_owned(),
        provider: "none".to_owned(),
        kernels: "none".to_owned(),
        max_pixels: None,
        grouped: false,
    }
}
