//! However many jobs are stored, claims read few of them.

use std::time::{Duration, Instant};

use kapso_slack::dispatch::LateReply;
use kapso_slack::queue::{CLAIM_POSTGRES, CLAIM_SQLITE, WorkerId};

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
