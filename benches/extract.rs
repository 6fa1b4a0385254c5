//! Extraction end to end against a bare loop over ready tensors in the same session, in turns.
//!
//!     cargo bench --bench extract -- [PICTURES] [ROUNDS]
//!
//! PICTURES holds one folder per class (default: data/train); ROUNDS defaults to 3. Needs
//! `cnn-codes fetch`. The ratio says what decoding, hashing and writing cost: 1 is nothing at all.

mod timing;

use std::path::{Path, PathBuf};
use std::time::Instant;

use cnn_codes::dataset::{self, Pictures};
use cnn_codes::extract::{ExtractOptions, Extractor, OnFailure};
use cnn_codes::model::{Device, Library, ModelCard, Runtime, Trunk, TrunkOptions};
use cnn_codes::picture::{self, Preparation};

use timing::median;

const BATCH_SIZE: usize = 20;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let pictures = PathBuf::from(arguments.first().map_or("data/train", String::as_str));
    let rounds = arguments.get(1).map_or(Ok(3), |rounds| rounds.parse())?;

    let threads = std::thread::available_parallelism()?.get();
    let card = ModelCard::vgg16();
    let model = Path::new("models").join(&card.file);
    let runtime = Runtime::load(&Library::find(None, Path::new("models"))?)?;
    let options = options(&card, threads);
    let device = Device::Cpu;
    let mut trunk = Trunk::load(
        &runtime,
        card,
        &model,
        TrunkOptions::default()
            .with_device(device)
            .with_threads(threads),
    )?;
    let dataset = dataset::find(&pictures)?;
    let batches = ready_tensors(&dataset, &options.preparation)?;
    let place = tempfile::tempdir()?;

    let (mut bare, mut whole) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        bare.push(rate(dataset.len(), || {
            let mut codes = Vec::new();
            for tensor in &batches {
                trunk.run(tensor, &mut codes)?;
            }
            Ok(())
        })?);
        let out = place.path().join(round.to_string());
        whole.push(rate(dataset.len(), || {
            let dataset = dataset::find(&pictures)?;
            let extractor = Extractor::new(&mut trunk).options(options.clone());
            let extracted = extractor.run(dataset, &out)?;
            println!("  stages busy: {:.2?}", extracted.busy);
            Ok(())
        })?);
        println!(
            "round {round}: bare {:.2}, extract {:.2} pictures/s",
            bare[round], whole[round]
        );
    }
    let (bare, whole) = (median(bare), median(whole));
    println!(
        "{} pictures, {threads} threads, batches of {BATCH_SIZE}, medians of {rounds}:\n\
         bare session loop {bare:.2} pictures/s, extract {whole:.2} pictures/s, ratio {:.3}",
        dataset.len(),
        whole / bare
    );
    println!("limit: the session itself; a ratio of 1 leaves nothing to win outside it");
    Ok(())
}

fn options(card: &ModelCard, threads: usize) -> ExtractOptions {
    let mut options = ExtractOptions::for_card(card);
    options.batch_size = BATCH_SIZE;
    options.threads = threads;
    options.on_failure = OnFailure::Stop;
    options
}

/// Every batch's tensor.
fn ready_tensors(dataset: &Pictures, preparation: &Preparation) -> anyhow::Result<Vec<Vec<f32>>> {
    let len = preparation.tensor_len();
    let mut batches = Vec::new();
    for chunk in dataset.listed.chunks(BATCH_SIZE) {
        let mut tensor = vec![0.0; chunk.len() * len];
        for (picture, tensor) in chunk.iter().zip(tensor.chunks_mut(len)) {
            let bytes = dataset.read(picture)?;
            preparation.prepare(&picture::decode(&bytes)?, tensor);
        }
        batches.push(tensor);
    }
    Ok(batches)
}

/// Pictures per second of `work` on `n` pictures.
fn rate(n: usize, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(n as f64 / start.elapsed().as_secs_f64())
}
