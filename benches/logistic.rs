//! The logistic baseline: one strength, a sweep of ten, what limits it, and scikit-learn, in turns.
//!
//!     cargo bench --bench logistic -- [--train STORE] [--python PYTHON] [--rounds ROUNDS]
//!
//! ROUNDS defaults to 5. Without a store, codes are made up: 600 of 25,088 features in 3 classes,
//! each value 0 with a chance of 80%, and else uniform from 0 to 2, with 0.5 added where the
//! feature's number gives the class (modulo 3).
//!
//! The single fit has l2 = 1; the sweep has ten strengths from 1e-4 to 1e4 in equal ratios,
//! which are scikit-learn's `Cs=10`. The limit of both is the Gram matrix of the
//! codes in f64: so many multiplications at the speed of a product of square matrices, on all cores.
//!
//! PYTHON has scikit-learn; its half is `logistic_sklearn.py`.

mod made_up;
mod peer;
mod timing;

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use cnn_codes::head::logistic::{Logistic, LogisticOptions};
use cnn_codes::head::{Fit, Head};
use ndarray::Array2;
use rayon::prelude::*;

use made_up::Codes;
use peer::Peer;
use timing::{median, range, seconds};

const N_STRENGTHS: usize = 10;

/// Side of the square matrices whose product is timed.
const SQUARE: usize = 512;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse()?;
    let train = match &arguments.train {
        Some(path) => Codes::of_store(path)?,
        None => Codes::made_up(600, 1),
    };
    println!("train: {}", train.about());
    let place = tempfile::tempdir()?;
    let mut sklearn = match &arguments.python {
        Some(python) => {
            train.write(place.path(), "")?;
            let script = "logistic_sklearn.py";
            let mut sklearn = Peer::start(python.as_ref(), script, &[place.path()])?;
            // The first fit also starts its threads.
            sklearn.ask("1e4")?;
            Some(sklearn)
        }
        None => None,
    };
    if sklearn.is_none() {
        println!("no --python: no scikit-learn to compare with");
    }
    measure(&train, sklearn.as_mut(), arguments.rounds)
}

struct Arguments {
    train: Option<String>,
    python: Option<String>,
    rounds: usize,
}

impl Arguments {
    fn parse() -> anyhow::Result<Self> {
        let mut parsed = Self {
            train: None,
            python: None,
            rounds: 5,
        };
        let mut given = std::env::args().skip(1).filter(|a| a != "--bench");
        while let Some(option) = given.next() {
            let value = given.next().with_context(|| format!("{option} of what?"))?;
            match option.as_str() {
                "--train" => parsed.train = Some(value),
                "--python" => parsed.python = Some(value),
                "--rounds" => parsed.rounds = value.parse()?,
                _ => bail!("unknown option {option}"),
            }
        }
        ensure!(parsed.rounds > 0, "at least one round");
        Ok(parsed)
    }
}

/// Prints the seconds of ours, of the limit and of scikit-learn, in turns.
fn measure(train: &Codes, mut sklearn: Option<&mut Peer>, rounds: usize) -> anyhow::Result<()> {
    let sweep: Vec<f64> = (0..N_STRENGTHS)
        .map(|index| 10f64.powf(-4.0 + 8.0 * index as f64 / (N_STRENGTHS - 1) as f64))
        .collect();
    let [mut single, mut path, mut limit, mut theirs] = [const { Vec::new() }; 4];
    for _ in 0..rounds {
        single.push(seconds(|| fit(train, &[1.0]))?);
        path.push(seconds(|| fit(train, &sweep))?);
        limit.push(gram_seconds(train.codes.dim()));
        if let Some(sklearn) = &mut sklearn {
            theirs.push(seconds(|| sklearn.ask("1"))?);
        }
    }
    let threads = rayon::current_num_threads();
    println!("{threads} threads, medians of {rounds}:");
    let (of_single, of_path) = (range(&single), range(&path));
    let (single, path, limit) = (median(single), median(path), median(limit));
    println!("  one strength   {single:6.3} s ({of_single})");
    println!("  ten strengths  {path:6.3} s ({of_path})");
    println!(
        "  Gram alone     {limit:6.3} s at the speed of square products; one strength / it {:.1}",
        single / limit
    );
    if !theirs.is_empty() {
        let of_theirs = range(&theirs);
        let theirs = median(theirs);
        println!("  scikit-learn   {theirs:6.3} s ({of_theirs})");
        println!(
            "  scikit-learn / ours: {:.1} for one strength, {:.1} for all of ten fits",
            theirs / single,
            theirs * N_STRENGTHS as f64 / path
        );
    }
    let fits = fit(train, &[1.0])?.into_iter().chain(fit(train, &sweep)?);
    for convergence in fits.filter_map(|fit| fit.convergence) {
        if !convergence.converged {
            println!("  {}", convergence.explanation);
        }
    }
    Ok(())
}

/// Seconds that half of the Gram matrix (N, N) of codes (N, D) would take at the speed of products
/// of square matrices in f64, one on each thread.
fn gram_seconds((n, d): (usize, usize)) -> f64 {
    let square = Array2::from_elem((SQUARE, SQUARE), 1.0);
    let threads = rayon::current_num_threads();
    let start = Instant::now();
    (0..4 * threads)
        .into_par_iter()
        .for_each(|_| drop(black_box(square.dot(&square))));
    let for_one = start.elapsed().as_secs_f64() / (4 * threads) as f64;
    let multiplications = (n * (n + 1) / 2 * d) as f64;
    for_one * multiplications / (SQUARE as f64).powi(3)
}

fn fit(train: &Codes, strengths: &[f64]) -> anyhow::Result<Vec<Fit<Logistic>>> {
    let options = strengths.iter().map(|&l2| {
        let mut options = LogisticOptions::default();
        options.l2 = l2;
        options
    });
    Ok(Logistic::fit_all(
        &train.samples()?,
        &options.collect::<Vec<_>>(),
        &(),
    )?)
}
