//! The check of the database.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::timeout;

use super::findings::{
    DATABASE_CLOCK, DATABASE_DAMAGED, DATABASE_FAILED, DATABASE_FULL, DATABASE_IN_MEMORY, DATABASE_IN_USE,
    DATABASE_NEWER, DATABASE_NOT_WRITABLE, DATABASE_REFUSED, DATABASE_UNREACHABLE, Finding,
};
use super::network::text;
use super::{Examination, Outcome, printable};
use crate::config::DatabaseKind;
use crate::db::{self, DatabaseError, Probed};
use crate::routes::READYZ;

const MIB: u64 = 1024 * 1024;

pub(super) async fn check(examination: &Examination<'_>) -> Outcome {
    let url = &examination.settings.database;
    if matches!(url.kind(), DatabaseKind::Memory) {
        return DATABASE_IN_MEMORY.with("sqlite::memory:").into();
    }
    let deadline = examination.limits.deadline;
    match timeout(deadline, db::probe(url))
        .await
        .unwrap_or(Err(DatabaseError::Slow))
    {
        Ok(probed) => judge(examination, probed),
        Err(DatabaseError::InUse) => used_by(examination).await,
        Err(error) => finding(&error).into(),
    }
}

fn judge(examination: &Examination<'_>, probed: Probed) -> Outcome {
    if let Some(free) = probed.free_bytes
        && free < examination.limits.free_bytes
    {
        return DATABASE_FULL.with(format!("{} MiB are free", free / MIB)).into();
    }
    if let Some(skew) = skew(examination.clock.now(), probed.server_time)
        && skew.abs() > examination.limits.clock_skew
    {
        return DATABASE_CLOCK
            .with(format!("they differ by {} s", skew.abs().as_secs()))
            .into();
    }
    Outcome::passed(format!(
        "{} can be written",
        examination.settings.database.kind().name()
    ))
}

/// How far `now` is ahead of another clock.
pub(super) fn skew(now: Timestamp, other: Option<Timestamp>) -> Option<SignedDuration> {
    Some(now.duration_since(other?))
}

/// The file is in use: by the service that is running here, one hopes, which then says whether it works.
async fn used_by(examination: &Examination<'_>) -> Outcome {
    let Some(own) = examination.own_url(READYZ) else {
        return finding(&DatabaseError::InUse).into();
    };
    let request = examination.network.http.get(own).timeout(examination.limits.deadline);
    let answer = match request.send().await {
        Ok(response) => text(response).await,
        Err(_) => return finding(&DatabaseError::InUse).into(),
    };
    let status: Value = serde_json::from_str(&answer).unwrap_or_default();
    match status["status"].as_str() {
        Some("ready") => Outcome::passed("the running service uses it, and says that it works"),
        Some("degraded") => DATABASE_FAILED
            .with("the running service says so: see its log and /readyz")
            .into(),
        Some("disconnected" | "draining") => {
            Outcome::skipped("the running service uses it, and is not ready: see its log and /readyz")
        }
        Some(_) | None => finding(&DatabaseError::InUse).into(),
    }
}

fn finding(error: &DatabaseError) -> Finding {
    let kind = match error {
        DatabaseError::InUse => DATABASE_IN_USE,
        DatabaseError::Unopenable(_) | DatabaseError::ReadOnly => DATABASE_NOT_WRITABLE,
        DatabaseError::Full => DATABASE_FULL,
        DatabaseError::Corrupt => DATABASE_DAMAGED,
        DatabaseError::Newer { .. } => DATABASE_NEWER,
        DatabaseError::Unreachable(_) | DatabaseError::Slow => DATABASE_UNREACHABLE,
        DatabaseError::Refused(_) => DATABASE_REFUSED,
        DatabaseError::ClockSkew(_) => DATABASE_CLOCK,
        DatabaseError::NotOpen | DatabaseError::Gone | DatabaseError::PreparedStatements | DatabaseError::Other(_) => {
            DATABASE_FAILED
        }
    };
    kind.with(printable(&error.to_string()))
}
