//! Setting up a PostgreSQL server, by concurrent processes too, and errors of the server.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::SignedDuration;
use kapso_slack::config::DatabaseUrl;
use kapso_slack::db::{self, DatabaseError};
use kapso_slack::dispatch::LateReply;
use kapso_slack::queue::JobRows;
use sqlx::raw_sql;
use tokio::time::timeout;

use crate::support::databases::{Database, at, late, postgres_url};
use crate::support::{ID, test_app};

const TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_unreachable_or_refusing_server_is_reported() {
    let server = postgres_url();
    let (_, behind) = server.rsplit_once('@').unwrap();
    let rows = [
        (
            "postgres://kapso:x@127.0.0.1:1/postgres".to_owned(),
            "cannot be reached",
        ),
        (format!("postgres://kapso:wrong@{behind}"), "refused"),
        (server.replace("/postgres?", "/missing?"), "refused"),
    ];
    for (url, says) in rows {
        let url = url.parse().unwrap();
        let opening = db::Database::open(&url);
        let error = timeout(TIMEOUT, opening)
            .await
            .expect("it does not hang")
            .map(drop)
            .unwrap_err();
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
}

#[tokio::test]
async fn dropped_connections_and_tables_are_handled() {
    let database = Database::postgres().await;
    let store = database.jobs().await;
    store.insert(&late(0), None).await.unwrap();
    database
        .run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE pid <> pg_backend_pid() AND application_name = current_schema()",
        )
        .await;
    assert_eq!(store.stats::<LateReply>(None, at(0)).await.unwrap().count, 1);
    database.run("DROP TABLE kapso_slack_jobs").await;
    let error = store.stats::<LateReply>(None, at(0)).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Other(_)), "{error:?}");
}

#[tokio::test]
async fn a_server_that_requires_tls_is_supported() {
    let database = Database::postgres_over_tls().await;
    let store = database.jobs().await;
    store.insert(&late(0), None).await.unwrap();
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                     WHERE ssl AND application_name = current_schema() AND pid <> pg_backend_pid()";
    assert_eq!(database.number(encrypted).await, 5, "every connection");
}

#[tokio::test]
async fn concurrent_processes_migrate_one_server() {
    let database = Database::postgres().await;
    // As the service does: on a busy machine, a connection may take longer than an attempt may.
    let open = async || loop {
        match db::Database::open(&database.url).await {
            Ok(store) => return store,
            Err(DatabaseError::Slow | DatabaseError::Unreachable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    };
    let stores = timeout(TIMEOUT, join_all((0..8).map(|_| open()))).await;
    for store in stores.expect("every process opens it in time") {
        JobRows::new(store).insert(&late(0), None).await.unwrap();
    }
    assert_eq!(database.number("SELECT count(*) FROM kapso_slack_jobs").await, 8);
    assert_eq!(
        database
            .number("SELECT sum(version)::bigint FROM kapso_slack_migrations")
            .await,
        1 + 2 + 3 + 4
    );
}

/// As when a pooler in transaction mode gives the next transaction another connection.
#[tokio::test]
async fn missing_prepared_statements_are_explained() {
    let database = Database::postgres().await;
    let store = database.jobs().await;
    let pool = store.database().pool();
    for _ in 0..2 {
        store.insert(&late(0), None).await.unwrap();
    }
    let mut errors = Vec::new();
    for _ in 0..20 {
        raw_sql("DEALLOCATE ALL").execute(pool).await.unwrap();
        errors.extend(store.insert(&late(0), None).await.err());
    }
    assert!(!errors.is_empty());
    for error in errors {
        assert_eq!(error, DatabaseError::PreparedStatements);
        assert!(error.to_string().contains("session mode"), "{error}");
    }
    store.database().close().await;
    database.drop().await;
}

/// The number that docs/operating.md names.
#[tokio::test]
async fn a_role_with_six_connections_is_enough() {
    let database = Database::postgres().await;
    let role = format!("role_{:016x}", fastrand::u64(..));
    database
        .run(format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'x' CONNECTION LIMIT 6;
             DO $$ BEGIN EXECUTE format('GRANT ALL ON SCHEMA %I TO {role}', current_schema()); END $$;"
        ))
        .await;
    let (_, server) = database.address.rsplit_once('@').unwrap();
    let url: DatabaseUrl = format!("postgres://{role}:x@{server}").parse().unwrap();
    test_app()
        .set(move |settings| settings.database = url)
        .run(async |app| {
            app.wait_for_store().await;
            for times in 1..3 {
                // The first query after a lost connection may fail, and the service then opens others.
                while !app
                    .command_text(&format!("/sandbox watch {ID}"))
                    .await
                    .contains("Watching until")
                {
                    app.wait_until_ready().await;
                }
                database
                    .run(format!(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"
                    ))
                    .await;
                app.advance_clock(SignedDuration::from_secs(times * 25));
            }
            app.wait_until_ready().await;
            app.shut_down().await;
        })
        .await;
    database
        .run(format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"))
        .await;
    database.drop().await;
}
