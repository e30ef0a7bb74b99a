//! The gallery: every message in every state, rendered from sample data by the functions that render the real ones.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::DemoServer;
use crate::cards::samples::{SampleGroup, notifications, usual_session};
use crate::cards::{RenderContext, ReplyTarget};
use crate::commands;
use crate::qr::{self, Addresses};
use crate::slack::button_value::{Origin, ValueSigner};

/// Messages that belong together.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    title: &'static str,
    pub(super) views: Vec<View>,
}

/// One message in one state.
#[derive(Debug, Serialize)]
pub(super) struct View {
    title: String,
    pub(super) message: Value,
    /// The addresses of the pictures that can be shown.
    pub(super) pictures: Value,
}

/// Every message, as it is rendered at `now`, with QR codes at `addresses`.
pub(super) fn groups(now: Timestamp, addresses: &Addresses) -> Vec<Group> {
    let context = RenderContext {
        now,
        command: DemoServer::COMMAND,
        request_id: "9f3c07ab",
        target: ReplyTarget::Command,
        may_create: true,
        origin: &Origin::default(),
        project: None,
        // Nobody presses the buttons of the gallery.
        signer: &ValueSigner::new(&[]),
        qr_addresses: Some(addresses),
    };
    let commands = commands::samples(&context);
    commands
        .into_iter()
        .chain([notifications(&context)])
        .map(group)
        .collect()
}

/// The picture in the sample of a QR code: that of the sample session, whatever has become of it in the demo.
pub(super) fn picture(now: Timestamp) -> Option<Vec<u8>> {
    let session = usual_session(now)?;
    qr::encode(qr::activation_link(&session, now)?.url().as_str())
}

fn group(group: SampleGroup) -> Group {
    let view = |title, message| View {
        title,
        message,
        pictures: Value::Null,
    };
    let messages = group.samples.into_iter().map(|(title, message)| {
        let message = serde_json::from_str(&message.to_json()).unwrap_or_default();
        view(title, message)
    });
    let forms = group.forms.into_iter().map(|(title, form, errors)| {
        let mut form = json!(form);
        if let Some(errors) = errors {
            form["errors"] = json!(errors.by_field());
        }
        view(title, form)
    });
    Group {
        title: group.title,
        views: messages.chain(forms).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{rules, views};

    #[test]
    fn every_sample_keeps_slacks_rules_and_has_a_title_of_its_own() {
        let addresses = Addresses::new("http://127.0.0.1".parse().unwrap(), &["secret".into()]);
        let groups = groups("2026-11-23T10:00:00Z".parse().unwrap(), &addresses);
        for group in &groups {
            let mut titles: Vec<_> = group.views.iter().map(|view| &view.title).collect();
            assert!(!titles.is_empty(), "{} has samples", group.title);
            titles.sort();
            titles.dedup();
            assert_eq!(titles.len(), group.views.len(), "{}", group.title);
            for view in &group.views {
                let mut message = view.message.clone();
                let violations = if message["type"] == "modal" {
                    message.as_object_mut().unwrap().remove("errors");
                    views::violations(&message)
                } else {
                    rules::violations(&message)
                };
                assert_eq!(violations, Vec::<String>::new(), "{}", view.title);
            }
        }
        let mut titles: Vec<_> = groups.iter().map(|group| group.title).collect();
        titles.sort_unstable();
        titles.dedup();
        assert_eq!(titles.len(), groups.len(), "every group has a title of its own");
    }
}
