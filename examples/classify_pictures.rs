//! Prints the most probable class of each picture.
//!
//!     cargo run --release --example classify_pictures -- head models/vgg16.toml pictures new.jpg
//!
//! head is such as `cnn-codes train-head` makes; the trunk lies beside its card, and ONNX Runtime
//! in `onnxruntime` beside it, where `cnn-codes fetch` puts them, or where ORT_DYLIB_PATH says.

use std::path::{Path, PathBuf};

use anyhow::bail;
use cnn_codes::dataset;
use cnn_codes::model::{Library, ModelCard, Runtime, Trunk, TrunkOptions, telemetry};
use cnn_codes::predict::{Classifier, PredictOptions, Predictor};

fn main() -> anyhow::Result<()> {
    // SAFETY: nothing has started a thread yet.
    unsafe { telemetry::disable() }
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [head, card, pictures @ ..] = arguments.as_slice() else {
        bail!("give a head, the card of its trunk, and pictures or folders of pictures");
    };
    let models = card.parent().unwrap_or(Path::new(""));
    let card = ModelCard::load(card)?;
    let model = models.join(&card.file);
    let runtime = Runtime::load(&Library::find(None, models)?)?;
    let on = TrunkOptions::default().with_threads(2);
    let trunk = Trunk::load(&runtime, card, &model, on)?;

    let classifier = Classifier::load(head, None)?;
    let classes = classifier.classes().to_vec();
    let options = PredictOptions::for_trunk(&trunk);
    let mut predictor = Predictor::new(classifier, trunk)?;
    for outcomes in predictor.predict(dataset::find_unlabelled(pictures)?, options) {
        for outcome in outcomes? {
            match outcome {
                Ok(prediction) => {
                    let class = prediction.class();
                    let probability = prediction.probabilities[class];
                    println!("{}: {} ({probability:.3})", prediction.path, classes[class]);
                }
                Err(failure) => println!("{}: {}", failure.path, failure.error),
            }
        }
    }
    Ok(())
}
