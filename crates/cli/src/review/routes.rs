//! What is answered to which path.

use std::sync::Arc;

use anyhow::anyhow;
use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cnn_codes::codes::Corrections;
use cnn_codes::train::Why;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::page;
use super::parts::{Part, Role};
use super::queue::{Item, Order};
use super::said::ChangedElsewhere;
use super::session::{Saying, Session, lock};
use super::token::Token;
use super::training::{begin, errors};
use crate::page::{LARGE, SMALL};
use crate::remedy;
use crate::web;
use crate::web::body::Bodies;
use crate::web::refused::{Refused, json_of, refused, wrong};

/// Bytes of a request.
const MOST_BYTES: usize = 64 << 10;
/// Neighbours that are shown.
const NEIGHBOURS: usize = 6;

/// What all requests share.
#[derive(Clone)]
struct Shared {
    session: Arc<Session>,
    bodies: Bodies,
}

/// All paths. What tells or changes anything needs the token.
pub fn routes(session: Arc<Session>, token: Token) -> Router {
    let shared = Shared {
        session,
        bodies: Bodies::new(MOST_BYTES),
    };
    let guarded = Router::new()
        .route("/api/state", get(state))
        .route("/api/queue/{role}", get(queue))
        .route("/api/picture/{role}/{row}", get(picture))
        .route("/api/neighbours/{role}/{row}", get(neighbours))
        .route("/api/say", post(say))
        .route("/api/undo", post(undo))
        .route("/api/train", post(train))
        .route_layer(from_fn_with_state(token, knows_the_token))
        .with_state(shared);
    Router::new()
        .route("/", get(page::page))
        .route("/app.js", get(page::script))
        .route("/style.css", get(page::style))
        .route("/favicon.ico", get(web::page::icon))
        .merge(guarded)
        .fallback(nowhere)
        .method_not_allowed_fallback(not_so)
}

async fn nowhere() -> Refused {
    refused(StatusCode::NOT_FOUND, "there is nothing at this path")
}

async fn not_so() -> Refused {
    let error = "this path is not asked so";
    refused(StatusCode::METHOD_NOT_ALLOWED, error)
}

async fn knows_the_token(State(token): State<Token>, request: Request, next: Next) -> Response {
    if token.is_in(request.headers()) {
        return next.run(request).await;
    }
    let error = "this needs the token of the address that `cnn-codes review` printed; open the page by that address";
    refused(StatusCode::UNAUTHORIZED, error).into_response()
}

/// A request whose work may wait for the disk, on a thread for that.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> Result<T, Refused> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| told(&error)),
        Err(_) => Err(refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            "a mistake within the server",
        )),
    }
}

fn told(error: &anyhow::Error) -> Refused {
    let status = match error.downcast_ref::<ChangedElsewhere>() {
        Some(_) => StatusCode::CONFLICT,
        None => StatusCode::UNPROCESSABLE_ENTITY,
    };
    refused(status, remedy::message(error.as_ref()))
}

fn answer(value: &Value) -> Response {
    json_of(StatusCode::OK, value.to_string())
}

async fn state(State(shared): State<Shared>) -> Result<Response, Refused> {
    let told = on_a_thread(move || state_of(&shared.session)).await?;
    Ok(answer(&told))
}

fn state_of(session: &Session) -> anyhow::Result<Value> {
    let looked = session.looked();
    let corrections = session.corrections();
    let classes = &looked.heads.classes;
    let mut parts = Vec::new();
    let (mut changed, mut set_aside, mut added) = (0, 0, 0);
    for part in &session.parts.all {
        let labels = |said: &Corrections| said.labels(&part.store, classes);
        let pairs = labels(&looked.before)?
            .into_iter()
            .zip(labels(&corrections)?);
        let differing: Vec<_> = pairs.filter(|(before, now)| before != now).collect();
        if part.role != Role::Validation {
            set_aside += differing.iter().filter(|(_, now)| now.is_none()).count();
            added += differing
                .iter()
                .filter(|(before, _)| before.is_none())
                .count();
            changed += differing
                .iter()
                .filter(|(a, b)| a.is_some() && b.is_some())
                .count();
        }
        parts.push(json!({
            "role": part.role,
            "store": part.store.dir().display().to_string(),
            "pictures": part.store.pictures().len(),
            "said": corrections.n_in(&part.store),
            "differing": differing.len(),
        }));
    }
    let train = session.parts.train();
    Ok(json!({
        "head": session.parts.head.display().to_string(),
        "classes": classes,
        "parts": parts,
        "said": corrections.all().len(),
        "relabel": session.relabel().display().to_string(),
        "since": { "changed": changed, "set_aside": set_aside, "added": added },
        "copies": session.copies().told(train.store.pictures()),
        "head_errors": errors(&looked.comparison),
        "judged_in_folds": !looked.comparison.dealings.is_empty(),
        "job": &*lock(&session.job),
    }))
}

/// How pictures are ordered.
#[derive(Deserialize)]
struct Ordered {
    #[serde(default)]
    order: Order,
}

async fn queue(
    State(shared): State<Shared>,
    Path(role): Path<Role>,
    Query(Ordered { order }): Query<Ordered>,
) -> Result<Response, Refused> {
    let told = on_a_thread(move || queue_of(&shared.session, role, order)).await?;
    Ok(answer(&told))
}

