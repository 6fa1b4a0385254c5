//! One-word names for choices, spelled the same on a command line, in a model card and in a
//! manifest.

/// A word that is none of the choices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind} '{given}' (choose from: {})", .names.join(", "))]
pub struct UnknownName {
    /// The kind of choice: "filter", "recipe", ...
    pub kind: &'static str,
    /// The word that was given.
    pub given: String,
    /// The known words.
    pub names: &'static [&'static str],
}

/// Gives a `Copy` enum its `NAMES`, `name`, `Display` and `FromStr` from one list.
///
/// Serde's derive spells the names itself; the test below checks that both agree.
#[macro_export]
macro_rules! named {
    ($choice:ident, $kind:literal, $($variant:ident => $name:literal),+ $(,)?) => {
        impl $choice {
            /// Every name, in the order of the variants.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// The name that `Display` prints and `FromStr` reads.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }

        impl std::fmt::Display for $choice {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $choice {
            type Err = $crate::names::UnknownName;

            fn from_str(given: &str) -> Result<Self, Self::Err> {
                match given {
                    $($name => Ok(Self::$variant),)+
                    _ => Err($crate::names::UnknownName {
                        kind: $kind,
                        given: given.to_owned(),
                        names: Self::NAMES,
                    }),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Display};
    use std::str::FromStr;

    use serde::{Serialize, de::DeserializeOwned};

    use crate::codes::Pool;
    use crate::export::Precision;
    use crate::head::mlp::Keep;
    use crate::head::optimizer::{OptimizerKind, ScheduleKind};
    use crate::head::{ClassWeights, HeadKind};
    use crate::model::Device;
    use crate::model::card::Element;
    use crate::picture::{Filter, Fit, Layout, Recipe};

    fn names_survive_a_round_trip<T>(names: &[&str])
    where
        T: Debug + Display + FromStr<Err: Debug> + Serialize + DeserializeOwned + PartialEq,
    {
        assert!(!names.is_empty());
        for &name in names {
            let choice: T = name.parse().unwrap();
            assert_eq!(choice.to_string(), name);
            let json = format!("\"{name}\"");
            assert_eq!(serde_json::to_string(&choice).unwrap(), json);
            assert_eq!(serde_json::from_str::<T>(&json).unwrap(), choice);
        }
    }

    #[test]
    fn display_from_str_and_serde_spell_every_name_alike() {
        names_survive_a_round_trip::<Fit>(Fit::NAMES);
        names_survive_a_round_trip::<Filter>(Filter::NAMES);
        names_survive_a_round_trip::<Recipe>(Recipe::NAMES);
        names_survive_a_round_trip::<Layout>(Layout::NAMES);
        names_survive_a_round_trip::<Pool>(Pool::NAMES);
        names_survive_a_round_trip::<Device>(Device::NAMES);
        names_survive_a_round_trip::<Element>(Element::NAMES);
        names_survive_a_round_trip::<HeadKind>(HeadKind::NAMES);
        names_survive_a_round_trip::<Precision>(Precision::NAMES);
        names_survive_a_round_trip::<OptimizerKind>(OptimizerKind::NAMES);
        names_survive_a_round_trip::<ScheduleKind>(ScheduleKind::NAMES);
        names_survive_a_round_trip::<ClassWeights>(ClassWeights::NAMES);
        names_survive_a_round_trip::<Keep>(Keep::NAMES);
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        assert_eq!(
            "box".parse::<Filter>().unwrap_err().to_string(),
            "unknown filter 'box' (choose from: nearest, bilinear, bicubic, lanczos)"
        );
        assert_eq!(
            "nchw".parse::<Layout>().unwrap_err().to_string(),
            "unknown layout 'nchw' (choose from: channels_last, channels_first)"
        );
    }
}
