//! Objects that gateways go on extending.
//!
//! A typed payload must neither lose members that a newer release adds nor fail because one member changed its type: it keeps
//! everything it does not understand in [`Extra`], so that decoding and encoding again gives the same JSON.
//!
//! The same holds for names. Gateways add codes, scopes, events and states in every release. An enum that refuses an unknown name would turn a new
//! release into an outage, and a bare string would lose exhaustive matches; so every such type has `Other`.

use std::fmt;
use std::ops::Deref;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Members of an object that have no typed field, or did not fit it. `Debug` shows their names only: a newer
/// release may put secrets into them.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Extra(Map<String, Value>);

impl Deref for Extra {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl From<Map<String, Value>> for Extra {
    fn from(map: Map<String, Value>) -> Self {
        // A map that was emptied keeps a node of 632 bytes, and a hello-ok has seven of them.
        Self(if map.is_empty() { Map::new() } else { map })
    }
}

impl From<Extra> for Map<String, Value> {
    fn from(extra: Extra) -> Self {
        extra.0
    }
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Takes a member out of `map` if it has the wanted type; otherwise it stays there.
pub(crate) fn take<T: DeserializeOwned>(map: &mut Map<String, Value>, key: &str) -> Option<T> {
    let typed = T::deserialize(map.get(key)?).ok()?;
    map.remove(key);
    Some(typed)
}

/// [`take`] for a member without which the object has no meaning.
pub(crate) fn need<T: DeserializeOwned, E: serde::de::Error>(
    map: &mut Map<String, Value>,
    key: &'static str,
) -> Result<T, E> {
    match map.remove(key) {
        Some(value) => serde_json::from_value(value).map_err(|error| E::custom(format_args!("{key}: {error}"))),
        None => Err(E::missing_field(key)),
    }
}

/// Takes the rows of a list that have the wanted type; the others stay in `map` under the same name, so that one odd row hides no
/// other.
pub(crate) fn rows<T: DeserializeOwned, E: serde::de::Error>(
    map: &mut Map<String, Value>,
    key: &'static str,
) -> Result<Vec<T>, E> {
    let list: Vec<Value> = need(map, key)?;
    let (mut rows, mut odd) = (Vec::with_capacity(list.len()), Vec::new());
    for row in list {
        match T::deserialize(&row) {
            Ok(typed) => rows.push(typed),
            Err(_) => odd.push(row),
        }
    }
    if !odd.is_empty() {
        map.insert(key.to_owned(), Value::Array(odd));
    }
    Ok(rows)
}

/// Rows as they are written: those with a type, then the others.
pub(crate) struct Rows<'a, T>(pub(crate) &'a [T], pub(crate) Option<&'a Value>);

impl<T: Serialize> Serialize for Rows<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq as _;
        let odd = self.1.and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
        let mut list = serializer.serialize_seq(Some(self.0.len() + odd.len()))?;
        self.0.iter().try_for_each(|row| list.serialize_element(row))?;
        odd.iter().try_for_each(|row| list.serialize_element(row))?;
        list.end()
    }
}

