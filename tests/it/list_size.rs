//! What lists and look-ups cost in a project with many sessions.

use std::fs;
use std::time::Instant;

use crate::support::KEY;
use crate::support::program::Fakes;

const SESSIONS: usize = 10_000;

/// Resident memory of a process, in MB.
fn memory(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kilobytes: u32 = line.trim().trim_end_matches(" kB").parse().unwrap();
    f64::from(kilobytes) / 1_000.0
}

#[tokio::test]
#[ignore = "a measurement: cargo test --test it list_size -- --ignored --nocapture"]
#[expect(clippy::print_stdout, reason = "prints what it measured")]
async fn cost_of_a_project_with_ten_thousand_sessions() {
    let fakes = Fakes::start().await;
    for number in 1..SESSIONS {
        fakes.kapso.add_session(&format!("session-{number:05}"));
    }
    let mut service = fakes.service().start();
    let app = service.wait_until_serving().await;
    println!("after the start: {:.1} MB", memory(service.id()));
    // The fake is not optimized, and sorts all sessions for each page.
    let base = fakes.kapso.base_url();
    let page = format!(
        "{}/sandbox_sessions?page=1&per_page=10",
        base.as_str().trim_end_matches('/')
    );
    let http = reqwest::Client::new();
    let began = Instant::now();
    let response = http.get(page).header("X-API-Key", KEY).send().await.unwrap();
    assert!(response.status().is_success());
    println!("the fake's own time for a page: {:.1?}", began.elapsed());
    for command in ["list", "list 500", "list 1000", "+56999999999"] {
        let before = fakes.kapso.requests().len();
        let posts = fakes.slack.post_count();
        let began = Instant::now();
        let text = format!("/sandbox {command}");
        let sent = fakes.slack.send_command(&app, &fakes.person, &text).await;
        if sent.message.is_none() {
            fakes.slack.wait_for_posts(posts + 1).await;
        }
        println!(
            "{text}: {} requests, reply after {:.1?}, {:.1} MB",
            fakes.kapso.requests().len() - before,
            began.elapsed(),
            memory(service.id())
        );
    }
    service.send_signal("TERM").await;
    assert_eq!(service.wait_for_exit().await.code, Some(0));
}
