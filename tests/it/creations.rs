//! A command asks Kapso to create something once, whoever asks again.

use futures_util::future::join_all;
use kapso_slack::jobs::{Begun, Creation, fingerprint};

use crate::databases::{at, on_both};

#[tokio::test]
async fn of_many_who_begin_the_same_creation_one_is_first() {
    on_both(async |database| {
        let replicas = database.replicas(4).await;
        let trigger = fingerprint(&["1334522460933.738474920"]);
        let subject = fingerprint(&["U1", "+12345678901"]);
        let beginning = (0..12).map(|n| replicas[n % 4].begin_creation(&trigger, &subject, at(0)));
        let begun: Vec<_> = join_all(beginning).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(begun.iter().filter(|begun| **begun == Begun::First).count(), 1);
        let unknown = Begun::Again { outcome: None };
        assert_eq!(begun.iter().filter(|begun| **begun == unknown).count(), 11);

        let store = &replicas[0];
        assert!(store.finish_creation(&trigger, "created abc").await.unwrap());
        assert!(!store.finish_creation("never begun", "created abc").await.unwrap());
        let outcome = Some("created abc".to_owned());
        let again = store.begin_creation(&trigger, &subject, at(9)).await.unwrap();
        assert_eq!(
            again,
            Begun::Again {
                outcome: outcome.clone()
            }
        );
        let known = Creation {
            created_at: at(0),
            outcome,
        };
        assert_eq!(store.recent_creation(&subject, at(0)).await.unwrap(), Some(known));
        assert_eq!(
            store.recent_creation(&subject, at(1)).await.unwrap(),
            None,
            "not that recent"
        );
        assert_eq!(store.recent_creation("another", at(0)).await.unwrap(), None);
        assert_eq!(store.forget_creations(at(0)).await.unwrap(), 0);
        assert_eq!(store.forget_creations(at(1)).await.unwrap(), 1);
        assert_eq!(
            store.begin_creation(&trigger, &subject, at(9)).await.unwrap(),
            Begun::First
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
