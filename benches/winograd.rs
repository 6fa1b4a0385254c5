//! VGG16 on ONNX Runtime's convolutions against the same on those of ort-winograd, in turns.
//!
//!     cargo bench --features stage-times --bench winograd -- [ROUNDS] [THREADS] [--instructions SET]
//!
//! ROUNDS defaults to 7, THREADS to the number of cores, SET (avx512, avx2, baseline) to the best that
//! the processor has; the others run as they do everywhere. Needs `cnn-codes fetch`. Beside pictures
//! per second it prints where the time of the fused convolutions goes, how fast their products
//! are, and what this processor's arithmetic would allow, so that the next bottleneck shows.
//!
//! The environment variable CNN_CODES_TEST_PYTHON names a Python with numpy, onnx and those of
//! openvino, MNN, ncnn and torch that are to join the turns, through `winograd_peers.py`.

mod peer;
mod timing;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use cnn_codes::model::{Device, Kernels, Library, ModelCard, Runtime, Trunk, TrunkOptions};
use ort_winograd::{Instructions, Rewritten, StageTimes};
use tempfile::TempDir;

use peer::Peer;
use timing::{load, median};

/// What `winograd_peers.py` can run.
const ENGINES: [&str; 5] = ["openvino", "openvino-bf16", "mnn", "ncnn", "torch"];

/// The larger of the batches.
const BATCH: usize = 20;

/// Input channels, output channels and side of VGG16's convolutions after the first.
const LAYERS: [(usize, usize, usize); 12] = [
    (64, 64, 224),
    (64, 128, 112),
    (128, 128, 112),
    (128, 256, 56),
    (256, 256, 56),
    (256, 256, 56),
    (256, 512, 28),
    (512, 512, 28),
    (512, 512, 28),
    (512, 512, 14),
    (512, 512, 14),
    (512, 512, 14),
];

fn main() -> anyhow::Result<()> {
    let mut arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    if let Some(place) = arguments.iter().position(|a| a == "--instructions") {
        let name = arguments.drain(place..).nth(1).unwrap_or_default();
        let mut sets = Instructions::available();
        anyhow::ensure!(
            sets.any(|set| set.is_called(&name)),
            "this processor has no {name:?}"
        );
        // SAFETY: no thread was started yet.
        unsafe { std::env::set_var("ORT_WINOGRAD_INSTRUCTIONS", name) };
    }
    let rounds = arguments.first().map_or(Ok(7), |rounds| rounds.parse())?;
    let threads = match arguments.get(1) {
        Some(threads) => threads.parse()?,
        None => std::thread::available_parallelism()?.get(),
    };
    let runtime = Runtime::load(&Library::find(None, Path::new("models"))?)?;
    let mut trunks = Trunks {
        bare: load_trunk(&runtime, Kernels::OnnxRuntime, threads)?,
        winograd: load_trunk(&runtime, Kernels::Winograd, threads)?,
    };
    let rewritten = trunks.winograd.rewritten();
    println!(
        "{threads} threads, {}, medians of {rounds} rounds in turns\n{}",
        Instructions::detect().name(),
        rewritten.map_or_else(String::new, Rewritten::summary)
    );
    // Any pixels do: the time does not depend on them.
    let levels = (0..BATCH * 224 * 224 * 3).map(|i| (i * 7919 % 256) as f32 - 120.0);
    let pictures: Vec<f32> = levels.collect();
    let mut engines = Engines::start(&pictures, threads)?;
    for n in [BATCH, 1] {
        compare(&mut trunks, &mut engines, &pictures, n, rounds, threads)?;
    }
    Ok(())
}

struct Trunks {
    bare: Trunk,
    winograd: Trunk,
}

fn load_trunk(runtime: &Runtime, kernels: Kernels, threads: usize) -> anyhow::Result<Trunk> {
    let card = ModelCard::vgg16();
    let model = Path::new("models").join(&card.file);
    let options = TrunkOptions::default()
        .with_device(Device::Cpu)
        .with_threads(threads)
        .with_kernels(kernels);
    Ok(Trunk::load(runtime, card, &model, options)?)
}

