//! The kinds of heads.

use serde::{Deserialize, Serialize};

use super::Head;
use super::list::for_each_head;
use crate::named;

macro_rules! kinds {
    ($($(#[$about:meta])* $variant:ident, $field:ident, $name:literal, $left_out:literal, $model:ty;)+) => {
        /// A kind of head.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum HeadKind {
            $($(#[$about])* $variant),+
        }

        named!(HeadKind, "head", $($variant => $name),+);

        impl HeadKind {
            /// The head's name in a sentence, such as `logistic regression`.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => <$model as Head>::TITLE),+
                }
            }
        }
    };
}
for_each_head!(kinds);
