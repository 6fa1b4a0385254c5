//! Graphs that were made to do harm.

use cnn_codes_tail::{Batch, InputGradient, Tail};
use ort_winograd::OnnxModel;
use ort_winograd::onnx::{GraphProto, TensorProto};
use proptest::prelude::*;

use crate::networks::{Case, cases};

/// A change to a tensor: to its shape, its values, or its kind.
fn spoil(tensor: &mut TensorProto, how: u8, number: i64) {
    match how {
        0 => tensor.dims.push(number),
        1 => tensor
            .dims
            .truncate(usize::try_from(number.rem_euclid(4)).unwrap()),
        2 => tensor.dims.iter_mut().for_each(|dim| *dim = number),
        3 => tensor.dims.iter_mut().take(1).for_each(|dim| *dim = number),
        4 => tensor.data_type = Some(i32::try_from(number.rem_euclid(20)).unwrap()),
        _ => {
            tensor.raw_data = tensor
                .raw_data
                .take()
                .map(|data| data.slice(..data.len() / 2))
        }
    }
}

fn numbers() -> impl Strategy<Value = i64> {
    prop_oneof![
        -2_i64..6,
        Just(i64::MAX),
        Just(i64::MIN),
        Just(i64::from(u32::MAX)),
        any::<i64>()
    ]
}

/// Reads it, and runs what could be read.
fn use_it(graph: impl FnOnce(&mut GraphProto), case: Case) {
    let Case { model, batch, .. } = case;
    let mut proto = model.into_proto();
    graph(proto.graph.as_mut().unwrap());
    let Ok(model) = OnnxModel::from_proto(proto, "hostile.onnx".as_ref()) else {
        return;
    };
    let Ok(tail) = Tail::read(&model, "x", "y") else {
        return;
    };
    let values = vec![0.5; batch.iter().product()];
    let batch = Batch {
        shape: batch,
        values: &values,
    };
    if let Ok((outputs, tape)) = tail.forward(batch) {
        tail.backward(&tape, &outputs, InputGradient::Wanted)
            .unwrap();
    }
    tail.write_into(&mut model.clone()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_weights_make_it_panic(which in 0_usize..1000, case in 0_usize..1000, how in 0_u8..6, number in numbers()) {
        let mut cases = cases();
        let case = cases.swap_remove(case % cases.len());
        use_it(|graph| {
            let index = which % graph.initializer.len();
            spoil(&mut graph.initializer[index], how, number);
        }, case);
    }

    #[test]
    fn no_attributes_make_it_panic(
        which in 0_usize..1000, case in 0_usize..1000, at in 0_usize..4, number in numbers(),
    ) {
        let mut cases = cases();
        let case = cases.swap_remove(case % cases.len());
        use_it(|graph| {
            let attributes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
            let mut attributes: Vec<_> = attributes.collect();
            let index = which % attributes.len().max(1);
            if let Some(attribute) = attributes.get_mut(index) {
                attribute.i = Some(number);
                if let Some(place) = attribute.ints.get_mut(at) {
                    *place = number;
                }
            }
        }, case);
    }

    #[test]
    fn no_connections_make_it_panic(which in 0_usize..1000, case in 0_usize..1000, slot in 0_usize..5, to in 0_usize..1000) {
        let mut cases = cases();
        let case = cases.swap_remove(case % cases.len());
        use_it(|graph| {
            let mut names: Vec<String> = graph.initializer.iter().map(|t| t.name().to_owned()).collect();
            names.extend(graph.node.iter().map(|node| node.output[0].clone()));
            names.extend(["x".to_owned(), String::new()]);
            let node = which % graph.node.len();
            if let Some(input) = graph.node[node].input.get_mut(slot) {
                input.clone_from(&names[to % names.len()]);
            }
        }, case);
    }
}
