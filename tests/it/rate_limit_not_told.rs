//! Headers that tell no limit refuse nobody.

use http::{HeaderName, StatusCode};
use kapso_slack::demo::Fault;
use serde_json::json;

use crate::support::{ID, test_app};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");

#[tokio::test]
async fn a_limit_of_zero_on_an_answer_is_no_limit() {
    for limit in ["0", "-1", "unlimited", ""] {
        test_app()
            .without_cache()
            .run(async |app| {
                let session = json!({"data": {"id": ID, "status": "active"}}).to_string();
                let answer = Fault::answer(StatusCode::OK, session)
                    .with_header(LIMIT, limit)
                    .with_header(REMAINING, "0");
                app.kapso.fail_next_request(answer);
                for status in ["Active", "Waiting for activation"] {
                    let card = app.command_text(&format!("/sandbox {ID}")).await;
                    assert!(card.contains(status), "{limit:?}: {card}");
                }
            })
            .await;
    }
}
