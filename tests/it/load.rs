//! How the real program behaves under load, as a table. `scripts/load` runs it and prints the figures for
//! `docs/measurements.md`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use kapso_slack::clock::Clock;
use kapso_slack::demo::{FakeKapso, Fault};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at};

use crate::support::load_generator::{LoadGenerator, ProcessFigures, ResponseUrls, Sent, too_late};
use crate::support::program::{Running, program_under_load};
use crate::support::wire::RawConnection;
use crate::support::{KEY, SECRET, port};

const DEADLINE: Duration = Duration::from_mins(2);

struct Service {
    kapso: FakeKapso,
    load: Arc<LoadGenerator>,
    process: ProcessFigures,
    app: url::Url,
    running: Running,
}

impl Service {
    async fn start(sessions: u64) -> Self {
        let kapso = FakeKapso::start(port().await, KEY, Clock::system()).unwrap();
        kapso.set_rate_limit(1_000_000);
        for n in 0..sessions {
            kapso.add_session(&format!("session-{n}"));
        }
        let response_urls = ResponseUrls::start().await;
        let mut running = program_under_load()
            .with("SLACK_SIGNING_SECRET", SECRET)
            .with("KAPSO_API_KEY", KEY)
            .with("KAPSO_BASE_URL", kapso.base_url().as_str())
            .with("SLACK_RESPONSE_HOSTS", &response_urls.origin)
            .with("METRICS_ADDR", "127.0.0.1:0")
            .start();
        let (app, _) = running.wait_for_addresses().await;
        let load = Arc::new(response_urls.load(app.clone()));
        let process = ProcessFigures::of(running.id());
        running.drain_output();
        // Kapso's first answer says what its limit is.
        while load.command("session-0").await.card.is_none() {}
        Self {
            kapso,
            load,
            process,
            app,
            running,
        }
    }

    async fn stop(self) {
        drop(self.load);
        self.running.send_signal("TERM").await;
        self.running.wait_for_end().await;
    }
}

/// The times until the responses, in words.
fn times(sent: &[Sent]) -> String {
    let mut times: Vec<_> = sent.iter().map(|sent| sent.took.as_millis()).collect();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    format!(
        "response after {} ms (median), {} ms (99 %), {} ms (slowest), {} after more than 3 s",
        at(50),
        at(99),
        at(100),
        too_late(sent)
    )
}

/// Waits for the replies that did not come in the response: how many these are, and how many were posted twice.
async fn late(load: &LoadGenerator, sent: &[Sent]) -> (usize, u32) {
    let waiting: Vec<u64> = sent
        .iter()
        .filter(|sent| sent.card.is_none())
        .map(|sent| sent.number)
        .collect();
    let twice = load.wait_for_posts(&waiting, DEADLINE).await;
    assert_eq!(load.unexpected_posts(), 0);
    (waiting.len(), twice)
}

#[tokio::test]
#[ignore = "needs an idle machine for its figures: scripts/load runs it"]
#[expect(clippy::print_stdout, reason = "prints what it measured")]
async fn the_service_under_load() {
    let hanging: u64 = std::env::var("LOAD_SECONDS").map_or(6, |seconds| seconds.parse().unwrap());
    rlimit::increase_nofile_limit(20_000).unwrap();
    println!("| what | measured |\n|---|---|");

    let service = Service::start(1_000).await;
    let load = &service.load;
    let sent = join_all((0..1_000).map(async |n| load.command(&format!("session-{n}")).await)).await;
    let (late_ones, twice) = late(load, &sent).await;
    println!(
        "| 1,000 commands at once, each for another session | {}; {late_ones} replies by a later message, none lost, {twice} twice |",
        times(&sent)
    );

    let mut half_open = Vec::new();
    for _ in 0..2_000 {
        let mut connection = RawConnection::connect(&service.app).await;
        connection.send("POST /slack/commands HTTP/1.1\r\nhost: x\r\nx-").await;
        half_open.push(connection);
    }
    let mut sent = Vec::new();
    for n in 0..100 {
        sent.push(load.command(&format!("session-{n}")).await);
    }
    late(load, &sent).await;
    println!(
        "| 100 commands, one after the other, with 2,000 connections that never finish a request | {}; memory {} MB |",
        times(&sent),
        service.process.memory() / 1_024
    );
    drop(half_open);

    service.kapso.set_fault(Some(Fault::Stall));
    let sent = join_all((0..30).map(async |n| load.command_in("C0000000001", &format!("unknown-{n}")).await)).await;
    service.kapso.set_fault(None);
    service.kapso.release_stalled_requests();
    let began = Instant::now();
    let (late_ones, twice) = late(load, &sent).await;
    println!(
        "| 30 late replies at once in one channel, where Slack takes one a second | all {late_ones} delivered in {} s, \
         none lost, {twice} twice, {} posts refused with 429 |",
        began.elapsed().as_secs(),
        load.refused()
    );
    service.stop().await;

    let service = Service::start(20).await;
    let load = &service.load;
    service.kapso.set_fault(Some(Fault::Stall));
    let mut sending = JoinSet::new();
    let mut ticks = interval_at(Instant::now(), Duration::from_millis(5));
    let mut memory = 0;
    for n in 0..hanging * 200 {
        ticks.tick().await;
        if n.is_multiple_of(200) {
            memory = memory.max(service.process.memory());
        }
        let load = Arc::clone(load);
        sending.spawn(async move { load.command(&format!("session-x{n}")).await });
    }
    let sent = sending.join_all().await;
    service.kapso.set_fault(None);
    service.kapso.release_stalled_requests();
    let (late_ones, twice) = late(load, &sent).await;
    println!(
        "| Kapso hangs for {hanging} s, 200 commands a second, each for another session | {}; {late_ones} replies by a \
         later message, none lost, {twice} twice; memory at most {} MB |",
        times(&sent),
        memory / 1_024
    );
    service.stop().await;
}
