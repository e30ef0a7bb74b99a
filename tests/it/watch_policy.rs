//! What a watch does next: at most one notification, none too late, and every watch ends.

use jiff::SignedDuration;
use kapso_slack::kapso::Status;
use kapso_slack::watches::policy::{Change, Decision, News, PollResult, decide};
use kapso_slack::watches::{DirectWatch, Watch};
use proptest::prelude::*;

use crate::support::databases::{USER, at, watch};

const MINUTE: i64 = 60;

/// A watch that started at `at(0)`, of a session created `session_age` seconds earlier.
fn watch_of_age(session_age: i64) -> Watch {
    Watch {
        session_created_at: Some(at(-session_age)),
        ..watch(USER, "a")
    }
}

fn pending() -> PollResult {
    PollResult::Status(Status::Pending)
}

/// The watch that waits, and until when, in seconds.
fn expect_wait(next: Decision) -> (Watch, i64) {
    let Decision::Wait { until, watch } = next else {
        panic!("it waits: {next:?}");
    };
    (*watch, until.duration_since(at(0)).as_secs())
}

#[test]
fn each_final_status_is_notified() {
    for (status, change) in [
        (Status::Active, Change::Activated),
        (Status::Expired, Change::Expired),
        (Status::Superseded, Change::Superseded),
    ] {
        let next = decide(&watch_of_age(0), &PollResult::Status(status), at(30));
        assert!(
            matches!(next, Decision::NotifyAndEnd(News::Changed(told)) if told == change),
            "{next:?}"
        );
    }
    let other = PollResult::Status(Status::Other("paused".to_owned()));
    // An unknown status does not end a watch.
    expect_wait(decide(&watch_of_age(0), &other, at(30)));
}

#[test]
fn only_two_404s_in_a_row_mean_gone() {
    let (once, _) = expect_wait(decide(&watch_of_age(0), &PollResult::NotFound, at(0)));
    let (silent, _) = expect_wait(decide(&once, &PollResult::Unknown, at(15)));
    assert!(matches!(
        decide(&silent, &PollResult::NotFound, at(45)),
        Decision::NotifyAndEnd(News::Changed(Change::Gone))
    ));
    let (back, _) = expect_wait(decide(&once, &pending(), at(15)));
    let (again, _) = expect_wait(decide(&back, &PollResult::NotFound, at(30)));
    assert_eq!(again.not_found, 1, "the count starts again for a session that is found");
}

#[test]
fn polls_become_rarer_as_the_session_grows_older() {
    for (session_age, now, pause) in [
        (0, 0, 15),
        (0, 119, 15),
        (0, 120, 20),
        (899, 0, 20),
        (900, 0, 25),
        (-600, 0, 15),
    ] {
        let (_, until) = expect_wait(decide(&watch_of_age(session_age), &pending(), at(now)));
        assert_eq!(
            until - now,
            pause,
            "a session created {session_age} s before, after {now} s"
        );
    }
}

#[test]
fn a_watch_ends_after_28_minutes_and_posts_nothing_after_29() {
    let old = watch_of_age(0);
    let (_, until) = expect_wait(decide(&old, &pending(), at(28 * MINUTE - 1)));
    assert_eq!(until, 28 * MINUTE, "the last poll is on time");
    for now in [28 * MINUTE, 29 * MINUTE - 1] {
        for result in [pending(), PollResult::Unknown, PollResult::NotFound] {
            assert!(
                matches!(decide(&old, &result, at(now)), Decision::NotifyAndEnd(News::TimeUp)),
                "{result:?} at {now}"
            );
        }
        let active = decide(&old, &PollResult::Status(Status::Active), at(now));
        assert!(
            matches!(active, Decision::NotifyAndEnd(News::Changed(Change::Activated))),
            "a change is more important than the end of the time"
        );
    }
    let used_up = Watch {
        posts_left: 0,
        ..watch_of_age(0)
    };
    for (watch, now) in [(&old, 29 * MINUTE), (&old, 99 * MINUTE), (&used_up, 1)] {
        let next = decide(watch, &PollResult::Status(Status::Active), at(now));
        assert!(matches!(next, Decision::Expire), "{next:?}");
    }
}

fn any_result() -> impl Strategy<Value = PollResult> {
    prop_oneof![
        8 => Just(PollResult::Status(Status::Pending)),
        1 => Just(PollResult::Status(Status::Active)),
        1 => Just(PollResult::Status(Status::Expired)),
        1 => Just(PollResult::Status(Status::Superseded)),
        2 => Just(PollResult::Status(Status::Other("paused".to_owned()))),
        2 => Just(PollResult::NotFound),
        6 => Just(PollResult::Unknown),
    ]
}

