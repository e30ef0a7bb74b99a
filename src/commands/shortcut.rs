//! The shortcuts in the menu of a message.

use crate::cards::word_enum;

word_enum! {
    /// A shortcut. The texts are its descriptions in Slack. Ids never change: installed apps have them in their manifests.
    pub enum Shortcut / callback_id {
        /// Shows the WhatsApp sandbox session that a message is about.
        LookUpSession = "look_up_session",
    }
}

impl Shortcut {
    /// The shortcut with this id.
    #[must_use]
    pub fn parse(callback_id: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|shortcut| shortcut.callback_id() == callback_id)
    }

    /// The text in the menu.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LookUpSession => "Look up sandbox session",
        }
    }
}
