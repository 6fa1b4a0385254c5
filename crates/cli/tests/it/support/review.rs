//! A review of the program, and what it is asked.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::listening::Listening;

/// A review, and what it is asked.
pub struct Review {
    pub listening: Listening,
    pub token: String,
}

impl Review {
    pub fn start(folder: &Path, more: &[&str]) -> Self {
        let words = ["review", "head", "--port", "0"];
        let listening = Listening::start(folder, &[&words[..], more].concat());
        let (_, token) = listening.line.split_once("/#").unwrap();
        Self {
            token: token.to_owned(),
            listening,
        }
    }

    pub fn answer(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let headers = format!("Authorization: Bearer {}\r\n", self.token);
        let path = format!("/api/{path}");
        self.listening
            .json(method, &path, &headers, body.to_string().as_bytes())
    }

    pub fn get(&self, path: &str) -> Value {
        let (status, value) = self.answer("GET", path, &Value::Null);
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        let (status, value) = self.answer("POST", path, body);
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    pub fn queue(&self, role: &str) -> Vec<Value> {
        self.get(&format!("queue/{role}"))["items"]
            .as_array()
            .unwrap()
            .clone()
    }

    pub fn say(&self, item: &Value, decision: &str, class: Option<&str>) -> Value {
        let word = json!({ "part": "train", "row": item["row"], "decision": decision, "class": class, "why": "seen" });
        self.post("say", &word)
    }

    /// Trains again, and waits for the end.
    pub fn train(&self) -> Value {
        self.post("train", &json!({}));
        loop {
            let state = self.get("state");
            if state["job"]["running"] == false {
                assert_eq!(state["job"]["error"], Value::Null);
                return state;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
