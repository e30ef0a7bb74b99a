//! Goes on with what others have left: one step, and a dull loop around it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};

use super::watcher::Watcher;
use crate::dispatch::Bot;

/// The pause between two steps. With the 15 s of a lease, owed work is resumed well within 20 s.
const PAUSE: Duration = Duration::from_secs(2);

/// Steps between two looks for what is too old.
const STEPS_TO_TIDY: u32 = 30;

/// Claims the answers that are owed and that nobody works on at `now`, and goes on with them.
pub async fn step(bot: &Arc<Bot>, now: Timestamp) {
    let claimed = bot.ledger.claim(now).await;
    for lease in claimed.unreadable {
        bot.has_lost_unreadable(lease).await;
    }
    for held in claimed.jobs {
        bot.resume(held);
    }
}

/// Goes on with answers and looks after watches until no new work is taken. `nap` is the longest that watches are
/// left alone.
pub async fn run(bot: Arc<Bot>, nap: Duration) {
    // Side by side: a Kapso that keeps a look waiting must not keep an answer waiting.
    tokio::join!(answers(&bot), watches(&bot, nap));
}

async fn watches(bot: &Arc<Bot>, nap: Duration) {
    let mut watcher = Watcher::default();
    while !bot.stopping.is_cancelled() {
        // A rest counts from the beginning of a step: a slow Kapso must not make looks rarer than they may be.
        let began = Instant::now();
        let rest = watcher.step(bot, bot.clock.now()).await;
        tokio::select! {
            () = sleep_until(began + nap.min(rest.unsigned_abs())) => {}
            () = bot.stopping.cancelled() => {}
        }
    }
}

async fn answers(bot: &Arc<Bot>) {
    let mut steps = 0_u32;
    while !bot.stopping.is_cancelled() {
        let now = bot.clock.now();
        step(bot, now).await;
        if steps.is_multiple_of(STEPS_TO_TIDY) {
            bot.has_lost_old(bot.ledger.tidy(now).await);
        }
        steps = steps.wrapping_add(1);
        tokio::select! {
            () = sleep(PAUSE) => {}
            () = bot.stopping.cancelled() => {}
        }
    }
}
