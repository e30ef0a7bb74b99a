//! What FakeSlack has seen: for those who wait for it, and for those who look afterwards.

use super::channel::{Affairs, ButtonRef, Failed, Posted};
use super::exchange::Exchange;
use super::slack::FakeSlack;

impl FakeSlack {
    /// Waits for the message that answers an exchange later on.
    pub async fn later(&self, exchange: u64) -> Posted {
        self.sees(|state| {
            let mut latest = state.conversation.values().rev();
            latest.find(|posted| posted.exchange == exchange).cloned()
        })
        .await
    }

    /// Waits for the message that comes after this one for the same command or press, such as the news it asked for.
    pub async fn next(&self, posted: &Posted) -> Posted {
        self.sees(|state| {
            let mut later = state.conversation.range(posted.id + 1..).map(|(_, later)| later);
            later.find(|later| later.exchange == posted.exchange).cloned()
        })
        .await
    }

    /// Waits until another message has taken the place of this one.
    pub async fn replaced(&self, posted: &Posted) -> Posted {
        self.sees(|state| {
            let there = state.conversation.get(&posted.id)?;
            (there.exchange != posted.exchange).then(|| there.clone())
        })
        .await
    }

    /// Waits until `response_url`s have been posted to `count` times in all, taken or not.
    pub async fn has_been_posted_to(&self, count: usize) {
        self.sees(|state| (state.posts.len() >= count).then_some(())).await;
    }

    /// Waits until there is something to be found in the channel.
    async fn sees<T>(&self, find: impl Fn(&Affairs) -> Option<T>) -> T {
        let mut happened = self.happenings();
        loop {
            let found = find(&self.channel.state());
            match found {
                Some(found) => return found,
                // The sender lives as long as the workspace.
                None => drop(happened.changed().await),
            }
        }
    }

    /// How often `response_url`s have been posted to, taken or not.
    #[must_use]
    pub fn posts(&self) -> usize {
        self.channel.state().posts.len()
    }

    /// The conversation as it stands.
    #[must_use]
    pub fn conversation(&self) -> Vec<Posted> {
        self.channel.state().conversation.values().cloned().collect()
    }

    /// What Slack told people about commands that the app failed.
    #[must_use]
    pub fn failures(&self) -> Vec<Failed> {
        self.channel.state().failures.clone()
    }

    /// The button of each message whose last press the app did not acknowledge.
    #[must_use]
    pub fn unacknowledged(&self, message: u64) -> Option<ButtonRef> {
        self.channel.state().unacknowledged.get(&message).cloned()
    }

    /// A command or press, while it is remembered.
    #[must_use]
    pub fn exchange(&self, number: u64) -> Option<Exchange> {
        self.channel.state().exchanges.get(&number).cloned()
    }

    /// The last command or press.
    #[must_use]
    pub fn last_exchange(&self) -> Option<Exchange> {
        self.channel.state().exchanges.values().next_back().cloned()
    }

    /// What the app did that Slack would not have let pass.
    #[must_use]
    pub fn broken_rules(&self) -> Vec<String> {
        self.channel.state().broken_rules.clone()
    }
}
