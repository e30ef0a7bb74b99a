//! What lists cost, and what becomes of watches where lists are of no use.

use jiff::SignedDuration;
use serde_json::json;

use crate::house::{House, plan};

const WATCHES: usize = 20;
const SECOND: SignedDuration = SignedDuration::from_secs(1);

fn id(number: usize) -> String {
    format!("session-{number:04}")
}

/// The clock moves on, and the service has its turn.
async fn seconds(house: &House, many: usize) {
    for _ in 0..many * 2 {
        house.passes(SECOND / 2);
        for _ in 0..4 {
            house.gets("/healthz").await;
        }
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_read_leaves_no_watch_unseen_for_a_minute() {
    plan()
        .house(async |house| {
            house.has_a_store().await;
            // A page of a hundred is over 256 KiB.
            let words = "an agent with much to say ".repeat(120);
            let agent = json!({"id": "agent-123abc", "name": "Agent", "description": words});
            for number in 0..100 {
                house.kapso.add(&id(number));
                house.kapso.set(&id(number), "agent", agent.clone());
            }
            for number in 0..WATCHES {
                house.reads(&format!("/sandbox watch {}", id(number))).await;
            }
            // The first look is due 15 s after that.
            seconds(house, 16).await;
            let before = house.kapso.requests().len();
            seconds(house, 60).await;
            let requests = house.kapso.requests().split_off(before);
            let unseen: Vec<_> = (0..WATCHES)
                .map(id)
                .filter(|id| !requests.iter().any(|request| request.ends_with(id)))
                .collect();
            assert!(
                unseen.is_empty(),
                "{unseen:?} were not looked at; asked was {requests:?}"
            );
        })
        .await;
}
