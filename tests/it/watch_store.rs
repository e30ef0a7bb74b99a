//! A watch is stored once, within the quotas, with the latest `response_url`.

use std::fmt::Debug;

use futures_util::future::join_all;
use jiff::Timestamp;
use kapso_slack::kapso::SessionId;
use kapso_slack::queue::{ClaimFilter, ClaimedJob, Job, JobKeys, Quota, Upserted, WorkerId};
use kapso_slack::watches::{Watch, keys};
use secrecy::ExposeSecret;

use crate::support::databases::{USER, add_watch, at, claim, claim_one, on_both_databases, watch, who};

const MANY: Quota = Quota {
    per_owner: 100,
    total: 100,
};

fn count<T: PartialEq + Debug>(of: &[T], what: &T) -> usize {
    of.iter().filter(|one| *one == what).count()
}

#[tokio::test]
async fn watching_twice_is_one_watch_with_the_newer_response_url() {
    on_both_databases(async |database| {
        let store = database.jobs().await;
        let first = watch(USER, "a");
        assert_eq!(
            add_watch(&store, &first, at(15), MANY).await.unwrap(),
            Upserted::Inserted
        );
        let (_, stale) = claim_one::<Watch>(&store, &WorkerId::random(), 15).await;
        let mut newer = first.clone();
        newer.response_url = "https://hooks.slack.com/commands/T0001ABCD/newer".into();
        newer.arrived_at = at(20);
        assert_eq!(
            add_watch(&store, &newer, at(35), MANY).await.unwrap(),
            Upserted::Replaced
        );
        assert!(!store.renew(&stale, at(60)).await.unwrap(), "its lease is lost");
        assert!(
            !store.complete(&stale).await.unwrap(),
            "so it cannot complete the job either"
        );
        let (job, _) = claim_one::<Watch>(&store, &WorkerId::random(), 35).await;
        let stored = job.payload;
        assert_eq!(stored.response_url.expose_secret(), newer.response_url.expose_secret());
        assert_eq!((stored.arrived_at, job.created_at), (at(20), at(20)));
    })
    .await;
}

/// A command is run again after a crash, perhaps after the person has repeated it.
#[tokio::test]
async fn an_older_command_that_is_resumed_leaves_the_newer_response_url() {
    on_both_databases(async |database| {
        let store = database.jobs().await;
        let older = watch(USER, "a");
        let mut newer = older.clone();
        newer.response_url = "https://hooks.slack.com/commands/T0001ABCD/newer".into();
        newer.arrived_at = at(20);
        assert_eq!(
            add_watch(&store, &newer, at(35), MANY).await.unwrap(),
            Upserted::Inserted
        );
        assert_eq!(add_watch(&store, &older, at(40), MANY).await.unwrap(), Upserted::Older);
        let (job, _) = claim_one::<Watch>(&store, &WorkerId::random(), 40).await;
        let stored = job.payload;
        assert_eq!(stored.response_url.expose_secret(), newer.response_url.expose_secret());
        assert_eq!((stored.arrived_at, job.created_at), (at(20), at(20)));
    })
    .await;
}

