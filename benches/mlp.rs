//! Training the tutorial's MLP, against the memory's limit and against Keras, in turns.
//!
//!     cargo bench --bench mlp -- [TRAIN_STORE VALIDATION_STORE] [ROUNDS]
//!
//! ROUNDS defaults to 5. Without stores, codes are made up: 600 and 150 of 25,088 features, each
//! value 0 with a chance of 80%, and else uniform from 0 to 2, with 0.5 added where the feature's
//! number gives the class (modulo 3).
//!
//! The job is [`MlpOptions::default`]: 256 hidden units, batches of 20, 20 epochs, RMSprop,
//! validation after every epoch, on all cores.
//!
//! The limit is what memory alone takes: for each step, the first layer's weights are read once,
//! and then weights and state are read and written once, in the order in which training does it.
//!
//! The environment variable CNN_CODES_TEST_PYTHON names a Python with Keras (KERAS_BACKEND is its
//! backend), whose half is `mlp_keras.py`; its model is compiled before the first round.

mod made_up;
mod peer;
mod timing;

use std::ffi::OsStr;
use std::hint::black_box;
use std::path::Path;

use anyhow::ensure;
use cnn_codes::head::Head;
use cnn_codes::head::mlp::{Mlp, MlpOptions};
use rayon::prelude::*;

use made_up::Codes;
use peer::Peer;
use timing::{load, median, range, seconds};

fn main() -> anyhow::Result<()> {
    let mut arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let rounds = match arguments.len() {
        1 | 3 => arguments.pop().expect("there is one").parse()?,
        _ => 5,
    };
    ensure!(rounds > 0, "at least one round");
    let (train, validation) = match &arguments[..] {
        [] => (Codes::made_up(600, 1), Codes::made_up(150, 2)),
        [train, validation] => (Codes::of_store(train)?, Codes::of_store(validation)?),
        _ => anyhow::bail!("give two stores or none"),
    };
    println!(
        "train: {}\nvalidation: {}",
        train.about(),
        validation.about()
    );

    let place = tempfile::tempdir()?;
    let mut keras = match std::env::var_os("CNN_CODES_TEST_PYTHON") {
        Some(python) => start_keras(&python, place.path(), &train, &validation)
            .inspect_err(|error| println!("no Keras: {error:#}"))
            .ok(),
        None => None,
    };
    if keras.is_none() {
        println!("CNN_CODES_TEST_PYTHON names no Python with Keras: nothing to compare with");
    }
    measure(&train, &validation, keras.as_mut(), rounds)
}

/// A Keras whose model is compiled.
fn start_keras(
    python: &OsStr,
    place: &Path,
    train: &Codes,
    validation: &Codes,
) -> anyhow::Result<Peer> {
    train.write(place, "train_")?;
    validation.write(place, "validation_")?;
    let mut keras = Peer::start(python, "mlp_keras.py", &[place])?;
    keras.ask("1")?;
    Ok(keras)
}

/// Prints the seconds of ours, of memory alone and of Keras, in turns.
fn measure(
    train: &Codes,
    validation: &Codes,
    mut keras: Option<&mut Peer>,
    rounds: usize,
) -> anyhow::Result<()> {
    let options = MlpOptions::default();
    let mut memory = Memory::of_job(train, &options);
    let (mut ours, mut limit, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(seconds(|| fit(train, validation, &options))?);
        limit.push(seconds(|| {
            memory.run();
            Ok(())
        })?);
        if let Some(keras) = &mut keras {
            theirs.push(seconds(|| keras.ask(&options.epochs.to_string()))?);
        }
    }
    let threads = rayon::current_num_threads();
    let (range, ours, limit) = (range(&ours), median(ours), median(limit));
    println!(
        "{} epochs, {threads} threads, medians of {rounds}:",
        options.epochs
    );
    println!(
        "  ours          {ours:6.2} s ({range}; load average {})",
        load()
    );
    println!(
        "  memory alone  {limit:6.2} s; ours / limit {:.2}",
        ours / limit
    );
    if !theirs.is_empty() {
        let theirs = median(theirs);
        println!(
            "  Keras         {theirs:6.2} s; Keras / ours {:.1}",
            theirs / ours
        );
    }
    Ok(())
}

fn fit(train: &Codes, validation: &Codes, options: &MlpOptions) -> anyhow::Result<()> {
    let (train, validation) = (train.samples()?, validation.samples()?);
    let trained = Mlp::fit(&train, Some(&validation), options, &())?;
    black_box(trained);
    Ok(())
}

/// The memory of the first layer and of its state, and how often it is gone through.
struct Memory {
    weights: Vec<f32>,
    state: Vec<f32>,
    steps: usize,
}

impl Memory {
    /// Numbers that a thread takes at a time.
    const BLOCK: usize = 1 << 14;

    fn of_job(train: &Codes, options: &MlpOptions) -> Self {
        let n_weights = train.codes.ncols() * options.hidden[0];
        Self {
            weights: vec![1.0; n_weights],
            state: vec![1.0; n_weights],
            steps: options.epochs * train.codes.nrows().div_ceil(options.batch_size),
        }
    }

    fn run(&mut self) {
        for _ in 0..self.steps {
            let sums = self.weights.par_chunks(Self::BLOCK).map(sum);
            black_box(sums.reduce(|| 0.0, f32::max));
            let blocks = self.weights.par_chunks_mut(Self::BLOCK);
            let blocks = blocks.zip(self.state.par_chunks_mut(Self::BLOCK));
            blocks.rev().for_each(|(weights, state)| {
                for (weight, state) in weights.iter_mut().zip(state) {
                    *state *= 0.999;
                    *weight += *state;
                }
            });
        }
    }
}

/// The sum in many lanes, so that memory is what it waits for.
fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0; 32];
    for values in values.chunks_exact(32) {
        for (lane, value) in lanes.iter_mut().zip(values) {
            *lane += value;
        }
    }
    lanes.iter().sum()
}