/// The peers that are there.
struct Engines {
    peers: Vec<(&'static str, Peer)>,
    folder: TempDir,
}

impl Engines {
    /// Starts the engines that the test Python has, and gives them `pictures`.
    fn start(pictures: &[f32], threads: usize) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut peers = Vec::new();
        if let Some(python) = std::env::var_os("CNN_CODES_TEST_PYTHON") {
            let bytes: Vec<u8> = pictures.iter().flat_map(|x| x.to_le_bytes()).collect();
            std::fs::write(folder.path().join("pictures"), bytes)?;
            let model = Path::new("models").join(ModelCard::vgg16().file);
            let threads = threads.to_string();
            for engine in ENGINES {
                let arguments = [
                    Path::new(engine),
                    &model,
                    folder.path(),
                    Path::new(&threads),
                ];
                let mut peer = Peer::start(&python, "winograd_peers.py", &arguments)?;
                match peer.ask("1") {
                    Ok(()) => peers.push((engine, peer)),
                    Err(_) => println!("{engine} does not run in that Python"),
                }
            }
        }
        Ok(Self { peers, folder })
    }

    /// The codes of an engine's last batch.
    fn codes(&mut self, index: usize) -> anyhow::Result<Vec<f32>> {
        let (engine, peer) = &mut self.peers[index];
        peer.ask("codes")?;
        let bytes = std::fs::read(self.folder.path().join(engine)).context("codes of a peer")?;
        let (numbers, _) = bytes.as_chunks::<4>();
        Ok(numbers.iter().map(|&x| f32::from_le_bytes(x)).collect())
    }
}

fn compare(
    trunks: &mut Trunks,
    engines: &mut Engines,
    pictures: &[f32],
    n: usize,
    rounds: usize,
    threads: usize,
) -> anyhow::Result<()> {
    let tensor = &pictures[..n * 224 * 224 * 3];
    let Trunks { bare, winograd } = trunks;
    let (mut bare_codes, mut codes) = (Vec::new(), Vec::new());
    bare.run(tensor, &mut bare_codes)?;
    winograd.run(tensor, &mut codes)?;
    for (_, peer) in &mut engines.peers {
        peer.ask(&n.to_string())?;
    }
    let before = stage_times(winograd);
    let mut seconds = vec![Vec::new(); 2 + engines.peers.len()];
    let (mut peaks, mut total) = (Vec::new(), Duration::ZERO);
    for _ in 0..rounds {
        peaks.push(peak_gflops(threads));
        seconds[0].push(timing::seconds(|| Ok(bare.run(tensor, &mut bare_codes)?))?);
        seconds[1].push(timing::seconds(|| Ok(winograd.run(tensor, &mut codes)?))?);
        total += Duration::from_secs_f64(*seconds[1].last().expect("it was pushed"));
        for ((_, peer), seconds) in engines.peers.iter_mut().zip(&mut seconds[2..]) {
            seconds.push(timing::seconds(|| peer.ask(&n.to_string()))?);
        }
    }
    let stages = stage_times(winograd) - before;
    println!("batch of {n}; load {}", load());
    print_line("ONNX Runtime", n, &seconds[0], &seconds[0], None);
    let difference = relative_difference(&codes, &bare_codes);
    print_line("Winograd", n, &seconds[1], &seconds[0], Some(difference));
    for index in 0..engines.peers.len() {
        let difference = relative_difference(&engines.codes(index)?, &bare_codes);
        let engine = engines.peers[index].0;
        print_line(
            engine,
            n,
            &seconds[2 + index],
            &seconds[0],
            Some(difference),
        );
    }
    print_stages(stages, total * threads as u32, n * rounds, median(peaks));
    Ok(())
}

/// Prints how fast `n` pictures went, beside ONNX Runtime's turns of the same rounds.
fn print_line(name: &str, n: usize, seconds: &[f64], bare: &[f64], difference: Option<f64>) {
    let ratios = bare
        .iter()
        .zip(seconds)
        .map(|(bare, seconds)| bare / seconds);
    let codes = difference.map_or_else(String::new, |difference| {
        format!("   codes differ by {difference:.1e}")
    });
    println!(
        "  {name:14} {:6.2} pictures/s   ratio {:.2}{codes}",
        n as f64 / median(seconds.to_vec()),
        median(ratios.collect()),
    );
}

