//! A request that was changed after Slack signed it is rejected.

use crate::support::forgery::{Forgeries, expect_all_refused, expect_refused};
use crate::support::raw_request::{COMMANDS, INTERACTIONS, RawRequest, SIGNATURE, STAMP, command_form, press_form};
use crate::support::with_app;

const BODIES: &Forgeries = &[
    ("one byte changed", |k| k.replace("T0001ABCD", "T0001ABCE")),
    ("one byte added", |k| k.body.push(b'x')),
    ("a line break added", |k| k.body.push(b'\n')),
    ("a NUL byte added", |k| k.body.push(0)),
    ("one byte lost", |k| {
        k.body.pop();
    }),
    ("a byte order mark in front", |k| {
        k.body = [b"\xef\xbb\xbf".as_slice(), &k.body].concat();
    }),
    ("a field added", |k| k.body.extend(b"&user_id=U0FORGED00")),
    ("spaces encoded anew", |k| {
        k.replace("Globular+Construct", "Globular%20Construct");
    }),
    ("escapes in lower case", |k| k.replace("%3A", "%3a")),
    ("an escape undone", |k| k.replace("%3A", ":")),
    ("an empty field removed", |k| k.replace("&thread_ts=&", "&")),
    ("fields in another order", |k| {
        let body = String::from_utf8(k.body.clone()).unwrap();
        let fields: Vec<_> = body.split('&').rev().collect();
        k.body = fields.join("&").into_bytes();
    }),
    ("a body that became empty", |k| k.body.clear()),
    ("a body of another request", |k| {
        k.body = b"command=%2Fsandbox&text=help".to_vec();
    }),
    ("compressed, with the signature of the uncompressed form", |k| {
        k.body = compressed(&k.body);
        k.set("Content-Encoding", "deflate");
    }),
    ("the form in the address", |k| {
        k.path = format!("{}?{}", k.path, String::from_utf8_lossy(&k.body));
        k.body.clear();
    }),
];

#[tokio::test]
async fn an_unchanged_signed_request_is_accepted() {
    with_app(async |app| {
        let reply = app.send_raw(&app.signed_request(COMMANDS, command_form())).await;
        assert_eq!(reply.status, 200);
        assert!(reply.body.contains("The sandbox session"), "{}", reply.body);
        let reply = app.send_raw(&app.signed_request(INTERACTIONS, press_form())).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, ""));
        app.kapso.wait_for_requests(2).await;
    })
    .await;
}

#[tokio::test]
async fn a_changed_body_is_rejected() {
    expect_all_refused(BODIES).await;
}

#[tokio::test]
async fn a_random_change_of_the_request_is_rejected() {
    with_app(async |app| {
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let genuine = if random.bool() {
                app.signed_request(COMMANDS, command_form())
            } else {
                app.signed_request(INTERACTIONS, press_form())
            };
            let forged = mutated(&genuine, &mut random);
            let sent = String::from_utf8_lossy(&forged.to_bytes()).into_owned();
            expect_refused(app, &forged, &format!("seed {seed}: {sent}")).await;
        }
    })
    .await;
}

/// The request with one random change to what the signature covers.
fn mutated(genuine: &RawRequest, random: &mut fastrand::Rng) -> RawRequest {
    loop {
        let mut forged = genuine.clone();
        match random.u8(..4) {
            0 => {
                let mut stamp = forged.get(STAMP).into_bytes();
                mutate(&mut stamp, random, |random| random.u8(b'0'..=b'9'));
                forged.set(STAMP, stamp);
            }
            1 => {
                let mut signature = forged.get(SIGNATURE).into_bytes();
                mutate(&mut signature, random, |random| random.u8(b'!'..=b'~'));
                forged.set(SIGNATURE, signature);
            }
            _ => mutate(&mut forged.body, random, |random| random.u8(..)),
        }
        if forged.to_bytes() != genuine.to_bytes() {
            return forged;
        }
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut fastrand::Rng, any: impl Fn(&mut fastrand::Rng) -> u8) {
    let at = random.usize(..bytes.len());
    match random.u8(..5) {
        0 => bytes[at] = any(random),
        1 => bytes.insert(at, any(random)),
        2 => drop(bytes.drain(at..=at)),
        3 => bytes.truncate(at),
        _ => bytes.swap(at, 0),
    }
}

/// The body in zlib's format, stored without compression.
fn compressed(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap();
    let (low, high) = body.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    let mut compressed = vec![0x78, 0x01, 0x01];
    compressed.extend(length.to_le_bytes());
    compressed.extend((!length).to_le_bytes());
    compressed.extend(body);
    compressed.extend(((high << 16) | low).to_be_bytes());
    compressed
}
