//! The Open Inference Protocol, version 2, as KServe and Triton speak it.
//!
//! Inputs: `image`, BYTES (N), each the bytes of a picture file; or `pixels`, UINT8 (N, H, W, 3). Outputs:
//! `probabilities`, FP32 (N, K), and `label`, BYTES (N). Tensors are in the JSON, or behind it (the extension of binary
//! tensor data); bytes in the JSON are in base64.

use std::io::Cursor;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cnn_codes::messages::visible;
use cnn_codes::picture::RgbImage;
use image::ImageFormat;
use serde::Deserialize;
use serde_json::{Value, json};

use super::routes::{MOST_PICTURES, Served, outcomes};
use super::worker::Named;
use crate::web::refused::{Refused, json_of, refused, wrong};

/// How many bytes of a body are JSON, where tensors follow it.
const JSON_BYTES: HeaderName = HeaderName::from_static("inference-header-content-length");
/// The version of the model, of which there is one.
const VERSION: &str = "1";

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    id: Option<String>,
    inputs: Vec<Tensor>,
    #[serde(default)]
    outputs: Option<Vec<Output>>,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    shape: Vec<u64>,
    datatype: String,
    #[serde(default)]
    data: Option<Value>,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
struct Parameters {
    #[serde(default)]
    binary_data_size: Option<usize>,
    #[serde(default)]
    binary_data: Option<bool>,
    #[serde(default)]
    binary_data_output: Option<bool>,
}

pub async fn server(State(_): State<Arc<Served>>) -> Response {
    let told = json!({
        "name": "cnn-codes",
        "version": env!("CARGO_PKG_VERSION"),
        "extensions": ["binary_tensor_data"],
    });
    json_of(StatusCode::OK, told.to_string())
}

pub async fn is_live() -> Response {
    json_of(StatusCode::OK, json!({ "live": true }).to_string())
}

pub async fn is_ready() -> Response {
    json_of(StatusCode::OK, json!({ "ready": true }).to_string())
}

pub async fn is_model_ready(
    State(served): State<Arc<Served>>,
    Path(name): Path<String>,
) -> Response {
    match known(&served, &name) {
        Ok(()) => json_of(
            StatusCode::OK,
            json!({ "name": name, "ready": true }).to_string(),
        ),
        Err(refused) => refused.into_response(),
    }
}

pub async fn model(State(served): State<Arc<Served>>, Path(name): Path<String>) -> Response {
    if let Err(refused) = known(&served, &name) {
        return refused.into_response();
    }
    let n_classes = served.worker.classifier().classes().len();
    let told = json!({
        "name": name,
        "versions": [VERSION],
        "platform": "cnn-codes",
        "inputs": [
            { "name": "image", "datatype": "BYTES", "shape": [-1] },
            { "name": "pixels", "datatype": "UINT8", "shape": [-1, -1, -1, 3] },
        ],
        "outputs": [
            { "name": "probabilities", "datatype": "FP32", "shape": [-1, n_classes] },
            { "name": "label", "datatype": "BYTES", "shape": [-1] },
        ],
    });
    json_of(StatusCode::OK, told.to_string())
}

pub async fn infer(
    State(served): State<Arc<Served>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let response = inferred(&served, &name, request).await.into_response();
    let status = response.status().as_u16();
    served.metrics.request("/v2/models/NAME/infer", status);
    response
}

fn known(served: &Served, name: &str) -> Result<(), Refused> {
    if name == served.name {
        return Ok(());
    }
    let error = format!(
        "there is no model {}; it is called {}",
        visible(name),
        visible(&served.name)
    );
    Err(refused(StatusCode::NOT_FOUND, &error))
}