/// Declares a lossless object: `required` members fail the decoding when absent or odd, `optional` ones become `None` and stay in
/// `extra`, `defaulted` ones get a value instead; of a list of `rows`, which is required, those that are odd stay in `extra`. Serde's own `flatten` would fail on an odd member.
macro_rules! open_object {
    ($(#[$meta:meta])* $vis:vis struct $name:ident$(: $($derive:path),+)? {
        $(required { $($(#[$rmeta:meta])* $rfield:ident: $rtype:ty = $rkey:literal,)* })?
        $(rows { $($(#[$lmeta:meta])* $lfield:ident: $ltype:ty = $lkey:literal,)* })?
        $(optional { $($(#[$ometa:meta])* $ofield:ident: $otype:ty = $okey:literal,)* })?
        $(defaulted { $($(#[$dmeta:meta])* $dfield:ident: $dtype:ty = $dkey:literal or $dvalue:expr,)* })?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq$($(, $derive)+)?)]
        $vis struct $name {
            $($($(#[$rmeta])* $vis $rfield: $rtype,)*)?
            $($($(#[$lmeta])* $vis $lfield: Vec<$ltype>,)*)?
            $($($(#[$ometa])* $vis $ofield: Option<$otype>,)*)?
            $($($(#[$dmeta])* $vis $dfield: $dtype,)*)?
            /// Everything else, as it came.
            $vis extra: $crate::open::Extra,
        }

        impl $name {
            /// The members that have a typed field.
            $vis const KEYS: &'static [&'static str] = &[
                $($($rkey,)*)? $($($lkey,)*)? $($($okey,)*)? $($($dkey,)*)?
            ];
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let mut map = serde_json::Map::deserialize(deserializer)?;
                Ok(Self {
                    $($($rfield: $crate::open::need(&mut map, $rkey)?,)*)?
                    $($($lfield: $crate::open::rows(&mut map, $lkey)?,)*)?
                    $($($ofield: $crate::open::take(&mut map, $okey),)*)?
                    $($($dfield: $crate::open::take(&mut map, $dkey).unwrap_or($dvalue),)*)?
                    extra: map.into(),
                })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap as _;
                let mut map = serializer.serialize_map(None)?;
                $($(map.serialize_entry($rkey, &self.$rfield)?;)*)?
                $($(map.serialize_entry($lkey, &$crate::open::Rows(&self.$lfield, self.extra.get($lkey)))?;)*)?
                $($(if let Some(value) = &self.$ofield {
                    map.serialize_entry($okey, value)?;
                })*)?
                $($(if !self.extra.contains_key($dkey) {
                    map.serialize_entry($dkey, &self.$dfield)?;
                })*)?
                // Odd rows went with the others.
                let lists: &[&str] = &[$($($lkey,)*)?];
                for (key, value) in self.extra.iter().filter(|(key, _)| !lists.contains(&key.as_str())) {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    };
}

pub(crate) use open_object;

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
    use serde_json::json;

    open_object! {
        /// For the tests.
        struct Sample {
            required { id: String = "id", }
            optional { at_ms: u64 = "atMs", names: Vec<String> = "names", }
        }
    }

    open_object! {
        /// For the tests.
        struct Listed {
            rows { rows: Sample = "rows", }
        }
    }

    #[test]
    fn an_odd_row_hides_no_other_and_is_not_lost() {
        let value = json!({"rows": [{"id": "a"}, {"id": 7}, null, {"id": "b", "new": 1}]});
        let listed: Listed = serde_json::from_value(value).unwrap();
        let ids: Vec<_> = listed.rows.iter().map(|row| &*row.id).collect();
        assert_eq!((&*ids, Listed::KEYS), (&["a", "b"][..], &["rows"][..]));
        let written = serde_json::to_value(&listed).unwrap();
        assert_eq!(
            written,
            json!({"rows": [{"id": "a"}, {"id": "b", "new": 1}, {"id": 7}, null]})
        );
        assert_eq!(serde_json::from_value::<Listed>(written).unwrap(), listed);
        for no_list in [json!({}), json!({"rows": {}}), json!({"rows": null})] {
            assert!(serde_json::from_value::<Listed>(no_list).is_err());
        }
    }

    #[test]
    fn what_is_unknown_absent_or_odd_survives_the_round_trip() {
        for value in [
            json!({"id": "a"}),
            json!({"id": "a", "atMs": 5, "names": ["x"], "new": {"deep": [1, null]}}),
            json!({"id": "a", "atMs": "5", "names": null}),
            json!({"id": "a", "atMs": 5.5, "names": [1]}),
        ] {
            let sample: Sample = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(serde_json::to_value(&sample).unwrap(), value);
        }
    }

    #[test]
    fn a_typed_member_is_taken_out_of_the_rest() {
        let sample: Sample = serde_json::from_value(json!({"id": "a", "atMs": 5, "names": 7})).unwrap();
        assert_eq!((sample.at_ms, &sample.names), (Some(5), &None));
        assert_eq!(sample.extra.keys().collect::<Vec<_>>(), ["names"]);
        assert_eq!(Sample::KEYS, ["id", "atMs", "names"]);
    }

    #[test]
    fn a_required_member_must_be_there_and_have_its_type() {
        let error = |value| serde_json::from_value::<Sample>(value).unwrap_err().to_string();
        assert_eq!(error(json!({})), "missing field `id`");
        assert!(
            error(json!({"id": 1})).starts_with("id: "),
            "{}",
            error(json!({"id": 1}))
        );
        assert!(serde_json::from_value::<Sample>(json!([])).is_err());
    }

    #[test]
    fn debug_names_unknown_members_without_their_values() {
        let sample: Sample = serde_json::from_value(json!({"id": "a", "newToken": "hunter2"})).unwrap();
        let text = format!("{sample:?}");
        assert!(text.contains("newToken") && !text.contains("hunter2"), "{text}");
    }
}

#[cfg(test)]
mod names_tests {
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
