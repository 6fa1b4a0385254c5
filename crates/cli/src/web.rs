//! What the servers of `serve` and `review` share.
//!
//! ```text
//! http      connections: how many, how long, from whom
//! body      a request's body: bounded in bytes and time
//! refused   what is said to a client whose request is not answered
//! page      pages, their styles and scripts, and what they are allowed
//! ```

pub mod body;
pub mod http;
pub mod page;
pub mod refused;