#[tokio::test]
async fn concurrent_watches_of_one_session_are_one_watch() {
    on_both_databases(async |database| {
        let replicas = database.replicas(4).await;
        let same = watch(USER, "a");
        let adding = (0..20).map(|n| add_watch(&replicas[n % 4], &same, at(15), MANY));
        let added: Vec<_> = join_all(adding).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(
            (count(&added, &Upserted::Inserted), count(&added, &Upserted::Replaced)),
            (1, 19)
        );
        assert_eq!(claim::<Watch>(&replicas[0], &WorkerId::random(), 15).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn quotas_hold_for_concurrent_watches() {
    on_both_databases(async |database| {
        let replicas = database.replicas(4).await;
        let quota = Quota { per_owner: 3, total: 5 };
        let own: Vec<_> = (0..10).map(|n| watch(USER, &format!("s{n}"))).collect();
        let adding = own
            .iter()
            .enumerate()
            .map(|(n, own)| add_watch(&replicas[n % 4], own, at(15), quota));
        let added: Vec<_> = join_all(adding).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(
            (
                count(&added, &Upserted::Inserted),
                count(&added, &Upserted::OwnerQuotaReached)
            ),
            (3, 7)
        );

        let others: Vec<_> = (0..10).map(|n| watch(&format!("U{n}"), "a")).collect();
        let adding = others
            .iter()
            .enumerate()
            .map(|(n, other)| add_watch(&replicas[n % 4], other, at(15), quota));
        let added: Vec<_> = join_all(adding).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(
            (
                count(&added, &Upserted::Inserted),
                count(&added, &Upserted::TotalQuotaReached)
            ),
            (2, 8)
        );

        let stored = claim::<Watch>(&replicas[0], &WorkerId::random(), 15).await;
        assert_eq!(stored.len(), 5);
        let mut again = stored.into_iter().map(|claimed| claimed.job.payload);
        let again = again.find(|watch| watch.who.user == USER);
        let again = add_watch(&replicas[0], &again.unwrap(), at(15), quota).await.unwrap();
        assert_eq!(
            again,
            Upserted::Replaced,
            "an existing watch can be replaced at the quota"
        );
    })
    .await;
}

#[tokio::test]
async fn stopping_ends_only_that_watch_even_while_it_is_leased() {
    on_both_databases(async |database| {
        let store = database.jobs().await;
        for (user, session) in [(USER, "a"), (USER, "b"), ("U2", "a")] {
            add_watch(&store, &watch(user, session), at(15), MANY).await.unwrap();
        }
        let claimed = claim::<Watch>(&store, &WorkerId::random(), 15).await;
        let key = keys(&who(USER), None, &SessionId::parse("a").unwrap()).unique;
        assert!(store.delete_by_key(&key).await.unwrap());
        assert!(
            !store.delete_by_key(&key).await.unwrap(),
            "there is no such watch any more"
        );
        let mut stored = Vec::new();
        for claimed in claimed {
            let watch = claimed.job.payload;
            if store.renew(&claimed.lease, at(60)).await.unwrap() {
                stored.push((watch.who.user, watch.session.to_string()));
            }
        }
        stored.sort();
        assert_eq!(
            stored,
            [(USER.to_owned(), "b".to_owned()), ("U2".to_owned(), "a".to_owned())]
        );
    })
    .await;
}

#[tokio::test]
async fn watches_can_be_claimed_by_their_sessions_and_by_their_age() {
    on_both_databases(async |database| {
        let store = database.jobs().await;
        for (user, session, arrived) in [("U1", "a", 0), ("U1", "b", 10), ("U2", "b", 20), ("U3", "c-1", 30)] {
            let mut watch = watch(user, session);
            watch.arrived_at = at(arrived);
            add_watch(&store, &watch, at(900), MANY).await.unwrap();
        }
        let claimed = async |sessions: &[&str], created_until: Timestamp, now| {
            let filter = ClaimFilter {
                created_until,
                topics: Some(sessions),
                ..ClaimFilter::due(at(900), 99)
            };
            let claimed = store
                .claim(&filter, &WorkerId::random(), at(now), at(now + 15))
                .await
                .unwrap();
            let who = |claimed: ClaimedJob<Watch>| {
                let watch = claimed.job.payload;
                format!("{} {}", watch.who.user, watch.session)
            };
            let mut claimed: Vec<_> = claimed.jobs.into_iter().map(who).collect();
            claimed.sort();
            claimed
        };
        let any_age = Timestamp::MAX;
        assert_eq!(
            claimed(&["b", "c-1", "x"], any_age, 0).await,
            ["U1 b", "U2 b", "U3 c-1"]
        );
        assert_eq!(
            claimed(&["a", "b"], any_age, 0).await,
            ["U1 a"],
            "the others are leased"
        );
        assert_eq!(
            claimed(&["a", "b"], at(10), 15).await,
            ["U1 a", "U1 b"],
            "only old ones"
        );
        assert!(
            claimed(&["a-", "c", "1"], any_age, 99).await.is_empty(),
            "only whole ids"
        );
    })
    .await;
}

/// Shared cards have no owner. They count with the watches, whose number keeps polls within Kapso's limit.
#[tokio::test]
async fn the_oldest_shared_card_gives_way_to_newer_cards_and_to_watches() {
    on_both_databases(async |database| {
        let store = database.jobs().await;
        let quota = Quota { per_owner: 9, total: 2 };
        let add = async |session: &str, arrived: i64, is_card: bool| {
            let mut watch = watch(USER, session);
            watch.arrived_at = at(arrived);
            let id = SessionId::parse(session).unwrap();
            let keys = keys(&who(USER), None, &id);
            let keys = JobKeys {
                owner: keys.owner.clone().filter(|_| !is_card),
                ..keys
            };
            let job = Job::new(watch, at(arrived), at(15));
            store.upsert(&job, &keys, quota).await.unwrap()
        };
        let stored = async |now| {
            let claimed = claim::<Watch>(&store, &WorkerId::random(), now).await;
            let mut sessions: Vec<_> = claimed
                .into_iter()
                .map(|claimed| claimed.job.payload.session.to_string())
                .collect();
            sessions.sort();
            sessions
        };
        for (session, arrived) in [("card-1", 1), ("card-2", 2), ("card-3", 3)] {
            assert_eq!(add(session, arrived, true).await, Upserted::Inserted);
        }
        assert_eq!(stored(15).await, ["card-2", "card-3"]);
        assert_eq!(add("watch-1", 4, false).await, Upserted::Inserted);
        assert_eq!(stored(60).await, ["card-3", "watch-1"]);
        assert_eq!(add("watch-2", 5, false).await, Upserted::Inserted);
        assert_eq!(add("card-4", 6, true).await, Upserted::TotalQuotaReached);
        assert_eq!(add("watch-3", 7, false).await, Upserted::TotalQuotaReached);
        assert_eq!(stored(120).await, ["watch-1", "watch-2"]);
    })
    .await;
}
