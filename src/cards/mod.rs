//! Draws replies: pure functions from what was decided to a Slack message.

mod buttons;
mod help;
mod list;
mod new;
mod problem;
mod qr;
mod session;
mod share;
mod time;
mod watch;

use jiff::Timestamp;

use self::session::Watched;
pub use self::watch::{Notice, notice};
use crate::commands::Reply;
use crate::qr::Addresses;
use crate::slack::UserId;
use crate::slack::message::Message;

/// Under what circumstances a reply is drawn.
#[derive(Clone, Copy, Debug)]
pub struct RenderContext<'a> {
    /// The time by which ages are told.
    pub now: Timestamp,
    /// The slash command's name, such as `/sandbox`.
    pub command: &'a str,
    /// What ties this answer to the operator's log.
    pub request_id: &'a str,
    /// Where the reply goes.
    pub place: ReplyTarget,
    /// Who shared the card that the asker knows the session by, where it was shared: with a masked phone number, which
    /// they are not shown in other ways either.
    pub sharer: Option<&'a UserId>,
    /// Where QR codes are shown; none where Slack could not fetch them.
    pub qr: Option<&'a Addresses>,
}

impl RenderContext<'_> {
    /// Whether the phone number is masked.
    fn masks(&self) -> bool {
        self.place == ReplyTarget::SharedCard || self.sharer.is_some()
    }

    /// What to type: these words behind the command's name.
    fn typed(&self, words: &str) -> String {
        format!("{} {words}", self.command)
    }
}

/// Where a reply goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyTarget {
    /// It answers something typed.
    Command,
    /// It answers a press that wants to see something else than what was pressed.
    Beside,
    /// It answers a press on a card that only the presser sees.
    OwnCard,
    /// It answers a press on a card that others see too.
    SharedCard,
}

/// Draws a reply.
#[must_use]
pub fn draw(reply: &Reply, look: &RenderContext<'_>) -> Message {
    let message = match reply {
        Reply::Session { session, watched_until } => {
            let watched = match (look.place, watched_until) {
                // Others see this one, and it says nothing of one of them.
                (ReplyTarget::SharedCard, _) | (_, None) => Watched::No,
                (_, Some(until)) => Watched::Until(*until),
            };
            session::card(session, watched, look)
        }
        Reply::Watching { session, until } => watch::watching(session, *until, look),
        Reply::Unwatched { id, session } => watch::unwatched(id, session.as_deref(), look),
        Reply::Qr { session, link } => qr::qr(session, link, look),
        Reply::Shared { session, sharer, .. } => share::shared(session, sharer, look),
        Reply::List(listing) => list::list(listing, look),
        Reply::Created(session) => session::card(session, Watched::No, look),
        Reply::AskAgain { wanted, earlier } => new::ask_again(wanted, earlier, look),
        Reply::Help { creates } => help::help(*creates, look),
        Reply::ParseError(misread) => help::misread(misread, look),
        Reply::Problem(problem) => problem::problem(problem, look),
    };
    // A card takes the place of the one that was pressed, a page that of another, and what was created that of the
    // question; a sentence about a fault stands beside it.
    let (is_card, is_for_all) = match reply {
        Reply::Session { .. } => (true, true),
        Reply::Watching { .. } | Reply::Unwatched { session: Some(_), .. } | Reply::List(_) | Reply::Created(_) => {
            (true, false)
        }
        _ => (false, false),
    };
    match look.place {
        ReplyTarget::Command => message,
        ReplyTarget::OwnCard => message.replacing(is_card),
        ReplyTarget::SharedCard if is_for_all => message.in_channel().replacing(true),
        ReplyTarget::SharedCard | ReplyTarget::Beside => message.replacing(false),
    }
}

/// What follows a reply's message once Slack has taken it, or has not: a courtesy to whoever asked. Most replies say
/// all there is to say.
#[must_use]
pub fn follow_up(reply: &Reply, taken: bool, look: &RenderContext<'_>) -> Option<Message> {
    let Reply::Shared {
        session, watched_until, ..
    } = reply
    else {
        return None;
    };
    let watched = watched_until.map_or(Watched::No, Watched::Until);
    Some(if taken {
        share::was_shared(session, watched, look)
    } else {
        share::was_not_shared(look)
    })
}
