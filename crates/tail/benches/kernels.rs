//! What convolutions and their gradients take, and what the gradient to filters would take by definition.
//!
//!     cargo bench -p cnn-codes-tail --bench kernels -- [PICTURES] [ROUNDS] [--instructions SET]
//!
//! With 512 x 512 channels, on pictures of 14 x 14, of which there are 16; ROUNDS defaults to 25, SET (avx512, avx2,
//! baseline) to the best that the processor has. By definition the gradient to 3 x 3 filters is nine products over
//! all pixels, of shifted pictures: each is the gradient to 1 x 1 filters.

#[path = "../../../benches/timing/mod.rs"]
mod timing;

use std::hint::black_box;

use ort_winograd::Instructions;
use ort_winograd::blocked::{BlockedShape, BlockedTensor, Convolutions, FilterBank, Rectifier};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const CHANNELS: usize = 512;

fn main() -> anyhow::Result<()> {
    let mut arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let mut instructions = Instructions::detect();
    if let Some(place) = arguments.iter().position(|a| a == "--instructions") {
        let name = arguments.drain(place..).nth(1).unwrap_or_default();
        let set = Instructions::available().find(|set| set.is_called(&name));
        instructions = set.ok_or_else(|| anyhow::anyhow!("this processor has no {name:?}"))?;
    }
    let number = |index: usize, default| arguments.get(index).map_or(Ok(default), |a| a.parse());
    let (n, rounds) = (number(0, 16)?, number(1, 25)?);
    let shape = BlockedShape {
        n,
        channels: CHANNELS,
        height: 14,
        width: 14,
    };
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
    let mut numbers = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.gen_range(-1.0..1.0)).collect() };
    let tensor =
        BlockedTensor::from_channels_last(&numbers(n * shape.positions() * CHANNELS), shape);
    let (weights, bias) = (numbers(CHANNELS * CHANNELS * 9), numbers(CHANNELS));
    let bank = |taps: usize| FilterBank {
        values: &weights[..CHANNELS * CHANNELS * taps],
        n_out: CHANNELS,
        n_in: CHANNELS,
    };
    let (three, one) = (bank(9), bank(1));
    let c = Convolutions::with(instructions);
    println!(
        "{n} pictures of 14 x 14, {CHANNELS} x {CHANNELS} channels, {}, {} threads, load {}",
        instructions.name(),
        rayon::current_num_threads(),
        timing::load()
    );
    let time = |name: &str, work: &dyn Fn()| -> anyhow::Result<()> {
        let mut seconds = Vec::new();
        for _ in 0..rounds {
            seconds.push(timing::seconds(|| {
                work();
                Ok(())
            })?);
        }
        let least = seconds.iter().copied().fold(f64::INFINITY, f64::min);
        let median = timing::median(seconds);
        println!(
            "  {name:32} {:6.2} ms, at least {:6.2}",
            1e3 * median,
            1e3 * least
        );
        Ok(())
    };
    time("3 x 3", &|| {
        black_box(c.forward_3x3(three, &bias, Rectifier::Relu, &tensor));
    })?;
    time("3 x 3, to the input", &|| {
        black_box(c.input_gradient_3x3(three, &tensor));
    })?;
    time("3 x 3, to filters", &|| {
        black_box(c.filter_gradient_3x3(&tensor, &tensor));
    })?;
    time("3 x 3, to filters by definition", &|| {
        for _ in 0..9 {
            black_box(c.filter_gradient_1x1(&tensor, &tensor));
        }
    })?;
    time("1 x 1", &|| {
        black_box(c.forward_1x1(one, &bias, &tensor));
    })?;
    time("1 x 1, to the input", &|| {
        black_box(c.input_gradient_1x1(one, &tensor));
    })?;
    time("1 x 1, to filters", &|| {
        black_box(c.filter_gradient_1x1(&tensor, &tensor));
    })
}