async fn inferred(served: &Served, name: &str, request: Request) -> Result<Response, Refused> {
    known(served, name)?;
    let n_json = request.headers().get(&JSON_BYTES).cloned();
    let held = served.bodies.read(request.into_body()).await?;
    let body = held.bytes;
    let n_json = match n_json {
        None => body.len(),
        Some(text) => {
            let n: Option<usize> = text.to_str().ok().and_then(|text| text.parse().ok());
            n.filter(|&n| n <= body.len()).ok_or_else(|| {
                wrong(format!(
                    "{JSON_BYTES} must be a number of bytes, of the {} there are",
                    body.len()
                ))
            })?
        }
    };
    let (text, behind) = body.split_at(n_json);
    let asked: Asked = serde_json::from_slice(text)
        .map_err(|error| wrong(format!("the request is no inference request: {error}")))?;
    let pictures = pictures(&asked, behind)?;
    let n = pictures.len();
    let (by, outcomes) = outcomes(served, pictures, held.room).await?;
    let (mut probabilities, mut labels) = (Vec::new(), Vec::new());
    let classes = by.classes();
    for outcome in outcomes {
        match outcome {
            Ok(prediction) => {
                labels.push(classes[prediction.class()].clone());
                probabilities.extend(prediction.probabilities);
            }
            Err(failure) => return Err(wrong(format!("{}: {}", failure.path, failure.error))),
        }
    }
    Ok(answered(
        &asked,
        name,
        n,
        classes.len(),
        &probabilities,
        &labels,
    ))
}

/// The pictures of the one input.
fn pictures(asked: &Asked, behind: &[u8]) -> Result<Vec<Named>, Refused> {
    let [input] = asked.inputs.as_slice() else {
        return Err(wrong(format!(
            "{} inputs are given; give image or pixels",
            asked.inputs.len()
        )));
    };
    let binary = match input.parameters.binary_data_size {
        Some(n) if n == behind.len() => Some(behind),
        Some(n) => {
            return Err(wrong(format!(
                "{} has {n} bytes behind the JSON, and there are {}",
                visible(&input.name),
                behind.len()
            )));
        }
        None => None,
    };
    let files = match (input.name.as_str(), input.datatype.as_str()) {
        ("image", "BYTES") => files(input, binary)?,
        ("pixels", "UINT8") => bitmaps(input, binary)?,
        (name, kind) => {
            return Err(wrong(format!(
                "there is no input {} of {}; there are image of BYTES and pixels of UINT8",
                visible(name),
                visible(kind)
            )));
        }
    };
    let named = files.into_iter().enumerate().map(|(row, file)| Named {
        name: format!("picture {row}"),
        file,
    });
    Ok(named.collect())
}

/// As many as a request may have.
fn count(n: u64) -> Result<usize, Refused> {
    match usize::try_from(n) {
        Ok(n @ 1..=MOST_PICTURES) => Ok(n),
        _ => Err(wrong(format!(
            "{n} pictures are asked for; a request has 1 to {MOST_PICTURES}"
        ))),
    }
}

/// Picture files: each after its length in four bytes, or a text in base64.
fn files(input: &Tensor, binary: Option<&[u8]>) -> Result<Vec<Vec<u8>>, Refused> {
    let n = count(input.shape.iter().copied().fold(1, u64::saturating_mul))?;
    let files = match (binary, &input.data) {
        (Some(mut bytes), _) => {
            let mut files = Vec::new();
            while let Some((len, rest)) = bytes.split_first_chunk::<4>() {
                let len = u32::from_le_bytes(*len) as usize;
                let cut = || wrong("the tensor image ends within a picture");
                let (file, rest) = rest.split_at_checked(len).ok_or_else(cut)?;
                files.push(file.to_vec());
                bytes = rest;
            }
            files
        }
        (None, Some(Value::Array(texts))) => {
            let file = |text: &Value| {
                let text = text
                    .as_str()
                    .ok_or_else(|| wrong("data of image must be texts in base64"))?;
                BASE64_STANDARD
                    .decode(text)
                    .map_err(|error| wrong(format!("data of image must be in base64: {error}")))
            };
            texts.iter().map(file).collect::<Result<_, _>>()?
        }
        _ => return Err(wrong("the input image has no data")),
    };
    match files.len() == n {
        true => Ok(files),
        false => Err(wrong(format!(
            "image is of {n} pictures, and there are {}",
            files.len()
        ))),
    }
}

