//! The fields of an `application/x-www-form-urlencoded` body. A value is decoded only when it is used; most fields that
//! Slack sends are not used.
//!
//! Source: <https://url.spec.whatwg.org/#urlencoded-parsing>.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// A field: its name, decoded, and its value.
pub type Field<'a> = (Cow<'a, str>, EncodedValue<'a>);

/// A value, as it is in the body.
#[derive(Clone, Copy)]
pub struct EncodedValue<'a>(&'a [u8]);

impl<'a> EncodedValue<'a> {
    #[must_use]
    pub fn decode(self) -> Cow<'a, str> {
        decode(self.0)
    }
}

impl From<EncodedValue<'_>> for String {
    fn from(value: EncodedValue<'_>) -> Self {
        value.decode().into_owned()
    }
}

/// The fields, in the order of the body.
pub fn form_fields(body: &[u8]) -> impl Iterator<Item = Field<'_>> {
    body.split(|byte| *byte == b'&')
        .filter(|field| !field.is_empty())
        .map(|field| {
            let mut parts = field.splitn(2, |byte| *byte == b'=');
            let (name, value) = (parts.next(), parts.next());
            (
                decode(name.unwrap_or_default()),
                EncodedValue(value.unwrap_or_default()),
            )
        })
}

/// Invalid UTF-8 becomes U+FFFD.
fn decode(encoded: &[u8]) -> Cow<'_, str> {
    if !encoded.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return String::from_utf8_lossy(encoded);
    }
    let space = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
    let encoded = if encoded.contains(&b'+') {
        Cow::Owned(encoded.iter().map(space).collect())
    } else {
        Cow::Borrowed(encoded)
    };
    Cow::Owned(percent_decode(&encoded).decode_utf8_lossy().into_owned())
}
