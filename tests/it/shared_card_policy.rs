//! When a shared card is updated: at most once in five seconds, as the session is then, and not for ever.

use jiff::{SignedDuration, Timestamp};
use kapso_slack::kapso::Status;
use kapso_slack::slack::web_api::Posted;
use kapso_slack::watches::policy::{Decision, PollResult, decide};
use kapso_slack::watches::{SharedCard, Shown, Watch};
use proptest::prelude::*;

use crate::support::databases::{USER, at, watch};

const DAY: i64 = 24 * 60 * 60;
const WEEK: i64 = 7 * DAY;

fn shown(state: &str, expires_at: Timestamp) -> Shown {
    Shown {
        created_at: Some(at(0)),
        expires_at: Some(expires_at),
        hash: state.to_owned(),
    }
}

/// A card that was shared at `at(0)`.
fn card(expires_at: Timestamp) -> Watch {
    Watch {
        posts_left: 0,
        shared: Some(SharedCard {
            posted: Posted {
                channel: "C2147483705".to_owned(),
                ts: "1795428000.000001".to_owned(),
            },
            until: at(WEEK),
            shown: shown("0", expires_at),
            current: shown("0", expires_at),
            not_before: at(0),
            is_paced: false,
        }),
        ..watch(USER, "a")
    }
}

fn shared(watch: &mut Watch) -> &mut SharedCard {
    watch.shared.as_mut().unwrap()
}

fn result_of(word: u8) -> PollResult {
    match word {
        0..=3 => PollResult::Status(Status::Pending),
        4..=6 => PollResult::Status(Status::Active),
        7 => PollResult::Status(Status::Superseded),
        8 => PollResult::NotFound,
        _ => PollResult::Unknown,
    }
}

proptest! {
    /// Polls come at any time, since a page of the list also polls sessions that are not due yet.
    #[test]
    fn updates_are_five_seconds_apart_show_the_last_state_and_end(
        polls in prop::collection::vec((0_u8..10, 0_u8..3, 1_i64..20_000), 1..60),
        expires in 1..2 * WEEK,
    ) {
        let mut watch = card(at(expires));
        let mut now = at(0);
        let mut updated_at: Option<Timestamp> = None;
        for (word, state, later) in polls {
            now += SignedDuration::from_millis(later);
            let result = result_of(word);
            if matches!(result, PollResult::Status(_)) {
                shared(&mut watch).current = shown(&state.to_string(), at(expires));
            }
            let card = shared(&mut watch);
            let is_true = card.shown == card.current;
            match decide(&watch, &result, now) {
                Decision::Wait { until, watch: next } => {
                    prop_assert!(until > now);
                    let may_be_updated = updated_at.is_none_or(|at| now - at >= SignedDuration::from_secs(5));
                    let is_known = matches!(result, PollResult::Status(_));
                    prop_assert!(is_true || !is_known || !may_be_updated, "a change is shown as soon as it may be");
                    watch = *next;
                }
                Decision::Update { until, watch: mut next } => {
                    prop_assert!(!is_true, "a card without news is not updated");
                    prop_assert!(updated_at.is_none_or(|at| now - at >= SignedDuration::from_secs(5)));
                    updated_at = Some(now);
                    shared(&mut next).record_update(now);
                    watch = *next;
                    if until.is_none() {
                        break;
                    }
                }
                Decision::End => {
                    prop_assert!(is_true || word >= 8, "the last state is shown");
                    break;
                }
                other => prop_assert!(false, "a shared card notifies nobody: {other:?}"),
            }
        }
    }

    #[test]
    fn a_card_is_polled_within_a_quarter_of_an_hour_and_when_it_expires(
        age in 0..WEEK, expires in 1..2 * WEEK,
    ) {
        let watch = card(at(expires));
        match decide(&watch, &PollResult::Status(Status::Pending), at(age)) {
            Decision::Wait { until, .. } => {
                prop_assert!(until - at(age) <= SignedDuration::from_mins(15));
                prop_assert!(until <= at(WEEK));
                prop_assert!(age > expires || until <= at(expires + 1));
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }
}

#[test]
fn after_a_week_the_last_state_is_shown_and_updates_end() {
    let expires = at(2 * WEEK);
    let pending = PollResult::Status(Status::Pending);
    assert!(matches!(decide(&card(expires), &pending, at(WEEK)), Decision::End));
    let mut changed = card(expires);
    shared(&mut changed).current = shown("1", expires);
    for result in [PollResult::Unknown, PollResult::NotFound] {
        assert!(matches!(decide(&changed, &result, at(WEEK)), Decision::End));
    }
    let last = decide(&changed, &pending, at(WEEK));
    assert!(matches!(last, Decision::Update { until: None, .. }), "{last:?}");
}
