//! What is worth a look by a person, and what came of it.
//!
//! ```text
//! doubts         pictures in the order in which their labels are worth a look
//! next           pictures without labels, in the order in which labels would teach most
//! label_change   heads with the labels of before and with those of after, judged as pairs
//! ```

mod doubts;
mod label_change;
mod next;

pub use self::doubts::{Doubt, Why, doubts, doubts_of};
pub use self::label_change::{LabelChange, judge_labels};
pub use self::next::next_to_label;
