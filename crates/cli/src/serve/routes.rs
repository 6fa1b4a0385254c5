//! What is answered to which path.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cnn_codes::predict::{Classifier, Outcome};
use serde_json::json;

use super::metrics::Metrics;
use super::training::{MOST_NEAR, Shown};
use super::worker::{Named, NotTaken, Worker};
use super::{openapi, page, v2};
use crate::predict::{Format, Printed, Wanted};
use crate::web;
use crate::web::body::{Bodies, Taken};
use crate::web::refused::{Refused, busy, json_of, refused, wrong};

/// Pictures in a request.
pub(super) const MOST_PICTURES: usize = 100;
/// What a picture without a name is called.
const UNNAMED: &str = "picture";

/// What all requests share.
pub struct Served {
    pub worker: Arc<Worker>,
    pub metrics: Arc<Metrics>,
    pub bodies: Bodies,
    pub wanted: Wanted,
    /// The training pictures, where they may be shown.
    pub shown: Option<Shown>,
    /// The model's name in the Open Inference Protocol: HEAD's.
    pub name: String,
}

/// All paths.
pub fn routes(served: Arc<Served>) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/app.js", get(page::script))
        .route("/style.css", get(page::style))
        .route("/favicon.ico", get(web::page::icon))
        .route("/openapi.json", get(openapi::description))
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route("/predict", post(predict).put(predict))
        .route("/training/{row}", get(training))
        .route("/predict/{name}", post(predict_named).put(predict_named))
        .route("/v2", get(v2::server))
        .route("/v2/health/live", get(v2::is_live))
        .route("/v2/health/ready", get(v2::is_ready))
        .route("/v2/models/{name}", get(v2::model))
        .route("/v2/models/{name}/ready", get(v2::is_model_ready))
        .route("/v2/models/{name}/infer", post(v2::infer))
        .fallback(nowhere)
        .method_not_allowed_fallback(not_so)
        .with_state(served)
}

async fn nowhere() -> Refused {
    refused(
        StatusCode::NOT_FOUND,
        "there is nothing at this path; /openapi.json describes what there is",
    )
}

async fn not_so() -> Refused {
    refused(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path is not asked so; /openapi.json describes how",
    )
}

async fn health() -> &'static str {
    "ok\n"
}

async fn metrics(State(served): State<Arc<Served>>) -> Response {
    let text = served.metrics.to_text(served.worker.n_waiting());
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

type Asked = Query<HashMap<String, String>>;

async fn predict(
    State(served): State<Arc<Served>>,
    Query(asked): Asked,
    request: Request,
) -> Response {
    let response = answer(&served, &asked, None, request).await.into_response();
    served
        .metrics
        .request("/predict", response.status().as_u16());
    response
}

async fn predict_named(
    State(served): State<Arc<Served>>,
    Path(name): Path<String>,
    Query(asked): Asked,
    request: Request,
) -> Response {
    let response = answer(&served, &asked, Some(name), request)
        .await
        .into_response();
    served
        .metrics
        .request("/predict", response.status().as_u16());
    response
}

/// The document that `predict --format json` prints for these pictures.
async fn answer(
    served: &Served,
    asked: &HashMap<String, String>,
    name: Option<String>,
    request: Request,
) -> Result<Response, Refused> {
    let (wanted, nearest) = wanted(served.wanted, asked)?;
    let is_form = has_type(request.headers(), "multipart/form-data");
    let (pictures, room) = match is_form {
        true => of_form(served, request).await?,
        false => {
            let held = served.bodies.read(request.into_body()).await?;
            let name = name.unwrap_or_else(|| UNNAMED.to_owned());
            let file = held.bytes;
            (vec![Named { name, file }], held.room)
        }
    };
    if pictures.is_empty() || pictures.iter().all(|picture| picture.file.is_empty()) {
        return Err(refused(
            StatusCode::BAD_REQUEST,
            "there is no picture in the request; send the bytes of a picture file, or a form with files",
        ));
    }
    let (by, outcomes) = outcomes(served, pictures, room).await?;
    let status = match outcomes.iter().any(Result::is_ok) {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let mut printed = Printed::new(Format::Json, wanted, &by, std::iter::empty());
    let training = served.shown.as_ref().and_then(Shown::training);
    if let (Some(training), 1..) = (training, nearest) {
        printed = printed.with_nearest(move |prediction| json!(training.near(prediction, nearest)));
    }
    let document = printed.begin() + &printed.outcomes(&outcomes) + &printed.end();
    Ok(json_of(status, document))
}

/// A small training picture.
async fn training(
    State(served): State<Arc<Served>>,
    Path(row): Path<String>,
) -> Result<Response, Refused> {
    let row = row.parse();
    let row: usize =
        row.map_err(|_| wrong("a row is a number, as `nearest` of a prediction has it"))?;
    let absent = |why: &str| refused(StatusCode::NOT_FOUND, why);
    let Some(shown) = served.shown.clone() else {
        return Err(absent("training pictures are not shown here"));
    };
    let picture = tokio::task::spawn_blocking(move || {
        let training = shown.training().ok_or("training pictures are not there")?;
        training.thumbnail(row, shown.budget())
    });
    let picture = picture
        .await
        .unwrap_or_else(|_| Err("a mistake within the server".to_owned()));
    let picture = picture.map_err(|why| absent(&why))?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], picture).into_response())
}

