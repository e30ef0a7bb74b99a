//! Processes that are killed: their pending replies in the database, and the number of replies to each command.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::support::databases::Database;
use crate::support::program::Fakes;

/// Upper bound for the time after a kill until pending replies are resumed: a lease of 15 s, and some seconds for the
/// restart on a busy machine.
pub const RESUMED: Duration = Duration::from_secs(20);

/// Part of the log line of a command that was answered later.
pub const LATE: &str = "\"answer\":\"late\"";

/// A pending reply in the store.
#[derive(Debug)]
pub struct Row {
    pub exchange: u64,
    /// Posts that its `response_url` still accepts. Decremented before each attempt.
    pub posts_left: u64,
}

/// The pending replies in the store for which the SQL condition `which` is true.
pub async fn pending_replies(database: &Database, which: &str) -> Vec<Row> {
    let row = |payload: Value| {
        // Watches have the fields themselves.
        let outgoing = payload.get("outgoing").unwrap_or(&payload);
        let url = outgoing["response_url"].as_str().unwrap();
        Row {
            exchange: url.split('-').nth(1).unwrap().parse().unwrap(),
            posts_left: outgoing["posts_left"].as_u64().unwrap(),
        }
    };
    database.payloads(which).await.into_iter().map(row).collect()
}

/// How often each exchange was answered. Fails if the fakes complain of anything but more than `due` answers to one
/// exchange.
pub fn answer_counts(fakes: &Fakes, due: usize) -> BTreeMap<u64, usize> {
    let mut answers = BTreeMap::new();
    for posted in fakes.slack.conversation() {
        *answers.entry(posted.exchange).or_default() += 1;
    }
    let complaints = fakes.slack.rule_violations();
    let (twice, other): (Vec<_>, Vec<_>) = complaints
        .iter()
        .partition(|rule| rule.ends_with("got too many messages"));
    assert_eq!(other, Vec::<&String>::new());
    assert_eq!(twice.len(), surplus_answers(&answers, due));
    assert_eq!(fakes.kapso.unexpected_requests(), Vec::<String>::new());
    answers
}

/// How many answers there are beyond `due` for each exchange.
pub fn surplus_answers(answers: &BTreeMap<u64, usize>, due: usize) -> usize {
    answers.values().map(|count| count - due).sum()
}
