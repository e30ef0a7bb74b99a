//! However many jobs are stored, claims read few of them.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kapso_slack::dispatch::LateReply;
use kapso_slack::idempotency::{DELETE_KEYS, KeyRows};
use kapso_slack::queue::{CLAIM_POSTGRES, CLAIM_SQLITE, JobRows, WorkerId};

use crate::support::databases::{Database, at, claim, late, on_both_databases};

/// Stores so many jobs that are not due before `at(1_000)`, as copies of one.
async fn store(database: &Database, count: u32) {
    let jobs = database.jobs().await;
    jobs.insert(&late(1_000), None).await.unwrap();
    jobs.database().close().await;
    let copies = format!(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
         INSERT INTO kapso_slack_jobs
             (id, kind, version, due_at, created_at, leased_by, leased_until, attempts, payload)
         SELECT 'copy-' || n, kind, version, due_at + n, created_at, leased_by, leased_until, attempts, payload
         FROM kapso_slack_jobs, numbers WHERE id NOT LIKE 'copy-%'"
    );
    database.run(copies).await;
    database.run("ANALYZE kapso_slack_jobs").await;
}

/// How the database executes a claim of late replies that are due at `at(0)`.
async fn plan(database: &Database) -> String {
    let (now, none) = (at(0).as_millisecond(), "NULL");
    let later = at(3_600).as_millisecond();
    let values = [
        "'late_reply'".to_owned(),
        "99".to_owned(),
        now.to_string(),
        now.to_string(),
        "256".to_owned(),
        "'worker'".to_owned(),
        later.to_string(),
        now.to_string(),
        none.to_owned(),
        later.to_string(),
        later.to_string(),
        none.to_owned(),
        none.to_owned(),
        now.to_string(),
        "0".to_owned(),
    ];
    let is_postgres = database.address.starts_with("postgres");
    let (explain, mut claim) = if is_postgres {
        ("EXPLAIN ", CLAIM_POSTGRES.to_owned())
    } else {
        ("EXPLAIN QUERY PLAN ", CLAIM_SQLITE.to_owned())
    };
    assert!(
        !claim.contains(&format!("${}", values.len() + 1)),
        "a parameter without a value: {claim}"
    );
    for (number, value) in values.iter().enumerate().rev() {
        claim = claim.replace(&format!("${}", number + 1), value);
    }
    database.plan(&format!("{explain}{claim}")).await
}

#[tokio::test]
async fn a_claim_uses_the_index_of_due_times() {
    on_both_databases(async |database| {
        store(database, 5_000).await;
        let plan = plan(database).await;
        assert!(plan.contains("kapso_slack_jobs_due"), "{plan}");
        for scan in ["Seq Scan on kapso_slack_jobs", "SCAN kapso_slack_jobs"] {
            assert!(!plan.contains(scan), "{plan}");
        }
    })
    .await;
}

/// Expired keys are deleted every minute, and keys are stored for 24 hours.
#[tokio::test]
async fn deleting_expired_keys_uses_an_index() {
    on_both_databases(async |database| {
        database.jobs().await.database().close().await;
        let keys = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 5000)
             INSERT INTO kapso_slack_idempotency_keys (key_hash, subject_hash, created_at)
             SELECT 'key-' || n, 'subject-' || n, n FROM numbers";
        database.run(keys).await;
        database.run("ANALYZE kapso_slack_idempotency_keys").await;
        let is_postgres = database.address.starts_with("postgres");
        let explain = if is_postgres { "EXPLAIN " } else { "EXPLAIN QUERY PLAN " };
        let delete = DELETE_KEYS.replace("$1", "5");
        assert!(!delete.contains('$'), "a parameter without a value: {delete}");
        let plan = database.plan(&format!("{explain}{delete}")).await;
        assert!(plan.contains("kapso_slack_idempotency_keys_created"), "{plan}");
    })
    .await;
}

/// Prints how long a claim of one due job takes among few and among many that are not due.
#[tokio::test]
#[ignore = "a measurement: ./scripts/postgres cargo test --test it query_plans -- --ignored --nocapture"]
#[expect(clippy::print_stdout, reason = "prints what it measured")]
async fn time_of_a_claim() {
    const CLAIMS: u32 = 50;
    on_both_databases(async |database| {
        let worker = WorkerId::random();
        for stored in [0, 100_000] {
            if stored > 0 {
                store(database, stored).await;
            }
            let jobs = database.jobs().await;
            let mut took = Duration::ZERO;
            for _ in 0..CLAIMS {
                jobs.insert(&late(0), None).await.unwrap();
                let began = Instant::now();
                let claimed = claim::<LateReply>(&jobs, &worker, 0).await;
                took += began.elapsed();
                assert_eq!(claimed.len(), 1);
                jobs.complete(&claimed[0].lease).await.unwrap();
            }
            let milliseconds = took.as_secs_f64() * 1_000.0 / f64::from(CLAIMS);
            let kind = database.url.kind().name();
            println!("{kind}: a claim among {stored} jobs that are not due: {milliseconds:.2} ms");
            jobs.database().close().await;
        }
    })
    .await;
}

/// Prints how long it takes, while so many jobs and keys are stored, to look for expired ones and to count jobs.
#[tokio::test]
#[ignore = "a measurement: ./scripts/postgres cargo test --test it query_plans -- --ignored --nocapture"]
#[expect(clippy::print_stdout, reason = "prints what it measured")]
async fn time_of_deleting_and_counting() {
    on_both_databases(async |database| {
        store(database, 100_000).await;
        let keys = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000)
             INSERT INTO kapso_slack_idempotency_keys (key_hash, subject_hash, created_at)
             SELECT 'key-' || n, 'subject-' || n, n FROM numbers";
        database.run(keys).await;
        let opened = database.open().await;
        let (jobs, keys) = (JobRows::new(opened.clone()), KeyRows::new(opened));
        let kind = database.url.kind().name();
        let began = Instant::now();
        assert_eq!(jobs.delete_created_before(at(0)).await.unwrap(), 0);
        println!("{kind}: no expired job among 100,000: {:.1?}", began.elapsed());
        let began = Instant::now();
        let first = Timestamp::from_millisecond(1).unwrap();
        assert_eq!(keys.delete_created_before(first).await.unwrap(), 0);
        println!("{kind}: no expired key among 100,000: {:.1?}", began.elapsed());
        let began = Instant::now();
        let stats = jobs.stats::<LateReply>(None, at(0)).await.unwrap();
        println!("{kind}: {} jobs counted: {:.1?}", stats.count, began.elapsed());
        jobs.database().close().await;
    })
    .await;
}
