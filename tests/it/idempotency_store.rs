//! The table of idempotency keys: a command asks Kapso to create something once.

use futures_util::future::join_all;
use kapso_slack::idempotency::{BeginOutcome, Confirmation, Creation, CreationOutcome, fingerprint};
use kapso_slack::kapso::SessionId;

use crate::support::ID;
use crate::support::databases::{at, on_both_databases};

fn creation(second: i64, outcome: Option<CreationOutcome>) -> Creation {
    Creation {
        began_at: at(second),
        outcome,
    }
}

fn session() -> CreationOutcome {
    CreationOutcome::Created(SessionId::parse(ID).unwrap())
}

#[tokio::test]
async fn concurrent_commands_with_one_key_begin_once() {
    on_both_databases(async |database| {
        let replicas = database.key_replicas(4).await;
        let trigger = fingerprint(&["1334522460933.738474920"]);
        let subject = fingerprint(&["U1", "+12345678901"]);
        let since = Confirmation::NeededSince(at(-60));
        let beginning = (0..12).map(|n| replicas[n % 4].begin(&trigger, &subject, at(0), since));
        let begun: Vec<_> = join_all(beginning).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(begun.iter().filter(|begun| **begun == BeginOutcome::First).count(), 1);
        let unknown = BeginOutcome::Repeated(creation(0, None));
        assert_eq!(begun.iter().filter(|begun| **begun == unknown).count(), 11);

        let store = &replicas[0];
        assert!(store.finish(&trigger, &session()).await.unwrap());
        assert!(!store.finish("unknown key", &session()).await.unwrap());
        let again = store.begin(&trigger, &subject, at(9), since).await.unwrap();
        assert_eq!(again, BeginOutcome::Repeated(creation(0, Some(session()))));

        assert_eq!(store.delete_created_before(at(0)).await.unwrap(), 0);
        assert_eq!(store.delete_created_before(at(1)).await.unwrap(), 1);
        let forgotten = store.begin(&trigger, &subject, at(9), since).await.unwrap();
        assert_eq!(forgotten, BeginOutcome::First);
    })
    .await;
}

#[tokio::test]
async fn concurrent_commands_for_one_subject_begin_once() {
    on_both_databases(async |database| {
        let replicas = database.key_replicas(4).await;
        let triggers: Vec<_> = (0..12).map(|n| format!("trigger-{n}")).collect();
        let beginning = triggers
            .iter()
            .enumerate()
            .map(|(n, trigger)| replicas[n % 4].begin(trigger, "subject", at(0), Confirmation::NeededSince(at(-60))));
        let begun: Vec<_> = join_all(beginning).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(begun.iter().filter(|begun| **begun == BeginOutcome::First).count(), 1);
        let needs_confirmation = BeginOutcome::NeedsConfirmation(Some(creation(0, None)));
        assert_eq!(begun.iter().filter(|begun| **begun == needs_confirmation).count(), 11);
    })
    .await;
}

#[tokio::test]
async fn only_a_recent_creation_needs_a_confirmation() {
    on_both_databases(async |database| {
        let store = database.key_replicas(1).await.remove(0);
        let begin = |trigger: &'static str, subject: &'static str, now: i64| {
            let store = store.clone();
            async move {
                let since = Confirmation::NeededSince(at(now - 60));
                store.begin(trigger, subject, at(now), since).await.unwrap()
            }
        };
        assert_eq!(begin("a", "subject 1", 0).await, BeginOutcome::First);
        let earlier = creation(0, None);
        assert_eq!(
            begin("b", "subject 1", 1).await,
            BeginOutcome::NeedsConfirmation(Some(earlier.clone())),
            "under way"
        );
        assert_eq!(
            begin("b", "subject 1", 2).await,
            BeginOutcome::NeedsConfirmation(Some(earlier)),
            "repeated"
        );
        assert_eq!(begin("c", "subject 2", 2).await, BeginOutcome::First);
        store.finish("a", &session()).await.unwrap();
        let earlier = creation(0, Some(session()));
        assert_eq!(
            begin("d", "subject 1", 60).await,
            BeginOutcome::NeedsConfirmation(Some(earlier)),
            "up to 60 s"
        );
        assert_eq!(begin("e", "subject 1", 61).await, BeginOutcome::First, "after 60 s");
        assert_eq!(
            begin("d", "subject 1", 200).await,
            BeginOutcome::Repeated(creation(60, Some(CreationOutcome::ConfirmationNeeded))),
            "a command that needed a confirmation creates nothing when it is repeated later"
        );
        store.finish("c", &CreationOutcome::NotCreated).await.unwrap();
        assert_eq!(
            begin("f", "subject 2", 3).await,
            BeginOutcome::First,
            "nothing was created"
        );
        store.finish("f", &CreationOutcome::Unknown).await.unwrap();
        let unclear = creation(3, Some(CreationOutcome::Unknown));
        assert_eq!(
            begin("g", "subject 2", 4).await,
            BeginOutcome::NeedsConfirmation(Some(unclear)),
            "the outcome is unknown"
        );
        let confirm = async |trigger, subject, question| {
            let confirming = store.begin(trigger, subject, at(5), Confirmation::Of(question));
            confirming.await.unwrap()
        };
        let first = confirm("h", "subject 2", "g").await;
        assert_eq!(first, BeginOutcome::First, "confirmed");
        for (subject, question, why) in [
            ("subject 2", "z", "an unknown question"),
            ("subject 2", "f", "no question"),
            ("subject 1", "g", "a question about another subject"),
        ] {
            assert_eq!(
                confirm("i", subject, question).await,
                BeginOutcome::UnknownConfirmation,
                "{why}"
            );
        }
        // The question's key is deleted, the confirmation's is not.
        assert!(store.delete_created_before(at(5)).await.unwrap() > 0);
        assert_eq!(
            confirm("h", "subject 2", "g").await,
            BeginOutcome::Repeated(creation(5, None))
        );
        store.delete_created_before(at(6)).await.unwrap();
        assert_eq!(
            confirm("h", "subject 2", "g").await,
            BeginOutcome::UnknownConfirmation,
            "a confirmation is valid once"
        );
    })
    .await;
}

#[test]
fn fingerprints_differ_where_the_parts_do() {
    let same = fingerprint(&["U1", "+1"]);
    assert_eq!(same, fingerprint(&["U1", "+1"]));
    for other in [&["U1+1"][..], &["U1+", "1"], &["+1", "U1"], &["U1", "+1", ""], &[]] {
        assert_ne!(same, fingerprint(other), "{other:?}");
    }
    assert!(!same.contains("U1"));
}
