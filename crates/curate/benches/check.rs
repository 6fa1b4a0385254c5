//! What the near-duplicate finder finds, and what a check costs beside decoding alone.
//!
//!     cargo bench --bench check -- found PICTURES ALTERED...
//!     cargo bench --bench check -- cost PICTURES [ROUNDS]
//!
//! `found` says how many pictures of each ALTERED (made by crates/curate/benches/check_pillow.py) are recognised as
//! those of PICTURES, and how many are taken for others. `cost` checks PICTURES and decodes them, in
//! turns, on all threads; ROUNDS defaults to 3. The ratio's limit is 1: a check decodes everything.

#[path = "../../../benches/timing/mod.rs"]
mod timing;

use std::path::Path;

use anyhow::bail;
use cnn_codes::dataset::{self, Pictures};
use cnn_codes::picture;
use cnn_codes_curate::check::{CheckOptions, Checked, check};
use rayon::prelude::*;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["found", pictures, altered @ ..] => altered
            .iter()
            .try_for_each(|altered| found(Path::new(pictures), Path::new(altered))),
        ["cost", pictures] => cost(Path::new(pictures), 3),
        ["cost", pictures, rounds] => cost(Path::new(pictures), rounds.parse()?),
        [] => cost(
            Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/train")),
            3,
        ),
        _ => bail!("give found PICTURES ALTERED... or cost PICTURES [ROUNDS]"),
    }
}

/// How many of `altered` are found to be the pictures of the same name in `pictures`.
fn found(pictures: &Path, altered: &Path) -> anyhow::Result<()> {
    let inputs = [input(pictures)?, input(altered)?];
    let n = inputs[1].1.listed.len();
    let checked = run(&inputs)?;
    let first = inputs[0].1.listed.len();
    let stem = |path: &str| {
        path.rsplit_once('.')
            .map_or(path, |(stem, _)| stem)
            .to_owned()
    };
    let original = |picture: &dataset::Picture| {
        let originals = &inputs[0].1.listed;
        originals
            .iter()
            .position(|other| stem(&other.path) == stem(&picture.path))
    };
    let n_found = (0..n)
        .filter(|&copy| {
            original(&inputs[1].1.listed[copy]).is_some_and(|original| {
                checked.group_of(original) == checked.group_of(first + copy)
            })
        })
        .count();
    println!(
        "{}: {n_found} of {n} ({:.1} %)",
        altered.display(),
        100.0 * n_found as f64 / n as f64
    );
    let names = |group: &cnn_codes_curate::check::DuplicateGroup| {
        let mut names: Vec<_> = group
            .members
            .iter()
            .map(|m| stem(&m.picture.path))
            .collect();
        names.sort();
        names.dedup();
        names
    };
    for group in &checked.duplicates {
        let names = names(group);
        if names.len() > 1 {
            println!("  together: {}", names.join("  "));
        }
    }
    Ok(())
}

/// The time of a check beside that of reading and decoding.
fn cost(pictures: &Path, rounds: usize) -> anyhow::Result<()> {
    let inputs = [input(pictures)?];
    let (mut decoding, mut checking) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        decoding.push(timing::seconds(|| {
            decode_all(&inputs[0].1);
            Ok(())
        })?);
        checking.push(timing::seconds(|| run(&inputs))?);
    }
    let ratios: Vec<f64> = checking.iter().zip(&decoding).map(|(c, d)| c / d).collect();
    let n = inputs[0].1.listed.len();
    let each = |seconds: Vec<f64>| 1e3 * timing::median(seconds) / n as f64;
    println!(
        "{n} pictures, {} threads, load {}, medians of {rounds}:\n\
         decoding {:.3} ms a picture, check {:.3} ms a picture, ratio {:.3} ({}){}",
        rayon::current_num_threads(),
        timing::load(),
        each(decoding),
        each(checking),
        timing::median(ratios.clone()),
        timing::range(&ratios),
        peak_memory().map_or(String::new(), |kib| format!("; most memory: {kib}")),
    );
    Ok(())
}

fn decode_all(pictures: &Pictures) {
    pictures.listed.par_iter().for_each(|one| {
        let bytes = pictures.read(one);
        std::hint::black_box(bytes.map(|bytes| picture::decode(&bytes))).ok();
    });
}

fn input(path: &Path) -> anyhow::Result<(String, Pictures)> {
    Ok((path.display().to_string(), dataset::find(path)?))
}

fn run(inputs: &[(String, Pictures)]) -> anyhow::Result<Checked> {
    let mut options = CheckOptions::default();
    options.threads = rayon::current_num_threads();
    Ok(check(inputs, &options, &())?)
}

/// What the system says of the most memory that this process had.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(
        line.split_whitespace()
            .skip(1)
            .collect::<Vec<_>>()
            .join(" "),
    )
}
