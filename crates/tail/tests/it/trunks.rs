//! Tails of real trunks, before and after tuning, against ONNX Runtime.

use cnn_codes_tail::{Batch, Tail, TailError};
use ort_winograd::OnnxModel;

use crate::runtime::Channels::{First, Last};
use crate::runtime::{Channels, environment, outputs};
use crate::support::{assert_near, numbers, trunk, tune};

/// Float32 rounds by 6e-8, a thousand times over; tuned weights have to be those of the tail.
const TOLERANCE: f32 = 1e-5;

/// A tail gives what ONNX Runtime gives, and, written back after tuning, the graph what the tail gives.
fn check(model: &mut OnnxModel, ends: [(&str, Channels); 2], shape: [usize; 4], n_weights: usize) {
    let Some(environment) = environment() else {
        return;
    };
    let [(from, _), (to, _)] = ends;
    let mut tail = Tail::read(model, from, to).unwrap();
    assert_eq!(tail.n_weights(), n_weights);
    let codes = numbers(shape.iter().product(), 1);
    // As codes are, behind a ReLU.
    let codes: Vec<f32> = codes.into_iter().map(|code| code.max(0.0)).collect();
    let batch = Batch {
        shape,
        values: &codes,
    };
    let before = outputs(environment, model, ends, shape, &codes);
    assert_near("as read", &tail.outputs(batch).unwrap(), &before, TOLERANCE);
    tune(&mut tail, 7);
    let tuned = tail.outputs(batch).unwrap();
    assert_ne!(tuned, before);
    tail.write_into(model).unwrap();
    let after = outputs(environment, model, ends, shape, &codes);
    assert_near("as written", &tuned, &after, TOLERANCE);
}

#[test]
fn the_last_block_of_vgg16_can_be_tuned() {
    let Some(mut model) = trunk("vgg16_notop.onnx") else {
        return;
    };
    let ends = [("block4_pool", First), ("block5_pool", Last)];
    check(
        &mut model,
        ends,
        [2, 14, 14, 512],
        3 * (512 * 512 * 9 + 512),
    );
}

#[test]
fn all_of_vgg16_can_be_tuned_and_any_of_its_blocks() {
    let Some(mut model) = trunk("vgg16_notop.onnx") else {
        return;
    };
    for block in ["block1_pool", "block2_pool", "block3_pool"] {
        Tail::read(&model, block, "block5_pool").unwrap();
    }
    let ends = [("input", Last), ("block5_pool", Last)];
    check(&mut model, ends, [1, 32, 40, 3], 14_714_688);
}

#[test]
fn the_last_blocks_of_efficientnet_lite_can_be_tuned() {
    let Some(mut model) = trunk("efficientnet-lite0.onnx") else {
        return;
    };
    let ends = [("block14/sum", First), ("features", First)];
    let n_weights = 192 * 1152 + 1152 * 9 + 1152 * 320 + 320 * 1280 + 1152 * 2 + 320 + 1280;
    check(&mut model, ends, [2, 7, 7, 192], n_weights);
    let ends = [("block11/project", First), ("pooled", First)];
    let block = 2 * 192 * 1152 + 1152 * 25 + 2 * 1152 + 192;
    check(&mut model, ends, [2, 7, 7, 192], n_weights + 3 * block);
}

#[test]
fn a_block_of_stride_2_is_refused_with_the_tensors_behind_it() {
    let Some(model) = trunk("efficientnet-lite0.onnx") else {
        return;
    };
    let error = Tail::read(&model, "block9/sum", "pooled").unwrap_err();
    let said = error.to_string();
    let TailError::Form {
        operator,
        node,
        reason,
        cuts,
    } = error
    else {
        panic!("{said}");
    };
    assert_eq!(operator, "Conv");
    assert_eq!(node, "block11/depthwise/linear");
    assert_eq!(reason, "its stride is not 1");
    assert_eq!(cuts[..2], ["block11/depthwise/linear", "block11/depthwise"]);
    assert!(cuts.contains(&"block11/project".to_owned()));
    assert!(
        !cuts.contains(&"block12/project".to_owned()),
        "a sum goes around it"
    );
    for cut in &cuts {
        Tail::read(&model, cut, "pooled").unwrap();
    }
}
