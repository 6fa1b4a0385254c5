//! Opens a session for a trunk, on the requested device and with the requested kernels.

use std::path::Path;

use ort::ep;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use ort_winograd::Rewritten;

use super::error::TrunkError;
use super::file::TrunkFile;
use super::options::{Device, Kernels, Provider, TrunkOptions};
use super::tensors::input_tensor;
use crate::model::Runtime;
use crate::model::card::ModelCard;

/// A session, and where it really runs.
pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) provider: Provider,
    /// Why CUDA is not used, although it was considered.
    pub(super) fallback: Option<String>,
    /// The model whose convolutions are not ONNX Runtime's.
    pub(super) rewritten: Option<Rewritten>,
}

/// Opens a session on the requested device.
pub(super) fn open_session(
    runtime: &Runtime,
    card: &ModelCard,
    file: &TrunkFile,
    options: TrunkOptions,
) -> Result<Opened, TrunkError> {
    let opened_on_cpu = |fallback| {
        let (session, rewritten) = on_cpu(runtime, file, options)?;
        Ok(Opened {
            session,
            provider: Provider::Cpu,
            fallback,
            rewritten,
        })
    };
    let wants_cpu = options.device == Device::Cpu
        || options.device == Device::Auto
            && (!runtime.has_cuda() || options.kernels == Kernels::Winograd);
    if wants_cpu {
        return opened_on_cpu(None);
    }
    if options.kernels == Kernels::Winograd {
        return Err(TrunkError::Kernels {
            reason: "they run on a CPU, and CUDA was asked for",
        });
    }
    match on_cuda(runtime, card, &file.bytes, options.threads) {
        Ok(session) => Ok(Opened {
            session,
            provider: Provider::Cuda,
            fallback: None,
            rewritten: None,
        }),
        Err(TrunkError::Cuda { reason, .. }) if options.device == Device::Auto => {
            opened_on_cpu(Some(reason))
        }
        Err(error) => Err(error),
    }
}

fn on_cpu(
    runtime: &Runtime,
    file: &TrunkFile,
    options: TrunkOptions,
) -> Result<(Session, Option<Rewritten>), TrunkError> {
    let failed = |error: ort::Error| TrunkError::Load {
        path: file.model.origin().to_owned(),
        source: error.into(),
    };
    let wants_winograd = match options.kernels {
        Kernels::Auto => Rewritten::is_fast_here(),
        Kernels::Winograd => true,
        Kernels::OnnxRuntime => false,
    };
    let rewritten = if wants_winograd {
        Rewritten::with(&file.model, options.threads, options.filters)
    } else {
        None
    };
    let session = match &rewritten {
        Some(rewritten) => with_winograd(runtime, rewritten, options.threads),
        None if options.kernels == Kernels::Winograd => {
            return Err(TrunkError::Kernels {
                reason: "the trunk has no 3 x 3 convolution of stride 1, border 1 and at least 16 \
                         channels whose weights are in the file",
            });
        }
        None => build(runtime, &file.bytes, options.threads, None),
    };
    Ok((session.map_err(failed)?, rewritten))
}

/// Builds a session on the CPU in which the kernels of `ort-winograd` compute the convolutions.
fn with_winograd(runtime: &Runtime, rewritten: &Rewritten, threads: usize) -> ort::Result<Session> {
    builder(runtime, threads)?
        .with_operators(rewritten.operators()?)?
        .commit_from_memory(rewritten.onnx_bytes())
}

