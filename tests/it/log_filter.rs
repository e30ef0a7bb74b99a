//! `RUST_LOG`: what cannot be meant is refused by name, so that no log is empty by mistake.

use crate::support::program::Fakes;
use crate::support::settings::{problem, settings};

#[test]
fn an_unknown_word_is_refused_by_name() {
    for (filter, word) in [
        ("inof", "inof"),
        ("warning", "warning"),
        ("kapso-slack=debug", "kapso-slack=debug"),
        ("info;hyper=warn", "info;hyper=warn"),
        ("info,verbose", "verbose"),
        ("kapso_slack=loud", "kapso_slack=loud"),
        ("kapso_slack=", "kapso_slack="),
        ("=debug", "=debug"),
        ("info hyper=warn", "info hyper=warn"),
        ("kapso_slack:debug", "kapso_slack:debug"),
        ("kapso_slack[span]=debug", "kapso_slack[span]=debug"),
        ("hyper", "hyper"),
    ] {
        assert_eq!(
            problem(&[("RUST_LOG", filter)]),
            format!(
                "RUST_LOG: `{word}` is neither a level (off, error, warn, info, debug, trace) nor a filter such as kapso_slack=debug"
            )
        );
    }
    assert_eq!(
        problem(&[("RUST_LOG", ",")]),
        "RUST_LOG: contains no level; unset it to use info"
    );
}

#[test]
fn levels_and_targets_are_accepted() {
    for filter in [
        "info",
        "INFO",
        "off",
        "Trace",
        "kapso_slack=debug",
        "info,kapso_slack::dispatch=trace,hyper=error",
        " info , hyper=off ",
        "kapso_slack",
        "info,",
    ] {
        assert!(settings(&[("RUST_LOG", filter)]).is_ok(), "{filter}");
    }
}

#[tokio::test]
async fn with_a_filter_for_our_lines_alone_the_start_is_logged() {
    let fakes = Fakes::start().await;
    for filter in ["kapso_slack=debug", "kapso_slack=info,hyper=off"] {
        let mut service = fakes.service().with("RUST_LOG", filter).start();
        service.wait_until_listening().await;
    }
}
