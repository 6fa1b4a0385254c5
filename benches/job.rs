//! The tutorial's whole job, pictures to judged heads, against Keras, in turns.
//!
//!     cargo bench --bench job -- [TRAIN VALIDATION] [ROUNDS]
//!
//! TRAIN and VALIDATION hold one folder per class (default: data/train and data/validation); ROUNDS
//! defaults to 3. Needs `cnn-codes fetch`. Both start with files alone and end with heads that were judged on the
//! validation pictures: ours with an MLP, a logistic regression and nearest centroids, Keras with the MLP.
//! Ours loads the trunk within the job, and writes and reads its stores.
//!
//! The environment variable CNN_CODES_TEST_PYTHON names a Python with Keras, Pillow and onnx
//! (KERAS_BACKEND is its backend), whose half is `job_keras.py`; without it there is nothing to compare with.

mod peer;
mod timing;

use std::path::{Path, PathBuf};

use anyhow::ensure;
use cnn_codes::codes::Store;
use cnn_codes::dataset;
use cnn_codes::extract::Extractor;
use cnn_codes::model::{Device, Library, ModelCard, Runtime, Trunk, TrunkOptions};
use cnn_codes::train::{TrainOptions, train};

use peer::Peer;
use timing::{load, median, range, seconds};

fn main() -> anyhow::Result<()> {
    let mut arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let rounds = match arguments.len() {
        1 | 3 => arguments.pop().expect("there is one").parse()?,
        _ => 3,
    };
    ensure!(rounds > 0, "at least one round");
    let folders = match &arguments[..] {
        [] => ["data/train", "data/validation"].map(PathBuf::from),
        [train, validation] => [train, validation].map(PathBuf::from),
        _ => anyhow::bail!("give two folders of pictures or none"),
    };
    let mut keras = start_keras(&folders);
    let (mut ours, mut theirs) = (Parts::default(), Parts::default());
    for _ in 0..rounds {
        let place = tempfile::tempdir()?;
        let extracting = seconds(|| extract(&folders, place.path()))?;
        ours.push(extracting, seconds(|| train_heads(place.path()))?);
        if let Some(keras) = &mut keras {
            let extracting = seconds(|| keras.ask("extract"))?;
            theirs.push(extracting, seconds(|| keras.ask("train"))?);
        }
    }
    println!("medians of {rounds} rounds in turns; load {}", load());
    ours.print("cnn-codes");
    if keras.is_some() {
        theirs.print("Keras");
        let ratios = |of: fn(&Parts) -> &Vec<f64>| {
            let pairs = of(&theirs).iter().zip(of(&ours));
            median(pairs.map(|(theirs, ours)| theirs / ours).collect())
        };
        println!(
            "ratio: extraction {:.2}, training {:.2}, all {:.2}",
            ratios(|parts| &parts.extracting),
            ratios(|parts| &parts.training),
            ratios(|parts| &parts.whole),
        );
    }
    Ok(())
}

/// Seconds of each round.
#[derive(Default)]
struct Parts {
    extracting: Vec<f64>,
    training: Vec<f64>,
    whole: Vec<f64>,
}

impl Parts {
    fn push(&mut self, extracting: f64, training: f64) {
        self.extracting.push(extracting);
        self.training.push(training);
        self.whole.push(extracting + training);
    }

    fn print(&self, name: &str) {
        println!(
            "{name:10} extraction {:7.2} s, training {:6.2} s, all {:7.2} s ({})",
            median(self.extracting.clone()),
            median(self.training.clone()),
            median(self.whole.clone()),
            range(&self.whole),
        );
    }
}

/// A Keras with its network built.
fn start_keras(folders: &[PathBuf; 2]) -> Option<Peer> {
    let Some(python) = std::env::var_os("CNN_CODES_TEST_PYTHON") else {
        println!("CNN_CODES_TEST_PYTHON names no Python with Keras: nothing to compare with");
        return None;
    };
    let model = Path::new("models").join(ModelCard::vgg16().file);
    let arguments = [&*model, &folders[0], &folders[1]];
    let keras = Peer::start(&python, "job_keras.py", &arguments);
    keras
        .inspect_err(|error| println!("no Keras: {error:#}"))
        .ok()
}

/// Extracts the codes of both folders into stores.
fn extract(folders: &[PathBuf; 2], place: &Path) -> anyhow::Result<()> {
    let runtime = Runtime::load(&Library::find(None, Path::new("models"))?)?;
    let card = ModelCard::vgg16();
    let model = Path::new("models").join(&card.file);
    let options = TrunkOptions::default().with_device(Device::Cpu);
    let mut trunk = Trunk::load(&runtime, card, &model, options)?;
    for (folder, side) in folders.iter().zip(["train", "validation"]) {
        Extractor::new(&mut trunk).run(dataset::find(folder)?, &place.join(side))?;
    }
    Ok(())
}

/// Trains and judges all heads.
fn train_heads(place: &Path) -> anyhow::Result<()> {
    let [on, against] = ["train", "validation"].map(|side| Store::open(&place.join(side)));
    let (on, against) = (on?, against?);
    train(&on, Some(&against), &TrainOptions::default(), &())?;
    Ok(())
}
