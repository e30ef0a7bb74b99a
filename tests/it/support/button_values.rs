//! The values of buttons, signed as the app signs them.

use kapso_slack::slack::button_value::{Origin, ValueSigner};
use kapso_slack::slack::{UserId, Who};

use super::SECRET;

/// A value with this content, on a card of somebody in the default workspace.
pub fn signed(content: &str) -> String {
    ValueSigner::new(&[SECRET.into()]).sign(content, &origin())
}

/// The value of a button about this session.
pub fn session_value(id: &str) -> String {
    signed(&format!("v1:{id}"))
}

/// The same, on a card that this person shared.
pub fn shared_value(id: &str, user: &str) -> String {
    let origin = origin().shared_by(&UserId::parse(user).unwrap());
    ValueSigner::new(&[SECRET.into()]).sign(&format!("v1:{id}"), &origin)
}

fn origin() -> Origin {
    Origin::typed(&Who {
        team: "T0001ABCD".to_owned(),
        user: "U0TYPIST00".to_owned(),
        ..Who::default()
    })
}

/// The content of a value, without its origin and its signature.
pub fn content(value: &str) -> &str {
    value.split('|').next().unwrap()
}
