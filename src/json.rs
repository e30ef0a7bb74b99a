//! Writes JSON as `serde_json` does, but checks several bytes at once for characters that must be escaped. Most strings in
//! messages and log lines are short and have none.

use std::fmt::Write as _;

use serde::Serialize;
use serde::ser::{Error as _, Impossible, SerializeSeq, SerializeStruct, SerializeTuple, Serializer};
use serde_json::Error;

/// Appends a value.
///
/// # Errors
/// If the value has what no message has: a map (or `#[serde(flatten)]`), a tuple struct, a tuple or struct variant, or a
/// 128-bit integer. `json` then ends with incomplete JSON. A `RawValue` is not supported either.
pub(crate) fn write(value: &impl Serialize, json: &mut String) -> Result<(), Error> {
    value.serialize(Writer(json))
}

/// Appends a string, with its quotes.
pub(crate) fn write_string(text: &str, json: &mut String) {
    json.push('"');
    let mut rest = text;
    // No early exit, so that the compiler can vectorize the loop. Few texts have such a byte.
    if text.bytes().fold(false, |found, byte| found | is_escaped(byte)) {
        while let Some(position) = rest.bytes().position(is_escaped) {
            json.push_str(&rest[..position]);
            write_escaped(rest.as_bytes()[position], json);
            rest = &rest[position + 1..];
        }
    }
    json.push_str(rest);
    json.push('"');
}

/// Appends the name of a field and a colon. Names are constants that need no escaping; debug builds check it.
pub(crate) fn write_name(name: &'static str, json: &mut String) {
    debug_assert!(!name.bytes().any(is_escaped), "a name that must be escaped");
    json.push('"');
    json.push_str(name);
    json.push_str("\":");
}

fn is_escaped(byte: u8) -> bool {
    matches!(byte, ..b' ' | b'"' | b'\\')
}

fn write_escaped(byte: u8, json: &mut String) {
    let short = match byte {
        b'"' => "\\\"",
        b'\\' => "\\\\",
        b'\n' => "\\n",
        b'\r' => "\\r",
        b'\t' => "\\t",
        0x08 => "\\b",
        0x0C => "\\f",
        _ => {
            // Writing to a string cannot fail.
            let _ = write!(json, "\\u{byte:04x}");
            return;
        }
    };
    json.push_str(short);
}

/// Methods for numbers, which are rare in messages.
macro_rules! like_serde_json {
    ($($method:ident: $number:ty),+ $(,)?) => {
        $(fn $method(self, number: $number) -> Result<(), Error> {
            self.0.push_str(&serde_json::to_string(&number)?);
            Ok(())
        })+
    };
}

/// Writes one value.
struct Writer<'a>(&'a mut String);

impl<'a> Writer<'a> {
    fn elements(self, start: char, end: char) -> Elements<'a> {
        self.0.push(start);
        Elements {
            json: self.0,
            is_first: true,
            end,
        }
    }
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Elements<'a>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Impossible<(), Error>;
    type SerializeStruct = Elements<'a>;
    type SerializeStructVariant = Impossible<(), Error>;

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        write_string(text, self.0);
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.0.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    like_serde_json! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_f32: f32, serialize_f64: f64,
    }

    fn serialize_char(self, character: char) -> Result<(), Error> {
        self.serialize_str(character.encode_utf8(&mut [0; 4]))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Error> {
        self.collect_seq(bytes)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.0.push_str("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let mut object = self.elements('{', '}');
        object.serialize_field(variant, value)?;
        SerializeStruct::end(object)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'a>, Error> {
        Ok(self.elements('[', ']'))
    }

    fn serialize_tuple(self, _: usize) -> Result<Elements<'a>, Error> {
        Ok(self.elements('[', ']'))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Elements<'a>, Error> {
        Ok(self.elements('{', '}'))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Impossible<(), Error>, Error> {
        Err(Error::custom(format_args!("{name}: no message has a tuple struct")))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Impossible<(), Error>, Error> {
        Err(Error::custom(format_args!("{name}: no message has a tuple variant")))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Impossible<(), Error>, Error> {
        Err(Error::custom("no message has a map"))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Impossible<(), Error>, Error> {
        Err(Error::custom(format_args!("{name}: no message has a struct variant")))
    }
}

/// Writes the elements of an array, or the fields of an object.
struct Elements<'a> {
    json: &'a mut String,
    is_first: bool,
    end: char,
}

impl Elements<'_> {
    fn separate(&mut self) {
        if !std::mem::replace(&mut self.is_first, false) {
            self.json.push(',');
        }
    }
}

impl SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.separate();
        value.serialize(Writer(self.json))
    }

    fn end(self) -> Result<(), Error> {
        self.json.push(self.end);
        Ok(())
    }
}

impl SerializeTuple for Elements<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<(), Error> {
        SerializeSeq::end(self)
    }
}

impl SerializeStruct for Elements<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.separate();
        write_name(name, self.json);
        value.serialize(Writer(self.json))
    }

    fn end(self) -> Result<(), Error> {
        SerializeSeq::end(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Serialize)]
    struct Parts {
        text: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        left_out: Option<u8>,
        numbers: (u8, i64, f64),
        many: Vec<Part>,
        nothing: Option<()>,
    }

    #[derive(Clone, Debug, Serialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum Part {
        Text { text: String, letter: char },
        Flag { is_set: bool },
    }

    fn part() -> impl Strategy<Value = Part> {
        prop_oneof![
            (any::<String>(), any::<char>()).prop_map(|(text, letter)| Part::Text { text, letter }),
            any::<bool>().prop_map(|is_set| Part::Flag { is_set }),
        ]
    }

    fn written(value: &impl Serialize) -> String {
        let mut json = String::new();
        write(value, &mut json).unwrap();
        json
    }

    proptest! {
        #[test]
        fn a_string_is_written_as_serde_json_does(text in "[\\x00-\\x7f\"\\\\é🙂]{0,40}") {
            prop_assert_eq!(written(&text), serde_json::to_string(&text).unwrap());
        }

        #[test]
        fn a_value_is_written_as_serde_json_does(
            text: String,
            left_out: Option<u8>,
            numbers: (u8, i64, f64),
            many in prop::collection::vec(part(), 0..4),
        ) {
            let value = Parts { text, left_out, numbers, many, nothing: None };
            prop_assert_eq!(written(&value), serde_json::to_string(&value).unwrap());
        }
    }

    #[test]
    fn each_character_is_escaped_at_each_position() {
        for character in (0..=0x7F_u8).map(char::from).chain(['\u{80}', 'é', '\u{2028}', '🙂']) {
            for position in 0..20 {
                let text = format!("{}{character}{}", "a".repeat(position), "z".repeat(19 - position));
                assert_eq!(written(&text), serde_json::to_string(&text).unwrap());
            }
        }
    }

    #[test]
    fn what_no_message_has_is_an_error() {
        let map = std::collections::BTreeMap::from([("key", 1)]);
        assert_eq!(
            write(&map, &mut String::new()).unwrap_err().to_string(),
            "no message has a map"
        );
    }
}
