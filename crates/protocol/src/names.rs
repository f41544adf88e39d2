//! Names on the wire as enums that keep unknown names.
//!
//! Gateways add codes, scopes, events and states in every release. An enum that refuses an unknown name would turn a new
//! release into an outage, and a bare string would lose exhaustive matches; so every such type has `Other`.

/// Declares an enum of wire names with an `Other(Box<str>)` variant, its text form, and its serde form (a string).
macro_rules! wire_names {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        $vis enum $name {
            $(#[doc = concat!("`", $text, "`.")] $(#[$vmeta])* $variant,)+
            /// A name that this build does not know, kept as it came.
            Other(Box<str>),
        }

        impl $name {
            /// Every known name.
            $vis const KNOWN: &'static [$name] = &[$($name::$variant,)+];

            /// The name as it stands on the wire.
            $vis fn as_str(&self) -> &str {
                match self {
                    $($name::$variant => $text,)+
                    $name::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => $name::$variant,)+
                    other => $name::Other(other.into()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", $crate::text::printable(self.as_str(), $crate::text::NAME_LIMIT))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                Ok(Self::from(text.as_ref()))
            }
        }
    };
}

pub(crate) use wire_names;

#[cfg(test)]
mod tests {
    wire_names! {
        /// Two names.
        enum Colour {
            Red = "red",
            DarkBlue = "dark-blue",
        }
    }

    #[test]
    fn a_known_name_survives_the_round_trip_and_an_unknown_one_too() {
        for text in ["red", "dark-blue", "mauve", ""] {
            let json = serde_json::to_string(text).unwrap();
            let colour: Colour = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&colour).unwrap(), json);
            assert_eq!(matches!(colour, Colour::Other(_)), !Colour::KNOWN.contains(&colour));
        }
    }

    #[test]
    fn displaying_an_unknown_name_cannot_forge_a_log_line() {
        assert_eq!(Colour::from("a\nb").to_string(), "ab");
    }
}
