//! The real program for a long time, at 20 commands a second, with faults of Kapso, Slack and the database: no reply is
//! lost, and memory and descriptors do not grow. `scripts/soak` runs it.

use std::time::Duration;

use http::StatusCode;
use kapso_slack::clock::Clock;
use kapso_slack::demo::{FakeKapso, Fault};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at};

use crate::support::databases::Database;
use crate::support::load_generator::{LoadGenerator, ProcessFigures, ResponseUrls, Sent, too_late};
use crate::support::program::program_under_load;
use crate::support::proxy::Proxy;
use crate::support::{KEY, SECRET, port};

const PER_SECOND: u64 = 20;
/// Faults repeat after so many seconds.
const CYCLE: u64 = 40;
/// Commands ask for so many sessions in turn.
const SESSIONS: u64 = 200;
/// By then everything that a fault has delayed is delivered: the longest is a lease of 15 s.
const DEADLINE: Duration = Duration::from_mins(1);
/// Idle connections to Kapso that the service keeps.
const POOL: usize = 32;

/// What is done at this second of a cycle, before the second's commands.
async fn faults(second: u64, kapso: &FakeKapso, load: &LoadGenerator, proxy: &mut Proxy, cycle: u64) {
    match second {
        8 => kapso.set_fault(Some(Fault::answer(StatusCode::INTERNAL_SERVER_ERROR, "{}"))),
        12 => kapso.set_fault(Some(Fault::Stall)),
        20 => {
            kapso.release_stalled_requests();
            // Every reply comes late, and Slack refuses some.
            kapso.set_fault(Some(Fault::Delay(Duration::from_millis(2_500))));
            // Few: a reply is given up after three of these.
            load.refuse_posts(10, StatusCode::INTERNAL_SERVER_ERROR);
            load.refuse_posts(20, StatusCode::TOO_MANY_REQUESTS);
        }
        24 => {
            kapso.set_fault(None);
            load.accept_posts();
            proxy.cut().await;
        }
        30 => {
            proxy.restore().await;
            kapso.set_fault(Some(Fault::CloseConnection));
        }
        34 => {
            kapso.set_fault(None);
            for n in 0..WATCHES {
                kapso.activate(&watched(cycle, n));
            }
        }
        _ => {}
    }
}

/// Watches that begin in each cycle.
const WATCHES: u64 = 5;

fn watched(cycle: u64, n: u64) -> String {
    format!("watched-{cycle}-{n}")
}

/// The `n`th command of a cycle.
async fn send(load: &LoadGenerator, cycle: u64, n: u64) -> Vec<Sent> {
    // One watch a second, as long as everything works.
    if n.is_multiple_of(PER_SECOND) && n / PER_SECOND < WATCHES {
        let sent = load.command(&format!("watch {}", watched(cycle, n / PER_SECOND))).await;
        let confirmation = sent.card.as_ref().expect("a watch is confirmed at once").to_string();
        assert!(confirmation.contains("unwatch"), "{confirmation}");
        // What is waited for is the notification.
        return vec![Sent { card: None, ..sent }];
    }
    match n % 10 {
        7 => vec![load.command("list").await],
        8 => vec![load.command("help").await],
        9 => {
            let sent = load.command(&format!("session-{}", n % SESSIONS)).await;
            match &sent.card {
                Some(card) if card.to_string().contains("\"refresh\"") => {
                    let pressed = load.refresh(card).await;
                    vec![sent, pressed]
                }
                _ => vec![sent],
            }
        }
        _ => vec![load.command(&format!("session-{}", n % SESSIONS)).await],
    }
}