/// What comes of pictures, once the worker is through with them.
pub(super) async fn outcomes(
    served: &Served,
    pictures: Vec<Named>,
    room: Taken,
) -> Result<(Arc<Classifier>, Vec<Outcome>), Refused> {
    let answer = served
        .worker
        .take(pictures, room)
        .map_err(|why| match why {
            NotTaken::Busy => busy(),
            NotTaken::Ending => refused(
                StatusCode::SERVICE_UNAVAILABLE,
                "the server is about to end",
            ),
        })?;
    let inside = |error: &str| refused(StatusCode::INTERNAL_SERVER_ERROR, error);
    match answer.await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(inside(&error)),
        Err(_) => Err(inside(
            "the pictures were not predicted, for a mistake within the server",
        )),
    }
}

/// What is told of each picture: as the server was started, or as the request asks; and how many of the nearest
/// training pictures.
fn wanted(wanted: Wanted, asked: &HashMap<String, String>) -> Result<(Wanted, usize), Refused> {
    let outside = |name: &str, text: &str, what: &str| {
        wrong(format!("{name}={text} is wrong: it must be {what}"))
    };
    let (mut wanted, mut nearest) = (wanted, 0);
    for (name, text) in asked {
        match name.as_str() {
            "top_k" => match text.parse() {
                Ok(top_k @ 1..) => wanted.top_k = top_k,
                _ => return Err(outside(name, text, "a number of classes, 1 or more")),
            },
            "nearest" => match text.parse() {
                Ok(n @ ..=MOST_NEAR) => nearest = n,
                _ => {
                    return Err(outside(
                        name,
                        text,
                        "a number of training pictures, 10 at most",
                    ));
                }
            },
            "min_confidence" => match text.parse() {
                Ok(share) if (0.0..=1.0).contains(&share) => wanted.min_confidence = Some(share),
                _ => return Err(outside(name, text, "from 0 to 1")),
            },
            _ => {
                return Err(wrong(format!(
                    "{name} is no parameter; there are top_k, min_confidence and nearest"
                )));
            }
        }
    }
    Ok((wanted, nearest))
}

/// The files of a form.
async fn of_form(served: &Served, request: Request) -> Result<(Vec<Named>, Taken), Refused> {
    let kind = request.headers().get(header::CONTENT_TYPE).cloned();
    let held = served.bodies.read(request.into_body()).await?;
    // The whole body is here: the parser neither waits nor grows.
    let mut whole = Request::new(Body::from(held.bytes));
    whole
        .headers_mut()
        .extend(kind.map(|kind| (header::CONTENT_TYPE, kind)));
    let wrong = |error: String| {
        refused(
            StatusCode::BAD_REQUEST,
            format!("the form cannot be read: {error}"),
        )
    };
    let form = Multipart::from_request(whole, &()).await;
    let mut form = form.map_err(|error| wrong(error.body_text()))?;
    let mut pictures = Vec::new();
    while let Some(field) = form
        .next_field()
        .await
        .map_err(|error| wrong(error.body_text()))?
    {
        if pictures.len() == MOST_PICTURES {
            let error = format!(
                "a request may have {MOST_PICTURES} pictures; send the others in another one"
            );
            return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, &error));
        }
        let name = field
            .file_name()
            .or(field.name())
            .unwrap_or(UNNAMED)
            .to_owned();
        let file = field
            .bytes()
            .await
            .map_err(|error| wrong(error.body_text()))?;
        pictures.push(Named {
            name,
            file: file.to_vec(),
        });
    }
    Ok((pictures, held.room))
}

fn has_type(headers: &HeaderMap, kind: &str) -> bool {
    let given = headers.get(header::CONTENT_TYPE);
    let given = given.and_then(|value| value.to_str().ok());
    given.is_some_and(|given| given.trim_start().to_ascii_lowercase().starts_with(kind))
}
