//! An epoch of fine-tuning the last block of VGG16: forward, backward, a step of SGD.
//!
//!     cargo bench -p cnn-codes-tail --bench fine_tune -- [BATCH] [ROUNDS] [--instructions SET] [--threads N]
//!
//! On 600 pictures of made-up codes (14, 14, 512). BATCH defaults to 16, ROUNDS to 3, SET (avx512, avx2, baseline) to
//! the best that the processor has, N to the number of cores. The share of the peak is that of the operations by
//! definition, so that Winograd's may be above 1; and that of those which are done.
//!
//! The environment variable CNN_CODES_TEST_PYTHON names a Python with torch that is to take its turns, through
//! `fine_tune_torch.py`.

#[path = "../../../benches/peer/mod.rs"]
mod peer;
#[path = "../../../benches/timing/mod.rs"]
mod timing;

use std::path::Path;
use std::time::{Duration, Instant};

use cnn_codes_tail::{
    Batch, InputGradient, Optimizer, OptimizerOptions, Tail, TailError, UpdateRule,
};
use ort_winograd::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorType,
    ValueInfoProto, float32_tensor,
};
use ort_winograd::{InstructionSet, Instructions, Kernel, OnnxModel};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use peer::Peer;

const N_PICTURES: usize = 600;
const SIDE: usize = 14;
const CHANNELS: usize = 512;
const RATE: f32 = 1e-6;

/// Convolutions of an epoch for each picture: three forward, three to filters, and two to inputs, as none is
/// before the first.
const CONVOLUTIONS: f64 = 8.0;

fn main() -> anyhow::Result<()> {
    let mut arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let mut option = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments
            .drain(place..(place + 2).min(arguments.len()))
            .nth(1)
    };
    let set = option("--instructions");
    let threads = option("--threads").map(|n| n.parse()).transpose()?;
    let threads = threads.unwrap_or(std::thread::available_parallelism()?.get());
    let instructions = match &set {
        None => Instructions::detect(),
        Some(name) => Instructions::available()
            .find(|set| set.is_called(name))
            .ok_or_else(|| anyhow::anyhow!("this processor has no {name:?}"))?,
    };
    let number = |index: usize, default| arguments.get(index).map_or(Ok(default), |a| a.parse());
    let (batch, rounds) = (number(0, 16)?, number(1, 3)?);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()?;
    pool.install(|| compare(instructions, batch, rounds, threads))
}

