//! The service ends within the documented time, whatever does not answer.

use std::time::{Duration, Instant};

use tokio::io::{copy, copy_bidirectional, sink};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::support::databases::Database;
use crate::support::late_replies::start_late_reply;
use crate::support::{port, test_app};

/// docs/deploying.md says so, and container hosts kill after 10 s.
const DOCUMENTED: Duration = Duration::from_secs(8);

/// Leads to PostgreSQL until `silent`; then every connection takes everything, answers nothing and stays open.
async fn proxy(database: &Database, silent: watch::Receiver<bool>) -> String {
    let (_, behind) = database.address.rsplit_once('@').unwrap();
    let to = behind.split('/').next().unwrap().to_owned();
    let listener = port().await;
    let address = database
        .address
        .replace(&to, &listener.local_addr().unwrap().to_string());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (to, mut silent) = (to.clone(), silent.clone());
            tokio::spawn(async move {
                let mut server = TcpStream::connect(to).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => return,
                    _ = silent.wait_for(|silent| *silent) => {}
                }
                drop(copy(&mut client, &mut sink()).await);
            });
        }
    });
    address
}

#[tokio::test]
async fn a_postgres_that_neither_answers_nor_closes_does_not_delay_the_end() {
    let database = Database::postgres().await;
    let silent = watch::Sender::new(false);
    let address = proxy(&database, silent.subscribe()).await;
    test_app()
        .with_short_budget()
        .with("DATABASE_URL", address)
        .run(async |app| {
            app.wait_for_store().await;
            app.expect_complaint("stopped before all replies were delivered");
            app.slack.stall_responses(true);
            start_late_reply(app).await;
            silent.send_replace(true);
            let began = Instant::now();
            app.shut_down().await;
            let took = began.elapsed();
            assert!(took < DOCUMENTED, "it took {took:?}");
        })
        .await;
    database.drop().await;
}
