//! The values of buttons. A client sends them back, so each is signed together with where its button comes from.
//!
//! A value is `<content>|<team>:<organisation>:<person>:<shared by>:<project>|<signature>`; what is not known is empty.
//! Where the project has no alias, its field and the colon before it are left out, as in the values of earlier versions.
//! On a direct message of the app, `:<channel>:<recipient>` follows the project, which then is empty if it has no alias.
//! Without a valid signature nothing of a value is used.

use hmac::Mac;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::signature::DerivedKeys;
use super::{UserId, Who};
use crate::config::{Alias, is_slack_id};

/// Separates these keys from the signing secrets, and from any other key derived from them.
const LABEL: &[u8] = b"kapso-slack button value v1";
/// The size of most values, in bytes.
const USUAL_BYTES: usize = 192;
/// Stands for a card that others see, where nobody is known to have shared it.
const UNKNOWN: &str = "-";

/// Where a button comes from: the command that led to it, and who shared the card since. Ids that Slack did not send are
/// empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The workspace in which the command was typed.
    team: String,
    /// Its organisation.
    enterprise: String,
    /// Who typed it.
    user: String,
    /// Who shared the card that the button is on, or that led to it, if it was shared.
    pub shared_by: Option<SharedBy>,
    /// The Kapso project; `None` if it is not known, or has no alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<Alias>,
    /// For a direct message of the app: who gets it, and where they asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct: Option<DirectOrigin>,
}

/// Where a person asked for what the app tells them in a direct message. Whether they may use the app there decides
/// whether they may use the buttons of the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectOrigin {
    channel: String,
    recipient: UserId,
}

/// Who shared a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedBy {
    Person(UserId),
    /// Others may see the card, but no button of it says who shared it.
    Unknown,
}

impl SharedBy {
    /// The person, if they are known.
    #[must_use]
    pub fn person(&self) -> Option<&UserId> {
        match self {
            Self::Person(user) => Some(user),
            Self::Unknown => None,
        }
    }
}

impl Origin {
    /// The origin of what replies to a typed command.
    #[must_use]
    pub fn typed(who: &Who) -> Self {
        let id = |id: &str, first_letters| if is_slack_id(id, first_letters) { id } else { "" }.to_owned();
        Self {
            team: id(&who.team, &['T']),
            enterprise: id(who.enterprise.as_deref().unwrap_or_default(), &['E']),
            user: id(&who.user, &['U', 'W']),
            shared_by: None,
            project: None,
            direct: None,
        }
    }

    /// The origin of a direct message to this person, who asked for it in the channel that is named with them.
    #[must_use]
    pub fn in_direct_message(&self, who: &Who) -> Self {
        let recipient = UserId::parse(&who.user).filter(|_| is_slack_id(&who.channel, &['C', 'D', 'G']));
        Self {
            direct: recipient.map(|recipient| DirectOrigin {
                channel: who.channel.clone(),
                recipient,
            }),
            ..self.clone()
        }
    }

    /// The origin of a press. In the recipient's direct messages, `who` gets the channel in which they asked; anywhere else,
    /// and for anybody else, the button opens no other channel.
    #[must_use]
    pub fn restore_channel(mut self, who: &mut Who) -> Self {
        self.direct = self
            .direct
            .filter(|direct| who.channel.starts_with('D') && direct.recipient.as_str() == who.user);
        if let Some(direct) = &self.direct {
            who.channel.clone_from(&direct.channel);
        }
        self
    }

    /// The same origin, in this project.
    #[must_use]
    pub fn in_project(&self, project: Option<&Alias>) -> Self {
        Self {
            project: project.cloned(),
            ..self.clone()
        }
    }

    /// The origin of a card that this person shares.
    #[must_use]
    pub fn shared_by(&self, user: &UserId) -> Self {
        Self {
            shared_by: Some(SharedBy::Person(user.clone())),
            ..self.clone()
        }
    }

    /// The same origin, for a press on a message that others may see, whatever the button says.
    #[must_use]
    pub fn on_shared_card(self) -> Self {
        Self {
            shared_by: self.shared_by.or(Some(SharedBy::Unknown)),
            ..self
        }
    }

