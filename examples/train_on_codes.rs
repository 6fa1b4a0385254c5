//! Trains both heads on stores of codes, and prints how often they are right.
//!
//!     cargo run --release --example train_on_codes -- codes/train codes/validation head
//!
//! The stores are such as `cnn-codes extract-features` makes; head is made.

use std::path::Path;

use anyhow::{Context, bail};
use cnn_codes::codes::Store;
use cnn_codes::files::Existing;
use cnn_codes::train::{TrainOptions, train};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [train_store, validation, head] = arguments.as_slice() else {
        bail!(
            "give three folders: the store to train on, the store to validate on, the head to make"
        );
    };
    let train_store = Store::open(Path::new(train_store))?;
    let validation = Store::open(Path::new(validation))?;

    let options = TrainOptions::default();
    let trained = train(&train_store, Some(&validation), &options, &())?;
    trained.heads.save(Path::new(head), Existing::Keep)?;
    let comparison = trained.comparison;

    for head in &comparison.heads {
        let accuracy = head.evaluation.top1_accuracy;
        println!("{}: {:.1}% right", head.name, 100.0 * accuracy);
    }
    let best = comparison
        .heads
        .iter()
        .min_by_key(|head| head.evaluation.errors);
    let best = best.context("both heads are trained by default")?;
    for (row, path) in comparison.pictures.iter().enumerate() {
        let (label, predicted) = (comparison.labels[row], best.evaluation.predicted[row]);
        if label != predicted {
            let [label, predicted] = [label, predicted].map(|class| &comparison.classes[class]);
            println!("{path}: {label}, taken for {predicted} by {}", best.name);
        }
    }
    Ok(())
}