/// Polls of a session: the result, and how many milliseconds after it was due.
fn any_polls() -> impl Strategy<Value = Vec<(PollResult, i64)>> {
    let late = prop_oneof![6 => 0..100_i64, 3 => 0..60_000_i64, 1 => 0..2_000_000_i64];
    // More than fit into 29 minutes, so that every watch ends.
    prop::collection::vec((any_result(), late), 130)
}

proptest! {
    #[test]
    fn every_watch_ends_once_and_in_time(
        polls in any_polls(),
        session_age in prop::option::of(-3_600..86_400_i64),
        only_unknown in any::<bool>(),
    ) {
        let mut watch = watch_of_age(0);
        watch.session_created_at = session_age.map(|age| at(-age));
        let mut due = at(0);
        let mut ends = 0;
        for (result, late) in polls {
            let result = if only_unknown { PollResult::Unknown } else { result };
            let now = due + SignedDuration::from_millis(late);
            match decide(&watch, &result, now) {
                Decision::NotifyAndContinue { .. } => panic!("only a watch with direct messages goes on"),
                Decision::Update { .. } | Decision::End => panic!("it is no shared card"),
                Decision::Wait { until, watch: next } => {
                    prop_assert!(until > now, "the next poll is later");
                    prop_assert!(until <= at(28 * MINUTE), "never after the end of the watch");
                    prop_assert!(until - now <= SignedDuration::from_secs(25), "nor long after this poll");
                    due = until;
                    watch = *next;
                }
                Decision::NotifyAndEnd(_) => {
                    prop_assert!(now < at(29 * MINUTE), "no post after the 29th minute");
                    ends += 1;
                    break;
                }
                Decision::Expire => {
                    prop_assert!(now >= at(29 * MINUTE));
                    prop_assert!(late >= 60_000, "polls were delayed by a minute");
                    ends += 1;
                    break;
                }
            }
        }
        prop_assert_eq!(ends, 1, "every watch ends once");
    }

    #[test]
    fn clock_jumps_are_tolerated(seconds in prop::collection::vec(-9_000_000..9_000_000_i64, 1..50), result in any_result()) {
        let mut watch = watch_of_age(0);
        for now in seconds.into_iter().map(at) {
            match decide(&watch, &result, now) {
                Decision::NotifyAndContinue { .. } => panic!("only a watch with direct messages goes on"),
                Decision::Update { .. } | Decision::End => panic!("it is no shared card"),
                Decision::Wait { until, watch: next } => {
                    prop_assert!(until > now && until - now <= SignedDuration::from_secs(25));
                    watch = *next;
                }
                Decision::NotifyAndEnd(_) => {
                    prop_assert!(now < at(29 * MINUTE));
                    break;
                }
                Decision::Expire => break,
            }
        }
    }
}

proptest! {
    /// Whatever Kapso says: no news twice, a poll in time for each, and an end after a week at the latest.
    #[test]
    fn a_watch_with_direct_messages_tells_each_thing_once_and_ends(
        expires_after in proptest::option::of(0_i64..20 * 24 * 3_600),
        results in proptest::collection::vec(0_u8..5, 1..400),
    ) {
        let expires_at = expires_after.map(at);
        let mut watch = Watch {
            direct: Some(DirectWatch::new(false, expires_at, at(0))),
            ..watch_of_age(0)
        };
        let mut now = at(0);
        let mut told = Vec::new();
        for result in results.into_iter().chain(std::iter::repeat(4)) {
            let status = match result {
                0 => Status::Active,
                _ => Status::Pending,
            };
            let result = match result {
                2 => PollResult::NotFound,
                3 => PollResult::Unknown,
                _ => PollResult::Status(status.at(expires_at, now).clone()),
            };
            prop_assert!(now <= at(7 * 24 * 3_600), "it ends after a week");
            let (next, until) = match decide(&watch, &result, now) {
                Decision::Wait { until, watch } => (watch, until),
                Decision::NotifyAndContinue { news, until, watch } => {
                    prop_assert!(!told.contains(&news), "{news:?} twice");
                    told.push(news);
                    (watch, until)
                }
                Decision::NotifyAndEnd(_) => return Ok(()),
                Decision::Update { .. } | Decision::End => panic!("it is no shared card"),
                Decision::Expire => panic!("it does not depend on the response_url"),
            };
            prop_assert!(until > now && until - now <= SignedDuration::from_mins(15));
            let reminder = expires_at.map(|at| at - SignedDuration::from_mins(30));
            if let Some(reminder) = reminder.filter(|at| *at > now && *at < next.direct.as_ref().unwrap().until) {
                prop_assert!(until <= reminder, "in time for the reminder");
            }
            (watch, now) = (*next, until);
        }
    }
}
