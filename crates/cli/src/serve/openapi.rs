//! The description of all paths, OpenAPI 3.1.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::routes::Served;
use crate::web::refused::json_of;

/// What is said of an error.
fn error(description: &str) -> Value {
    json!({
        "description": description,
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
    })
}

/// An answer of JSON.
fn answer(description: &str, schema: Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

/// The path `/predict`, by one of its methods.
fn predict(id: &str, parameters: &Value) -> Value {
    let predictions = json!({ "$ref": "#/components/schemas/Predictions" });
    json!({
        "operationId": id,
        "summary": "The classes of pictures, as `cnn-codes predict --format json` prints them",
        "parameters": parameters,
        "requestBody": {
            "required": true,
            "content": {
                "application/octet-stream": { "schema": { "type": "string", "format": "binary" } },
                "multipart/form-data": { "schema": {
                    "type": "object",
                    "additionalProperties": { "type": "string", "format": "binary" },
                } },
            },
        },
        "responses": {
            "200": answer("The predictions; of a picture that cannot be used, why", predictions.clone()),
            "400": error("No pictures, a form that cannot be read, or a wrong parameter"),
            "408": error("The request did not arrive in time"),
            "413": error("Too many bytes or pictures"),
            "422": answer("No picture could be used", predictions),
            "500": error("The trunk failed"),
            "503": error("As many pictures wait as may; Retry-After tells when to come again"),
        },
    })
}

fn get(id: &str, summary: &str, responses: Value) -> Value {
    json!({ "get": { "operationId": id, "summary": summary, "responses": responses } })
}

/// The description.
pub async fn description(State(served): State<Arc<Served>>) -> Response {
    json_of(StatusCode::OK, document(&served.name).to_string())
}

fn document(model: &str) -> Value {
    let object = json!({ "type": "object" });
    let query = json!([
        { "name": "top_k", "in": "query", "schema": { "type": "integer", "minimum": 1 },
          "description": "Classes of each picture" },
        { "name": "min_confidence", "in": "query", "schema": { "type": "number", "minimum": 0, "maximum": 1 },
          "description": "Below this probability a picture is called unsure" },
        { "name": "nearest", "in": "query", "schema": { "type": "integer", "minimum": 0, "maximum": 10 },
          "description": "The nearest training pictures, where this server shows them" },
    ]);
    let mut named = query.clone();
    let name = json!({ "name": "name", "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 },
        "description": "What the picture is called" });
    named.as_array_mut().expect("it is a list").push(name);
    let of_model = json!([{ "name": "name", "in": "path", "required": true,
        "schema": { "type": "string", "enum": [model] } }]);
    let mut infer = json!({ "post": {
        "operationId": "infer",
        "summary": "Open Inference Protocol: pictures as BYTES or UINT8",
        "requestBody": { "required": true, "content": { "application/json": { "schema": {
            "$ref": "#/components/schemas/InferenceRequest" } } } },
        "responses": {
            "200": answer("Probabilities and labels", object.clone()),
            "400": error("The request is wrong, or a picture cannot be used"),
            "404": error("There is no such model"),
            "408": error("The request did not arrive in time"),
            "413": error("Too many bytes"),
            "500": error("The trunk failed"),
            "503": error("As many pictures wait as may"),
        },
    } });
    infer["post"]["parameters"] = of_model.clone();
    let there =
        json!({ "200": answer("Yes", object.clone()), "404": error("There is no such model") });
    let mut metadata = get("model", "Inputs and outputs of the model", there.clone());
    metadata["get"]["parameters"] = of_model.clone();
    let mut ready = get("isModelReady", "Whether the model is ready", there);
    ready["get"]["parameters"] = of_model;
    let jpeg = json!({ "image/jpeg": { "schema": { "type": "string", "format": "binary" } } });
    let mut training = get(
        "training",
        "A small training picture",
        json!({
            "200": { "description": "The picture", "content": jpeg },
            "400": error("The row is no number"),
            "404": error("There is no such picture, or they are not shown here"),
        }),
    );
    training["get"]["parameters"] = json!([{ "name": "row", "in": "path", "required": true,
        "schema": { "type": "integer", "minimum": 0 }, "description": "As `nearest` of a prediction names it" }]);
    let ok = json!({ "200": answer("Yes", object) });
    let text = |kind: &str| json!({ "200": { "description": "Text", "content": { kind: { "schema": { "type": "string" } } } } });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "cnn-codes", "version": env!("CARGO_PKG_VERSION"),
            "description": "A trained head over HTTP. Requests whose Host or Origin is another site's are refused with 403." },
        "paths": {
            "/predict": { "post": predict("predict", &query), "put": predict("predictPut", &query) },
            "/predict/{name}": { "post": predict("predictNamed", &named), "put": predict("predictNamedPut", &named) },
            "/training/{row}": training,
            "/health": get("health", "Whether the server runs", text("text/plain")),
            "/metrics": get("metrics", "Figures for Prometheus", text("text/plain")),
            "/v2": get("server", "Name and version of the server", ok.clone()),
            "/v2/health/live": get("isLive", "Whether the server runs", ok.clone()),
            "/v2/health/ready": get("isReady", "Whether it answers", ok),
            "/v2/models/{name}": metadata,
            "/v2/models/{name}/ready": ready,
            "/v2/models/{name}/infer": infer,
        },
        "components": { "schemas": schemas() },
    })
}

fn schemas() -> Value {
    json!({
        "Error": { "type": "object", "required": ["error"], "properties": { "error": { "type": "string" } } },
        "Predictions": {
            "type": "object",
            "required": ["head", "classes", "pictures"],
            "properties": {
                "head": { "type": "string" },
                "classes": { "type": "array", "items": { "type": "string" } },
                "pictures": { "type": "array", "items": { "oneOf": [
                    { "type": "object", "required": ["path", "predictions"], "properties": {
                        "path": { "type": "string" },
                        "unsure": { "type": "boolean" },
                        "set": { "type": "array", "items": { "type": "string" } },
                        "outlier": { "type": "boolean" },
                        "predictions": { "type": "array", "items": {
                            "type": "object", "required": ["class", "probability"],
                            "properties": { "class": { "type": "string" }, "probability": { "type": "number" } },
                        } },
                        "nearest": { "type": "array", "items": {
                            "type": "object", "required": ["row", "path", "class", "distance"],
                            "properties": { "row": { "type": "integer" }, "path": { "type": "string" },
                                "class": { "type": ["string", "null"] }, "distance": { "type": "number" } },
                        } },
                    } },
                    { "type": "object", "required": ["path", "error", "kind"], "properties": {
                        "path": { "type": "string" }, "error": { "type": "string" }, "kind": { "type": "string" },
                    } },
                ] } },
            },
        },
        "InferenceRequest": {
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": { "type": "string" },
                "inputs": { "type": "array", "minItems": 1, "maxItems": 1, "items": {
                    "type": "object",
                    "required": ["name", "shape", "datatype"],
                    "properties": {
                        "name": { "enum": ["image", "pixels"] },
                        "shape": { "type": "array", "items": { "type": "integer", "minimum": 0 } },
                        "datatype": { "enum": ["BYTES", "UINT8"] },
                        "data": { "type": "array" },
                    },
                } },
            },
        },
    })
}
