//! The library's integration tests, in one program.

mod dataset_inputs;
mod efficientnet_lite;
mod examples;
mod head_saved;
mod hostile_inputs;
mod model_card;
mod model_draft;
mod model_tokens;
mod model_trunk;
mod picture_decode;
mod picture_hostile;
mod picture_prepare;
mod shared_vgg16_keras;
mod shared_winograd;
mod statistics;
mod store;
mod tune;

use test_support as support;
