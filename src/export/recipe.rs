//! The recipes as nodes: the same float32 steps in the same order as in [`Recipe::apply`], and so
//! bitwise the same numbers.

use ort_winograd::onnx::{DataType, TensorProto, float32_tensor, int64_vector};

use super::chain::Chain;
use crate::picture::recipe::{CAFFE_MEAN, ONE_255TH, TORCH_DEVIATION, TORCH_MEAN};
use crate::picture::{Layout, Recipe};

/// Turns uint8 RGB (N, H, W, 3) into the trunk's input.
pub(super) fn append(chain: &mut Chain, recipe: Recipe, layout: Layout) {
    chain.cast(DataType::Float, "recipe/float32");
    match recipe {
        Recipe::Caffe => {
            chain.apply_constant("Sub", channels("mean", CAFFE_MEAN), "recipe/centred");
            blue_first(chain);
        }
        Recipe::Rescale => {
            chain.apply_constant("Mul", scalar("scale", ONE_255TH), "recipe/scaled");
        }
        Recipe::Torch => {
            chain.apply_constant("Div", scalar("scale", 255.0), "recipe/scaled");
            chain.apply_constant("Sub", channels("mean", TORCH_MEAN), "recipe/centred");
            let deviation = channels("deviation", TORCH_DEVIATION);
            chain.apply_constant("Div", deviation, "recipe/standard");
        }
        Recipe::Tf => {
            chain.apply_constant("Div", scalar("scale", 127.5), "recipe/scaled");
            chain.apply_constant("Sub", scalar("shift", 1.0), "recipe/centred");
        }
        Recipe::None => {}
        Recipe::Normalized(normalization) => {
            if normalization.is_blue_first {
                blue_first(chain);
            }
            let mean = channels("mean", normalization.mean);
            chain.apply_constant("Sub", mean, "recipe/centred");
            let deviation = channels("deviation", normalization.deviation);
            chain.apply_constant("Div", deviation, "recipe/standard");
        }
    }
    if layout == Layout::ChannelsFirst {
        chain.transpose(&[0, 3, 1, 2], "recipe/channels_first");
    }
}

/// Turns RGB into BGR.
fn blue_first(chain: &mut Chain) {
    let order = int64_vector("recipe/order", &[2, 1, 0]);
    chain
        .apply_constant("Gather", order, "recipe/bgr")
        .push_int("axis", 3);
}

fn channels(name: &str, values: [f32; 3]) -> TensorProto {
    float32_tensor(&format!("recipe/{name}"), &[3], &values)
}

fn scalar(name: &str, value: f32) -> TensorProto {
    float32_tensor(&format!("recipe/{name}"), &[], &[value])
}