fn queue_of(session: &Session, role: Role, order: Order) -> anyhow::Result<Value> {
    let (_, part) = session.part(role)?;
    let corrections = session.corrections();
    let looked = session.looked();
    let classes = &looked.heads.classes;
    let items: Vec<Value> = session
        .items(role, order)?
        .iter()
        .map(|item| told_of(part, item, classes, &corrections))
        .collect();
    Ok(json!({ "items": items }))
}

/// What the page is told of a picture.
fn told_of(part: &Part, item: &Item, classes: &[String], corrections: &Corrections) -> Value {
    let Item { doubt, copy_of } = item;
    let picture = &part.store.pictures()[doubt.row];
    let said = corrections.of(picture);
    let class = |label: usize| classes[label].as_str();
    json!({
        "row": doubt.row,
        "path": &*picture.path,
        "blake3": picture.blake3.to_hex().as_str(),
        "label": picture.label.map(class),
        "said": said.map(|said| json!({ "new": said.new.as_deref() })),
        "why": match doubt.why {
            _ if copy_of.is_some() => "copy",
            Why::Label => "label",
            Why::Wrong => "wrong",
            Why::Outlier(_) => "outlier",
            Why::Unsure => "unsure",
        },
        "predicted": class(doubt.predicted),
        "probability": doubt.probability,
        "of_label": doubt.of_label,
        "margin": doubt.margin,
        "deviations": match doubt.why {
            Why::Outlier(deviations) => Some(deviations),
            _ => None,
        },
        "copy_of": copy_of.map(|other| {
            let other = &part.store.pictures()[other];
            json!({ "path": &*other.path, "label": other.label.map(class) })
        }),
    })
}

#[derive(Deserialize)]
struct Size {
    #[serde(default)]
    large: bool,
}

async fn picture(
    State(shared): State<Shared>,
    Path((role, row)): Path<(Role, usize)>,
    Query(size): Query<Size>,
) -> Result<Response, Refused> {
    let longest = match size.large {
        true => LARGE,
        false => SMALL,
    };
    let session = shared.session;
    let picture = on_a_thread(move || {
        let part = session.row(role, row)?;
        Ok(part.jpeg(row, longest, &session.budget))
    });
    let picture = picture.await?;
    let picture = picture.map_err(|why| refused(StatusCode::NOT_FOUND, why))?;
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg"),
        (header::CACHE_CONTROL, "private, max-age=600"),
    ];
    Ok((headers, picture).into_response())
}

async fn neighbours(
    State(shared): State<Shared>,
    Path((role, row)): Path<(Role, usize)>,
) -> Result<Response, Refused> {
    let told = on_a_thread(move || neighbours_of(&shared.session, role, row)).await?;
    Ok(answer(&told))
}

fn neighbours_of(session: &Session, role: Role, row: usize) -> anyhow::Result<Value> {
    session.row(role, row)?;
    let train = session.parts.train();
    let classes = session.looked().heads.classes.clone();
    let labels = session.corrections().labels(&train.store, &classes)?;
    let nearest = session.nearest(role, row, NEIGHBOURS)?;
    let told = nearest.into_iter().map(|(row, distance)| {
        json!({
            "row": row,
            "path": &*train.store.pictures()[row].path,
            "label": labels[row].map(|label| classes[label].as_str()),
            "distance": distance,
        })
    });
    Ok(json!({ "neighbours": told.collect::<Vec<_>>() }))
}

/// What is said of a picture.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Word {
    part: Role,
    row: usize,
    decision: Decision,
    class: Option<String>,
    /// Why it was shown.
    #[serde(default)]
    why: String,
    /// That a label which judges is to be changed.
    #[serde(default)]
    on_purpose: bool,
}

#[derive(Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Keep,
    Class,
    Aside,
}

async fn say(State(shared): State<Shared>, request: Request) -> Result<Response, Refused> {
    let held = shared.bodies.read(request.into_body()).await?;
    let word: Word = serde_json::from_slice(&held.bytes)
        .map_err(|error| wrong(format!("this is not understood: {error}")))?;
    let done = on_a_thread(move || {
        said(&shared.session, word)?;
        state_of(&shared.session)
    });
    Ok(answer(&done.await?))
}

fn said(session: &Session, word: Word) -> anyhow::Result<()> {
    let Word { part, row, .. } = word;
    let saying = match (word.decision, word.class) {
        (Decision::Keep, _) => Saying::Keep,
        (Decision::Aside, _) => Saying::SetAside,
        (Decision::Class, Some(class)) => Saying::Class(class),
        (Decision::Class, None) => return Err(anyhow!("no class is given")),
    };
    if part == Role::Validation && saying != Saying::Keep && !word.on_purpose {
        return Err(anyhow!(
            "this picture judges the heads: its label is changed on purpose only"
        ));
    }
    let why: String = word.why.chars().take(200).collect();
    session.say(part, row, &saying, &why)
}

async fn undo(State(shared): State<Shared>) -> Result<Response, Refused> {
    let done = on_a_thread(move || {
        let session = &shared.session;
        let undone = session.undo()?;
        // Of a table that other reviews use too, it may be of a picture that is not here.
        let place = undone.map(
            |undone| match session.parts.find(&undone.path, undone.blake3) {
                Some((role, row)) => json!({ "part": role, "row": row }),
                None => json!({ "path": &*undone.path }),
            },
        );
        let mut state = state_of(session)?;
        state["undone"] = json!(place);
        Ok(state)
    });
    Ok(answer(&done.await?))
}

async fn train(State(shared): State<Shared>) -> Result<Response, Refused> {
    begin(&shared.session).map_err(|error| refused(StatusCode::CONFLICT, error.to_string()))?;
    Ok(answer(&json!({ "running": true })))
}