/// Pixels as picture files that lose nothing.
fn bitmaps(input: &Tensor, binary: Option<&[u8]>) -> Result<Vec<Vec<u8>>, Refused> {
    let (n, height, width) = match *input.shape.as_slice() {
        [n, height, width, 3] => (n, height, width),
        [height, width, 3] => (1, height, width),
        _ => {
            return Err(wrong(format!(
                "pixels are {:?}; they must be (N, H, W, 3)",
                input.shape
            )));
        }
    };
    let n = count(n)?;
    let sides = [height, width].map(|side| u32::try_from(side).unwrap_or(0));
    let size = (u64::from(sides[0]) * u64::from(sides[1])).checked_mul(3);
    let size = size
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(0);
    let bytes = match (binary, &input.data) {
        (Some(bytes), _) => bytes.to_vec(),
        (None, Some(data)) => {
            let mut levels = Vec::new();
            flatten(data, &mut levels)?;
            levels
        }
        _ => return Err(wrong("the input pixels has no data")),
    };
    if size == 0 || bytes.len() != size.saturating_mul(n) {
        return Err(wrong(format!(
            "pixels are {:?}, and there are {} levels",
            input.shape,
            bytes.len()
        )));
    }
    let file = |pixels: &[u8]| {
        let picture = RgbImage::from_raw(sides[1], sides[0], pixels.to_vec());
        let mut file = Cursor::new(Vec::new());
        let picture = picture.expect("3 levels were counted for each pixel");
        let written = picture.write_to(&mut file, ImageFormat::Bmp);
        written.map_err(|error| wrong(format!("pixels make no picture: {error}")))?;
        Ok(file.into_inner())
    };
    bytes.chunks_exact(size).map(file).collect()
}

/// The levels of arrays in arrays.
fn flatten(data: &Value, levels: &mut Vec<u8>) -> Result<(), Refused> {
    match data {
        Value::Array(values) => values.iter().try_for_each(|value| flatten(value, levels)),
        value => match value.as_u64().map(u8::try_from) {
            Some(Ok(level)) => {
                levels.push(level);
                Ok(())
            }
            _ => Err(wrong(format!(
                "data of pixels must be levels from 0 to 255, and {value} is none"
            ))),
        },
    }
}

/// The answer, its tensors in the JSON or behind it.
fn answered(
    asked: &Asked,
    name: &str,
    n: usize,
    n_classes: usize,
    probabilities: &[f32],
    labels: &[String],
) -> Response {
    let is_wanted = |output: &str| match &asked.outputs {
        None => Some(asked.parameters.binary_data_output.unwrap_or(false)),
        Some(outputs) => outputs
            .iter()
            .find(|wanted| wanted.name == output)
            .map(|wanted| {
                let by_default = asked.parameters.binary_data_output.unwrap_or(false);
                wanted.parameters.binary_data.unwrap_or(by_default)
            }),
    };
    let (mut outputs, mut behind) = (Vec::new(), Vec::new());
    let mut push = |name: &str, kind: &str, shape: Value, data: Value, bytes: Vec<u8>| {
        let Some(is_binary) = is_wanted(name) else {
            return;
        };
        let mut output = json!({ "name": name, "datatype": kind, "shape": shape });
        if is_binary {
            output["parameters"] = json!({ "binary_data_size": bytes.len() });
            behind.extend(bytes);
        } else {
            output["data"] = data;
        }
        outputs.push(output);
    };
    let bytes = probabilities.iter().flat_map(|p| p.to_le_bytes()).collect();
    push(
        "probabilities",
        "FP32",
        json!([n, n_classes]),
        json!(probabilities),
        bytes,
    );
    let mut bytes = Vec::new();
    for label in labels {
        bytes.extend(u32::try_from(label.len()).unwrap_or(0).to_le_bytes());
        bytes.extend(label.as_bytes());
    }
    push("label", "BYTES", json!([n]), json!(labels), bytes);
    let mut told = json!({ "model_name": name, "model_version": VERSION, "outputs": outputs });
    if let Some(id) = &asked.id {
        told["id"] = json!(id);
    }
    let text = told.to_string();
    if behind.is_empty() {
        return json_of(StatusCode::OK, text);
    }
    let n_json = HeaderValue::from(text.len());
    let mut body = text.into_bytes();
    body.extend(behind);
    let kind = HeaderValue::from_static("application/octet-stream");
    ([(header::CONTENT_TYPE, kind), (JSON_BYTES, n_json)], body).into_response()
}
