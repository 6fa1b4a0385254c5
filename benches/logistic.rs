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

use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use cnn_codes::codes::Store;
use cnn_codes::head::Samples;
use cnn_codes::head::logistic::{Logistic, LogisticFit, LogisticOptions};
use ndarray::{Array1, Array2};
use ndarray_npy::write_npy;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

const N_CLASSES: usize = 3;
const N_FEATURES: usize = 25_088;
const N_STRENGTHS: usize = 10;

/// Side of the square matrices whose product is timed.
const SQUARE: usize = 512;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse()?;
    let train = match &arguments.train {
        Some(path) => Codes::of_store(path)?,
        None => Codes::made_up(600),
    };
    println!("train: {} x {}", train.codes.nrows(), train.codes.ncols());
    let mut sklearn = match &arguments.python {
        Some(python) => Some(Sklearn::start(python, &train)?),
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

/// Codes and their labels.
struct Codes {
    codes: Array2<f32>,
    labels: Vec<usize>,
    n_classes: usize,
}

impl Codes {
    fn made_up(n: usize) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let codes = Array2::from_shape_fn((n, N_FEATURES), |(row, feature)| {
            if rng.gen_bool(0.8) {
                return 0.0;
            }
            let of_class = feature % N_CLASSES == row % N_CLASSES;
            rng.gen_range(0.0..2.0) + if of_class { 0.5 } else { 0.0 }
        });
        Self {
            codes,
            labels: (0..n).map(|row| row % N_CLASSES).collect(),
            n_classes: N_CLASSES,
        }
    }

    fn of_store(path: &str) -> anyhow::Result<Self> {
        let store = Store::open(Path::new(path))?;
        Ok(Self {
            codes: store.read_codes(),
            labels: store.labels().context("the store has no labels")?.to_vec(),
            n_classes: store.manifest().classes.len(),
        })
    }

    fn fit(&self, strengths: &[f64]) -> anyhow::Result<Vec<LogisticFit>> {
        let samples = Samples::new(self.codes.view(), &self.labels, self.n_classes)?;
        let go_on = &mut |_: &_| ControlFlow::Continue(());
        let fits = Logistic::fit_path(&samples, strengths, &LogisticOptions::default(), go_on)?;
        Ok(fits.into_iter().flatten().collect())
    }
}

/// Prints the seconds of ours, of the limit and of scikit-learn, in turns.
fn measure(train: &Codes, mut sklearn: Option<&mut Sklearn>, rounds: usize) -> anyhow::Result<()> {
    let sweep: Vec<f64> = (0..N_STRENGTHS)
        .map(|index| 10f64.powf(-4.0 + 8.0 * index as f64 / (N_STRENGTHS - 1) as f64))
        .collect();
    let [mut single, mut path, mut limit, mut theirs] = [const { Vec::new() }; 4];
    for _ in 0..rounds {
        single.push(seconds(|| train.fit(&[1.0]))?);
        path.push(seconds(|| train.fit(&sweep))?);
        limit.push(gram_seconds(train.codes.dim()));
        if let Some(sklearn) = &mut sklearn {
            theirs.push(seconds(|| sklearn.fit(1.0))?);
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
    let fits = train.fit(&[1.0])?.into_iter().chain(train.fit(&sweep)?);
    for fit in fits.filter(|fit| !fit.convergence.converged) {
        println!("  {}", fit.convergence.explanation);
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

/// A Python that has read the codes and waits for lines.
struct Sklearn {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// The codes that it has read.
    _place: tempfile::TempDir,
}

impl Sklearn {
    fn start(python: &str, train: &Codes) -> anyhow::Result<Self> {
        let place = tempfile::tempdir()?;
        let labels: Array1<i64> = train.labels.iter().map(|&label| label as i64).collect();
        write_npy(place.path().join("codes.npy"), &train.codes)?;
        write_npy(place.path().join("labels.npy"), &labels)?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/logistic_sklearn.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(place.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {python}"))?;
        let questions = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut sklearn = Self {
            child,
            questions,
            answers,
            _place: place,
        };
        // The first fit also starts its threads.
        sklearn.fit(1e4)?;
        Ok(sklearn)
    }

    /// Waits until a fit with this strength is done.
    fn fit(&mut self, l2: f64) -> anyhow::Result<()> {
        writeln!(self.questions, "{l2}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        ensure!(answer == "ok\n", "Python failed");
        Ok(())
    }
}

impl Drop for Sklearn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn seconds<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<f64> {
    let start = Instant::now();
    black_box(work()?);
    Ok(start.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn range(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    format!("{least:.3} to {most:.3}")
}
