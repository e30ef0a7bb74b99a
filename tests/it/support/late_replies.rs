//! Commands whose replies come later, in a message of their own.

use kapso_slack::demo::Fault;

use crate::support::{ID, TestApp};

/// Types a command that Kapso does not answer until it is released, and returns its exchange number.
pub async fn is_owed(app: &TestApp) -> u64 {
    let asked = app.kapso.requests().len();
    app.kapso.fail_next(Fault::Hold);
    let exchange = app.types_in_vain(&format!("/sandbox {ID}")).await;
    app.kapso.has_been_asked(asked + 1).await;
    exchange
}
