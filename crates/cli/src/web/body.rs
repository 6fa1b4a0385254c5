//! A request's body: bounded in bytes and time, one and all together.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::refused::{Refused, busy, refused};

/// How long a client may take to send a body.
const TIME: Duration = Duration::from_secs(30);
/// Bytes of all bodies that are in hand. Clients hold what they have sent, and no more.
const ALL_BYTES: usize = 128 << 20;

/// Room for bodies.
#[derive(Clone)]
pub struct Bodies {
    room: Arc<Semaphore>,
    most: usize,
}

/// A body, and its room.
pub struct Held {
    pub bytes: Vec<u8>,
    pub room: Taken,
}

/// Room that is taken for as long as it lives: until the pictures of a body are answered.
#[derive(Default)]
pub struct Taken {
    permits: Vec<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Room for bodies of at most `most` bytes each.
    pub fn new(most: usize) -> Self {
        Self {
            room: Arc::new(Semaphore::new(ALL_BYTES)),
            most,
        }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// The answer to a client whose body is too large, too slow or cut, or comes when there is no room.
    pub async fn read(&self, body: Body) -> Result<Held, Refused> {
        match tokio::time::timeout(TIME, self.collect(body)).await {
            Ok(read) => read,
            Err(_) => Err(refused(
                StatusCode::REQUEST_TIMEOUT,
                format!("the request did not arrive within {} s", TIME.as_secs()),
            )),
        }
    }

    async fn collect(&self, body: Body) -> Result<Held, Refused> {
        use axum::body::HttpBody;
        let mut body = body;
        let mut held = Held {
            bytes: Vec::new(),
            room: Taken::default(),
        };
        loop {
            let frame =
                std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context));
            let Some(frame) = frame.await else {
                return Ok(held);
            };
            let cut = |_| refused(StatusCode::BAD_REQUEST, "the request was cut");
            let Ok(bytes) = frame.map_err(cut)?.into_data() else {
                continue;
            };
            self.add(&mut held, &bytes)?;
        }
    }

    fn add(&self, held: &mut Held, bytes: &Bytes) -> Result<(), Refused> {
        if held.bytes.len() + bytes.len() > self.most {
            return Err(refused(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the request is larger than {} MiB", self.most >> 20),
            ));
        }
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(len) else {
            return Err(busy());
        };
        held.room.permits.push(room);
        held.bytes.extend_from_slice(bytes);
        Ok(())
    }
}