#[tokio::test]
#[ignore = "takes minutes: scripts/soak runs it"]
#[expect(clippy::print_stdout, reason = "prints what it measured")]
async fn no_reply_is_lost_and_nothing_grows() {
    let seconds: u64 = std::env::var("SOAK_SECONDS").map_or(CYCLE, |seconds| seconds.parse().unwrap());
    let cycles = seconds.div_ceil(CYCLE).max(2);
    let database = Database::postgres().await;
    let mut proxy = Proxy::to(&database).await;
    let kapso = FakeKapso::start(port().await, KEY, Clock::system()).unwrap();
    kapso.set_rate_limit(1_000_000);
    for n in 0..SESSIONS {
        kapso.add_session(&format!("session-{n}"));
    }
    let response_urls = ResponseUrls::start().await;
    let mut service = program_under_load()
        .with("SLACK_SIGNING_SECRET", SECRET)
        .with("KAPSO_API_KEY", KEY)
        .with("KAPSO_BASE_URL", kapso.base_url().as_str())
        .with("SLACK_RESPONSE_HOSTS", &response_urls.origin)
        .with("DATABASE_URL", &proxy.address(&database))
        .with("METRICS_ADDR", "127.0.0.1:0")
        .start();
    let (app, metrics) = service.wait_for_addresses().await;
    let readiness = app.join("/readyz").unwrap();
    let load = std::sync::Arc::new(response_urls.load(app));
    let process = ProcessFigures::of(service.id());
    service.drain_output();
    // Kapso's first answer says what its limit is.
    while load.command("session-0").await.card.is_none() {}
    while !load.page(readiness.clone()).await.contains("\"ready\"") {}
    let descriptors = process.descriptors();

    let (mut commands, mut late, mut twice, mut too_late_ones, mut slowest) = (0, 0, 0, 0, Duration::ZERO);
    let mut memory = Vec::new();
    for cycle in 0..cycles {
        for n in 0..WATCHES {
            kapso.add_session(&watched(cycle, n));
        }
        let mut sending = JoinSet::new();
        let mut ticks = interval_at(
            Instant::now(),
            Duration::from_secs(1) / u32::try_from(PER_SECOND).unwrap(),
        );
        for n in 0..CYCLE * PER_SECOND {
            ticks.tick().await;
            if n.is_multiple_of(PER_SECOND) {
                faults(n / PER_SECOND, &kapso, &load, &mut proxy, cycle).await;
            }
            let load = std::sync::Arc::clone(&load);
            sending.spawn(async move { send(&load, cycle, n).await });
        }
        let sent: Vec<Sent> = sending.join_all().await.into_iter().flatten().collect();
        let waiting: Vec<u64> = sent
            .iter()
            .filter(|sent| sent.card.is_none())
            .map(|sent| sent.number)
            .collect();
        twice += load.wait_for_posts(&waiting, DEADLINE).await;
        commands += sent.len();
        too_late_ones += too_late(&sent);
        late += waiting.len();
        slowest = sent.iter().map(|sent| sent.took).max().unwrap().max(slowest);
        memory.push(process.memory());
        for n in 0..WATCHES {
            kapso.delete(&watched(cycle, n));
        }
    }

    let page = load.page(metrics).await;
    let unexpected = load.unexpected_posts();
    drop(load);
    let began = Instant::now();
    while process.descriptors() > descriptors + POOL && began.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let growth = growth_percent(&memory);
    println!("memory at the end of each cycle, in kB: {memory:?}");
    println!(
        "soak: {} s, {commands} commands and presses, {late} replies and notifications by a later message, none lost, \
         {twice} posted twice, slowest response {} ms, {too_late_ones} after more than 3 s, memory {} kB at the end, {growth:.1} % more in the last third than in the one before, descriptors {descriptors} then {}",
        cycles * CYCLE,
        slowest.as_millis(),
        memory[memory.len() - 1],
        process.descriptors(),
    );
    for line in page.lines().filter(|line| line.contains("lost\"")) {
        assert!(line.ends_with(" 0"), "{line}");
    }
    assert_eq!(unexpected, 0, "posts for what was answered in its response");
    assert!(process.descriptors() <= descriptors + POOL, "{}", process.descriptors());
    assert!(
        growth <= most_growth(seconds),
        "memory grew by {growth:.1} %: {memory:?} kB"
    );
    service.send_signal("TERM").await;
    service.wait_for_end().await;
    database.drop().await;
}

/// Commands are remembered for so long: until then memory grows.
const FILLING: u64 = 900;

/// How much memory may grow, in percent, in a run of so many seconds.
fn most_growth(seconds: u64) -> f64 {
    // The middle third of a short one is not filled.
    if seconds >= 3 * FILLING { 5.0 } else { 25.0 }
}

/// By how many percent the median of the last third is higher than that of the middle third. Single peaks do not count: a
/// fault that has just ended leaves one.
#[expect(clippy::cast_precision_loss, reason = "kilobytes are far fewer than 2^52")]
fn growth_percent(memory: &[u64]) -> f64 {
    let third = memory.len().div_ceil(3);
    let mut thirds = memory.rchunks(third).map(|third| {
        let mut third = third.to_vec();
        third.sort_unstable();
        third[third.len() / 2] as f64
    });
    let (last, middle) = (thirds.next().unwrap(), thirds.next().unwrap());
    (last / middle - 1.0) * 100.0
}

/// An hour that is filling for a quarter, and then grows by so many kB a cycle; with a peak now and then.
fn hour(growth: u64) -> Vec<u64> {
    let cycles = 3_600 / CYCLE;
    let filling = FILLING / CYCLE;
    (0..cycles)
        .map(|cycle| 20_000 + 240 * cycle.min(filling) + growth * cycle + if cycle % 7 == 0 { 8_000 } else { 0 })
        .collect()
}

#[test]
fn the_growth_of_an_hour_is_judged_without_its_first_third_and_without_peaks() {
    let growth = growth_percent(&hour(0));
    assert!(growth.abs() < 0.1, "{growth}");
}

/// As memory grew before: by 270 kB a cycle.
#[test]
fn steady_growth_fails_an_hour() {
    assert!(growth_percent(&hour(270)) > most_growth(3_600));
    assert!(growth_percent(&hour(60)) > most_growth(3_600));
}