    /// Completes what Slack leaves out of a press in an app that is installed for a whole organisation: the workspace.
    /// If the presser typed the command, or belongs to the workspace in which it was typed, they count as a member of that
    /// workspace. Only members of a workspace that has the app can type a command, so this never
    /// is a guest of another company.
    pub fn complete(&self, who: &mut Who) {
        let same_place = (who.team.is_empty() || who.team == self.team)
            && who
                .enterprise
                .as_ref()
                .is_none_or(|enterprise| *enterprise == self.enterprise);
        let same_person = !self.user.is_empty() && self.user == who.user;
        let same_home = who.home_team.as_ref().is_some_and(|home| *home == self.team);
        if self.team.is_empty() || !same_place || !(same_person || same_home) {
            return;
        }
        who.team.clone_from(&self.team);
        who.home_team = Some(self.team.clone());
        if !self.enterprise.is_empty() {
            who.enterprise = Some(self.enterprise.clone());
        }
    }

    fn encode(&self, value: &mut String) {
        let shared_by = match &self.shared_by {
            Some(SharedBy::Person(user)) => user.as_str(),
            Some(SharedBy::Unknown) => UNKNOWN,
            None => "",
        };
        let fields = [&self.team, ":", &self.enterprise, ":", &self.user, ":", shared_by];
        value.extend(fields);
        match (&self.project, &self.direct) {
            (None, None) => {}
            (Some(alias), None) => value.extend([":", alias.as_str()]),
            (project, Some(direct)) => {
                let alias = project.as_ref().map_or("", Alias::as_str);
                value.extend([":", alias, ":", &direct.channel, ":", direct.recipient.as_str()]);
            }
        }
    }

    fn decode(text: &str) -> Option<Self> {
        let fields = text.split(':').collect::<Vec<_>>();
        let [team, enterprise, user, shared_by, ref more @ ..] = fields[..] else {
            return None;
        };
        let (project, direct) = match *more {
            [] => (None, None),
            [project] => (Some(Alias::parse(project)?), None),
            [project, channel, recipient] => {
                let project = match project {
                    "" => None,
                    alias => Some(Alias::parse(alias)?),
                };
                let direct = DirectOrigin {
                    channel: channel.to_owned(),
                    recipient: UserId::parse(recipient)?,
                };
                (project, Some(direct))
            }
            _ => return None,
        };
        Some(Self {
            team: team.to_owned(),
            enterprise: enterprise.to_owned(),
            user: user.to_owned(),
            shared_by: match shared_by {
                "" => None,
                UNKNOWN => Some(SharedBy::Unknown),
                user => Some(SharedBy::Person(UserId::parse(user)?)),
            },
            project,
            direct,
        })
    }
}

/// Signs and verifies values. `Debug` shows no key.
#[derive(Debug)]
pub struct ValueSigner {
    keys: DerivedKeys,
}

impl ValueSigner {
    /// With a key for each of the signing secrets.
    #[must_use]
    pub fn new(secrets: &[SecretString]) -> Self {
        Self {
            keys: DerivedKeys::new(secrets, LABEL),
        }
    }

    /// Replaces the signing secrets.
    pub fn set_secrets(&self, secrets: &[SecretString]) {
        self.keys.set_secrets(secrets);
    }

    /// The value with this content for a button with this origin. The content must not hold `|`.
    #[must_use]
    pub fn sign(&self, content: &str, origin: &Origin) -> String {
        debug_assert!(!content.contains('|'), "the content must not hold the separator");
        let mut value = String::with_capacity(USUAL_BYTES);
        value.push_str(content);
        value.push('|');
        origin.encode(&mut value);
        let key = self.keys.first();
        let signature = key.map(|key| key.chain_update(&value).finalize().into_bytes());
        value.push('|');
        // Without a key there is no signature, and the value is never accepted.
        if let Some(signature) = signature {
            let mut digits = [0; 64];
            // Cannot fail: 32 bytes are 64 digits, which are ASCII.
            let _ = hex::encode_to_slice(signature, &mut digits);
            value.push_str(str::from_utf8(&digits).unwrap_or_default());
        }
        value
    }

    /// The content and the origin of a value; `None` unless it was signed with one of the keys.
    #[must_use]
    pub fn verify<'v>(&self, value: &'v str) -> Option<(&'v str, Origin)> {
        let (signed, hex) = value.rsplit_once('|')?;
        if hex.bytes().any(|b| b.is_ascii_uppercase()) {
            return None;
        }
        let mut signature = [0; 32];
        hex::decode_to_slice(hex, &mut signature).ok()?;
        let is_signed = self
            .keys
            .any(|key| key.chain_update(signed).verify_slice(&signature).is_ok());
        let (content, origin) = signed.split_once('|').filter(|_| is_signed)?;
        Some((content, Origin::decode(origin)?))
    }
}
