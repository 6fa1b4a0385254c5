//! Pictures worth reviewing, and the effect of the review.
//!
//! ```text
//! doubts         pictures in the order in which their labels are worth reviewing
//! next           pictures without labels, in the order in which labels would be most useful
//! label_change   heads trained with the old and with the new labels, compared in pairs
//! ```

mod doubts;
mod label_change;
mod next;

pub use self::doubts::{Doubt, Why, doubts, doubts_of};
pub use self::label_change::{LabelChange, judge_labels};
pub use self::next::next_to_label;
