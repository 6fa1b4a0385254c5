//! Any bytes are a model of which any part is a tail, or an error; and a tail runs forward and backward, and is
//! written back so that it is read again.
#![no_main]

use std::path::Path;

use cnn_codes_tail::{Batch, InputGradient, Tail};
use libfuzzer_sys::fuzz_target;
use ort_winograd::OnnxModel;

/// Starts and ends that are tried.
const MOST_NAMES: usize = 4;

/// Channels of a batch that are tried.
const MOST_CHANNELS: usize = 4;

/// Rows and columns of a batch.
const SIDE: usize = 5;

/// Numbers of an output, beyond which a batch is not run.
const MOST_NUMBERS: usize = 100_000;

fuzz_target!(|bytes: &[u8]| {
    let bytes = bytes.to_vec().into();
    let Ok(model) = OnnxModel::from_bytes(bytes, Path::new("model.onnx")) else {
        return;
    };
    let graph = model.graph();
    let computed = graph.node.iter().flat_map(|node| &node.output);
    let inputs = graph.input.iter().map(|info| info.name());
    let starts = inputs.chain(computed.clone().map(String::as_str));
    for to in computed.rev().take(MOST_NAMES) {
        for from in starts.clone().take(MOST_NAMES) {
            if let Ok(tail) = Tail::read(&model, from, to) {
                run(&tail);
                write(&tail, &model);
            }
        }
    }
});

fn run(tail: &Tail) {
    for channels in 1..=MOST_CHANNELS {
        let shape = tail.output_shape([SIDE, SIDE, channels]);
        if !shape.is_ok_and(|shape| shape.iter().product::<usize>() <= MOST_NUMBERS) {
            continue;
        }
        let values = vec![0.5; SIDE * SIDE * channels];
        let batch = Batch {
            shape: [1, SIDE, SIDE, channels],
            values: &values,
        };
        let (outputs, tape) = tail.forward(batch).expect("its shape fits");
        tail.backward(&tape, &outputs, InputGradient::Wanted)
            .expect("they are as long as themselves");
    }
}

/// What is written is read as the same weights.
fn write(tail: &Tail, model: &OnnxModel) {
    let mut written = model.clone();
    tail.write_into(&mut written).expect("it is the model that was read");
    let again = Tail::read(&written, tail.from(), tail.to()).expect("as before");
    for (tensor, before) in again.tensors().iter().zip(tail.tensors()) {
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(tensor.values()), bits(before.values()));
    }
}