fn on_cuda(
    runtime: &Runtime,
    card: &ModelCard,
    onnx: &[u8],
    threads: usize,
) -> Result<Session, TrunkError> {
    if !runtime.has_cuda() {
        return Err(TrunkError::Cuda {
            reason: format!(
                "the library {} is built without it",
                runtime.library().path.display()
            ),
            is_built_in: false,
        });
    }
    let unusable = |reason: String| TrunkError::Cuda {
        reason,
        is_built_in: true,
    };
    let profile = tempfile::tempdir().map_err(|error| unusable(error.to_string()))?;
    let mut session = build(runtime, onnx, threads, Some(profile.path()))
        .map_err(|error| unusable(error.message().to_owned()))?;
    // A provider may be registered and run nothing. Only a run shows where the nodes are.
    let input = &card.input;
    let len = 3 * input.width as usize * input.height as usize;
    let (numbers, levels) = (vec![0.0; len], vec![0; len]);
    let events = input_tensor(input, 1, &numbers, &levels)
        .and_then(|tensor| {
            session
                .run(ort::inputs![input.name.as_str() => tensor])
                .map(drop)
        })
        .and_then(|()| session.end_profiling())
        .map_err(|error| unusable(error.message().to_owned()))?;
    let events = std::fs::read_to_string(&events).map_err(|error| unusable(error.to_string()))?;
    match main_provider(&events).as_deref() {
        Some(name) if name == Provider::Cuda.name() => Ok(session),
        Some(name) => Err(unusable(format!("ONNX Runtime put the work on {name}"))),
        None => Err(unusable(
            "ONNX Runtime does not tell where the work ran".to_owned(),
        )),
    }
}

/// A session for the bytes of an ONNX file, on one thread of the CPU.
pub(super) fn plain(runtime: &Runtime, onnx: &[u8]) -> ort::Result<Session> {
    build(runtime, onnx, 1, None)
}

/// Builds a session for the bytes of an ONNX file; with `profile`, it runs on CUDA and writes a
/// profile into that folder.
fn build(
    runtime: &Runtime,
    onnx: &[u8],
    threads: usize,
    profile: Option<&Path>,
) -> ort::Result<Session> {
    let mut builder = builder(runtime, threads)?;
    if let Some(profile) = profile {
        builder = builder
            .with_execution_providers([ep::CUDA::default().build().error_on_failure()])?
            .with_profiling(profile.join("run"))?;
    }
    builder.commit_from_memory(onnx)
}

fn builder(runtime: &Runtime, threads: usize) -> ort::Result<SessionBuilder> {
    Ok(Session::builder(runtime.environment())?
        .with_intra_threads(threads)?
        // Decoders need the cores while the session waits for a batch.
        .with_intra_op_spinning(false)?)
}

/// The provider that ran most of the nodes in a profile of ONNX Runtime.
///
/// Nodes are counted, not timed: CUDA kernels are launched asynchronously.
fn main_provider(profile: &str) -> Option<String> {
    let events: Vec<serde_json::Value> = serde_json::from_str(profile).ok()?;
    let mut nodes = std::collections::BTreeMap::<&str, usize>::new();
    for provider in events
        .iter()
        .filter_map(|event| event["args"]["provider"].as_str())
    {
        *nodes.entry(provider).or_default() += 1;
    }
    nodes
        .into_iter()
        .max_by_key(|&(_, nodes)| nodes)
        .map(|(provider, _)| provider.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_that_ran_most_nodes_is_read_off_a_profile() {
        // Cut from profiles of ONNX Runtime 1.32: one event a kernel, and some without a provider.
        let profile = r#"[
            {"cat":"Session","dur":47569,"name":"model_loading_uri","args":{}},
            {"cat":"Node","dur":90,"args":{"op_name":"Transpose","provider":"CPUExecutionProvider"}},
            {"cat":"Node","dur":30,"args":{"op_name":"MaxPool","provider":"CUDAExecutionProvider"}},
            {"cat":"Node","dur":70,"args":{"op_name":"Conv","provider":"CUDAExecutionProvider"}}
        ]"#;
        assert_eq!(
            main_provider(profile).as_deref(),
            Some("CUDAExecutionProvider")
        );
        assert_eq!(main_provider("[]"), None);
        assert_eq!(main_provider("no profile"), None);
    }
}
