//! VGG16 on ONNX Runtime's convolutions against the same on this program's, in turns.
//!
//!     cargo bench --bench winograd -- [ROUNDS] [THREADS]
//!
//! ROUNDS defaults to 7, THREADS to the number of cores. Needs `cnn-codes fetch`. Beside pictures
//! per second it prints where the time of the fused convolutions goes, how fast their products
//! are, and what this processor's arithmetic would allow, so that the next bottleneck shows.

use std::path::Path;
use std::time::{Duration, Instant};

use cnn_codes::model::winograd::Busy;
use cnn_codes::model::{Device, Kernels, Library, ModelCard, Runtime, Trunk, TrunkOptions};

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
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let rounds = arguments.first().map_or(Ok(7), |rounds| rounds.parse())?;
    let threads = match arguments.get(1) {
        Some(threads) => threads.parse()?,
        None => std::thread::available_parallelism()?.get(),
    };
    let runtime = Runtime::load(&Library::find(None, Path::new("models"))?)?;
    let mut bare = load(&runtime, Kernels::OnnxRuntime, threads)?;
    let mut winograd = load(&runtime, Kernels::Winograd, threads)?;
    println!(
        "{threads} threads, medians of {rounds} rounds in turns\n{}",
        winograd
            .replacement()
            .map_or_else(String::new, |r| r.summary())
    );
    for n in [20, 1] {
        compare(&mut bare, &mut winograd, n, rounds, threads)?;
    }
    Ok(())
}

fn load(runtime: &Runtime, kernels: Kernels, threads: usize) -> anyhow::Result<Trunk> {
    let card = ModelCard::vgg16();
    let model = Path::new("models").join(&card.file);
    let options = TrunkOptions {
        device: Device::Cpu,
        threads,
        kernels,
    };
    Ok(Trunk::load(runtime, card, &model, options)?)
}

fn compare(
    bare: &mut Trunk,
    winograd: &mut Trunk,
    n: usize,
    rounds: usize,
    threads: usize,
) -> anyhow::Result<()> {
    // Any pixels do: the time does not depend on them.
    let levels = (0..n * 224 * 224 * 3).map(|i| (i * 7919 % 256) as f32 - 120.0);
    let tensor: Vec<f32> = levels.collect();
    let (mut bare_codes, mut codes) = (Vec::new(), Vec::new());
    bare.run(&tensor, n, &mut bare_codes)?;
    winograd.run(&tensor, n, &mut codes)?;
    let before = busy(winograd);
    let (mut bare_rates, mut rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut peaks, mut total) = (Vec::new(), Duration::ZERO);
    for _ in 0..rounds {
        peaks.push(peak_gflops(threads));
        let start = Instant::now();
        bare.run(&tensor, n, &mut bare_codes)?;
        let bare = start.elapsed();
        let start = Instant::now();
        winograd.run(&tensor, n, &mut codes)?;
        let winograd = start.elapsed();
        total += winograd;
        bare_rates.push(n as f64 / bare.as_secs_f64());
        rates.push(n as f64 / winograd.as_secs_f64());
        ratios.push(bare.as_secs_f64() / winograd.as_secs_f64());
    }
    println!(
        "batch of {n}: ONNX Runtime {:.2}, Winograd {:.2} pictures/s, ratio {:.2}; \
         codes differ by {:.1e}",
        median(bare_rates),
        median(rates),
        median(ratios),
        relative_difference(&codes, &bare_codes),
    );
    let stages = minus(busy(winograd), before);
    print_stages(stages, total * threads as u32, n * rounds, median(peaks));
    Ok(())
}

/// Where `available`, the time of all threads, went, for `n` pictures.
fn print_stages(stages: Busy, available: Duration, n: usize, peak: f64) {
    let share = |time: Duration| 100.0 * time.as_secs_f64() / available.as_secs_f64();
    let rest = available.saturating_sub(stages.input + stages.products + stages.output);
    println!(
        "  of the threads' time: transforms of inputs {:.0}%, products {:.0}%, transforms of \
         outputs {:.0}%, all else (the first layer, ONNX Runtime, waiting) {:.0}%",
        share(stages.input),
        share(stages.products),
        share(stages.output),
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

fn busy(trunk: &Trunk) -> Busy {
    trunk.replacement().map_or(Busy::default(), |r| r.busy())
}

fn minus(after: Busy, before: Busy) -> Busy {
    Busy {
        input: after.input - before.input,
        products: after.products - before.products,
        output: after.output - before.output,
    }
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
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has AVX-512.
        return rate(|n| unsafe { multiply_add_avx512(n) });
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