/// Where `available`, the time of all threads, went, for `n` pictures.
fn print_stages(stages: StageTimes, available: Duration, n: usize, peak: f64) {
    let share = |time: Duration| 100.0 * time.as_secs_f64() / available.as_secs_f64();
    let rest =
        available.saturating_sub(stages.input + stages.filters + stages.products + stages.output);
    println!(
        "  of the threads' time: transforms of inputs {:.0}%, of filters {:.0}%, of outputs {:.0}%, \
         products {:.0}%, all else (the first layer, ONNX Runtime, waiting) {:.0}%",
        share(stages.input),
        share(stages.filters),
        share(stages.output),
        share(stages.products),
        share(rest),
    );
    let gflop = product_gflop();
    println!(
        "  products: {:.1} GFLOP a picture, {:.0} GFLOP/s a thread; peak of all threads \
         {peak:.0} GFLOP/s (float32 in registers), which allows {:.1} pictures/s",
        gflop,
        gflop * n as f64 / stages.products.as_secs_f64(),
        peak / gflop,
    );
}

/// Floating point operations of the products for one picture, those of tiles beyond its border
/// among them.
fn product_gflop() -> f64 {
    let flop = LAYERS.map(|(n_in, n_out, side)| 2 * 36 * n_in * n_out * side.div_ceil(4).pow(2));
    flop.iter().sum::<usize>() as f64 / 1e9
}

fn stage_times(trunk: &Trunk) -> StageTimes {
    trunk
        .rewritten()
        .map_or(StageTimes::default(), Rewritten::stage_times)
}

/// Fused multiply-adds of all threads on numbers in registers, counted as two operations each, in
/// a tenth of a second.
fn peak_gflops(threads: usize) -> f64 {
    let rates = std::thread::scope(|scope| {
        let probes: Vec<_> = (0..threads).map(|_| scope.spawn(peak_of_thread)).collect();
        let rates = probes.into_iter().map(|probe| probe.join());
        rates.map(|rate| rate.unwrap_or(0.0)).sum::<f64>()
    });
    rates / 1e9
}

fn peak_of_thread() -> f64 {
    #[cfg(target_arch = "x86_64")]
    if Instructions::detect().features().contains(&"avx512f") {
        // SAFETY: the processor has AVX-512.
        return rate(|n| unsafe { multiply_add_avx512(n) });
    }
    #[cfg(target_arch = "x86_64")]
    if Instructions::detect().features().contains(&"fma") {
        // SAFETY: the processor has AVX2 and FMA.
        return rate(|n| unsafe { multiply_add_avx2(n) });
    }
    f64::NAN
}

/// Operations per second of `work`, which is given a number of repetitions and says how many
/// operations it did.
fn rate(work: impl Fn(usize) -> usize) -> f64 {
    let (start, mut done) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_millis(100) {
        done += work(100_000);
    }
    done as f64 / start.elapsed().as_secs_f64()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn multiply_add_avx512(n: usize) -> usize {
    use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_set1_ps};
    let factor = std::hint::black_box(_mm512_set1_ps(0.5));
    let mut sums = [factor; 16];
    for _ in 0..n {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, factor, factor);
        }
    }
    std::hint::black_box(sums);
    2 * 16 * 16 * n
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn multiply_add_avx2(n: usize) -> usize {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps};
    let factor = std::hint::black_box(_mm256_set1_ps(0.5));
    let mut sums = [factor; 12];
    for _ in 0..n {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(*sum, factor, factor);
        }
    }
    std::hint::black_box(sums);
    2 * 8 * 12 * n
}

/// The Frobenius norm of the difference over that of what is expected.
fn relative_difference(codes: &[f32], expected: &[f32]) -> f64 {
    let pairs = codes.iter().zip(expected);
    let difference: f64 = pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let norm: f64 = expected.iter().map(|code| f64::from(*code).powi(2)).sum();
    (difference / norm).sqrt()
}