fn compare(
    instructions: Instructions,
    batch: usize,
    rounds: usize,
    threads: usize,
) -> anyhow::Result<()> {
    let mut tail = Tail::read(&block5()?, "codes", "pool")?.with_instructions(instructions);
    let options = OptimizerOptions {
        rule: UpdateRule::Sgd { momentum: 0.9 },
        ..OptimizerOptions::default()
    };
    let mut optimizer = Optimizer::new(&tail, options);
    let codes = codes();
    let mut torch = torch(batch, threads)?;
    let (mut ours, mut theirs, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
    let mut stages = Stages::default();
    epoch(
        &mut tail,
        &mut optimizer,
        &codes[..SIDE * SIDE * CHANNELS * batch],
        batch,
        &mut stages,
    )?;
    stages = Stages::default();
    for _ in 0..rounds {
        peaks.push(peak_gflops(instructions, threads));
        ours.push(timing::seconds(|| {
            Ok(epoch(
                &mut tail,
                &mut optimizer,
                &codes,
                batch,
                &mut stages,
            )?)
        })?);
        if let Some(torch) = &mut torch {
            theirs.push(timing::seconds(|| torch.ask("epoch"))?);
        }
    }
    let (seconds, peak) = (timing::median(ours.clone()), timing::median(peaks));
    println!(
        "{N_PICTURES} pictures in batches of {batch}, {threads} threads, {}, load {}: an epoch takes {seconds:.2} s \
         ({}), median of {rounds}",
        instructions.name(),
        timing::load(),
        timing::range(&ours),
    );
    let total = stages.forward + stages.backward + stages.step;
    let share = |part: Duration| 100.0 * part.as_secs_f64() / total.as_secs_f64();
    println!(
        "  forward {:.0} %, backward {:.0} %, steps {:.0} %",
        share(stages.forward),
        share(stages.backward),
        share(stages.step)
    );
    let (defined, done) = gflop();
    println!(
        "  peak {peak:.0} GFLOP/s; {:.2} of it by definition, {:.2} of what is done",
        defined / seconds / peak,
        done / seconds / peak
    );
    if !theirs.is_empty() {
        let ratios = theirs
            .iter()
            .zip(&ours)
            .map(|(theirs, ours)| theirs / ours)
            .collect();
        println!(
            "  PyTorch takes {:.2} s ({}), {:.2} times as long in turns",
            timing::median(theirs.clone()),
            timing::range(&theirs),
            timing::median(ratios)
        );
    }
    Ok(())
}

#[derive(Default)]
struct Stages {
    forward: Duration,
    backward: Duration,
    step: Duration,
}

/// All pictures once. The loss is that of an output's square, so that no head takes any time.
fn epoch(
    tail: &mut Tail,
    optimizer: &mut Optimizer,
    codes: &[f32],
    batch: usize,
    stages: &mut Stages,
) -> Result<(), TailError> {
    let picture_len = SIDE * SIDE * CHANNELS;
    let rates = tail.layer_rates(RATE, 1.0);
    for values in codes.chunks(batch * picture_len) {
        let start = Instant::now();
        let shape = [values.len() / picture_len, SIDE, SIDE, CHANNELS];
        let (outputs, tape) = tail.forward(Batch { shape, values })?;
        let forward = Instant::now();
        let gradients = tail.backward(&tape, &outputs, InputGradient::Unwanted)?;
        let backward = Instant::now();
        optimizer.step(tail, &gradients, &rates)?;
        stages.forward += forward - start;
        stages.backward += backward - forward;
        stages.step += backward.elapsed();
    }
    Ok(())
}

/// Billions of operations of an epoch: by definition, and of the products for tiles of 4 x 4.
fn gflop() -> (f64, f64) {
    let pairs = (2 * CHANNELS * CHANNELS * N_PICTURES) as f64 * CONVOLUTIONS / 1e9;
    let tiles = SIDE.div_ceil(4).pow(2);
    (
        pairs * (9 * SIDE * SIDE) as f64,
        pairs * (36 * tiles) as f64,
    )
}

/// Codes as behind a ReLU.
fn codes() -> Vec<f32> {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
    let n = N_PICTURES * SIDE * SIDE * CHANNELS;
    (0..n)
        .map(|_| rng.gen_range(-1.0_f32..1.0).max(0.0))
        .collect()
}

/// The last block of VGG16, with made-up weights.
fn block5() -> anyhow::Result<OnnxModel> {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(2);
    let (mut node, mut initializer) = (Vec::new(), Vec::new());
    let mut input = "codes".to_owned();
    let n = CHANNELS as u64;
    for layer in 1..=3 {
        let [filters, bias] = ["filters", "bias"].map(|what| format!("{what}{layer}"));
        let [sums, output] = ["sums", "output"].map(|what| format!("{what}{layer}"));
        // Numbers keep their size from layer to layer.
        let size = (6.0 / (9.0 * CHANNELS as f32)).sqrt();
        let weights = (0..CHANNELS * CHANNELS * 9).map(|_| rng.gen_range(-size..size));
        initializer.push(float32_tensor(
            &filters,
            &[n, n, 3, 3],
            &weights.collect::<Vec<_>>(),
        ));
        initializer.push(float32_tensor(&bias, &[n], &[0.0; CHANNELS]));
        let conv = NodeProto::new("Conv", &[&input, &filters, &bias], &sums);
        node.push(conv.with(AttributeProto::ints("pads", &[1; 4])));
        node.push(NodeProto::new("Relu", &[&sums], &output));
        input = output;
    }
    let pool = NodeProto::new("MaxPool", &[&input], "pool");
    node.push(
        pool.with(AttributeProto::ints("kernel_shape", &[2, 2]))
            .with(AttributeProto::ints("strides", &[2, 2])),
    );
    let graph = GraphProto {
        name: Some("block5".to_owned()),
        node,
        initializer,
        input: vec![ValueInfoProto::new(
            "codes",
            &TensorType::float32_batch(&[n, 14, 14]),
        )],
        output: vec![ValueInfoProto::new(
            "pool",
            &TensorType::float32_batch(&[n, 7, 7]),
        )],
        ..GraphProto::default()
    };
    let proto = ModelProto {
        ir_version: Some(7),
        opset_import: vec![OperatorSetIdProto::new("", 13)],
        graph: Some(graph),
        ..ModelProto::default()
    };
    Ok(OnnxModel::from_proto(proto, Path::new("block5.onnx"))?)
}

/// PyTorch with the same block, if there is one.
fn torch(batch: usize, threads: usize) -> anyhow::Result<Option<Peer>> {
    let Some(python) = std::env::var_os("CNN_CODES_TEST_PYTHON") else {
        return Ok(None);
    };
    let (batch, threads) = (batch.to_string(), threads.to_string());
    let arguments = [Path::new(&batch), Path::new(&threads)];
    let mut peer = Peer::start(&python, "fine_tune_torch.py", &arguments)?;
    match peer.ask("warm") {
        Ok(()) => Ok(Some(peer)),
        Err(_) => {
            println!("that Python has no torch");
            Ok(None)
        }
    }
}

/// Fused multiply-adds of all threads on numbers in registers, counted as two operations each, in a tenth of a
/// second.
fn peak_gflops(instructions: Instructions, threads: usize) -> f64 {
    let of_thread = move || {
        let (start, mut done) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_millis(100) {
            done += instructions.run(MultiplyAdd { n: 100_000 });
        }
        done as f64 / start.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let probes: Vec<_> = (0..threads).map(|_| scope.spawn(of_thread)).collect();
        let rates = probes.into_iter().map(|probe| probe.join());
        rates.map(|rate| rate.unwrap_or(0.0)).sum::<f64>() / 1e9
    })
}

/// Multiply-adds in registers; gives how many operations they were.
struct MultiplyAdd {
    n: usize,
}

impl Kernel for MultiplyAdd {
    type Output = usize;

    #[inline(always)]
    fn run<S: InstructionSet>(self) -> usize {
        if S::HAS_MANY_REGISTERS {
            multiply_add::<S, 16>(self.n)
        } else {
            multiply_add::<S, 6>(self.n)
        }
    }
}

#[inline(always)]
fn multiply_add<S: InstructionSet, const R: usize>(n: usize) -> usize {
    let factor = S::load(&std::hint::black_box([0.5; 16]));
    let mut sums = [factor; R];
    for _ in 0..n {
        for sum in &mut sums {
            *sum = sum.mul_add(factor, factor);
        }
    }
    let mut kept = [0.0; 16];
    let mut total = sums[0];
    for sum in &sums[1..] {
        total = total.add(*sum);
    }
    total.store(&mut kept);
    std::hint::black_box(kept);
    2 * 16 * R * n
}
