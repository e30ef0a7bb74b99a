//! A request with a forged signature is rejected, and the response reveals nothing that helps a forger.

use sha2::{Digest, Sha256};

use crate::support::forgery::{Forgeries, SECOND, expect_all_refused};
use crate::support::raw_request::{RawRequest, SIGNATURE, STAMP, signature};
use crate::support::{KEY, SECRET};

const HEADERS: &Forgeries = &[
    ("no signature headers", |k| {
        k.remove(STAMP);
        k.remove(SIGNATURE);
    }),
    ("no timestamp", |k| k.remove(STAMP)),
    ("no signature", |k| k.remove(SIGNATURE)),
    ("empty timestamp", |k| k.set(STAMP, "")),
    ("empty signature", |k| k.set(SIGNATURE, "")),
    ("a prefix without a digest", |k| k.set(SIGNATURE, "v0=")),
    ("the timestamp twice", |k| k.add(STAMP, k.get(STAMP))),
    ("a second timestamp", |k| k.add(STAMP, "1")),
    ("the signature twice", |k| k.add(SIGNATURE, k.get(SIGNATURE))),
    ("a second signature", |k| k.add(SIGNATURE, wrong())),
    ("a second signature in front", |k| {
        let right = k.get(SIGNATURE);
        k.set(SIGNATURE, wrong());
        k.add(SIGNATURE, right);
    }),
    ("two signatures joined by a proxy", |k| {
        k.set(SIGNATURE, format!("{}, {}", k.get(SIGNATURE), wrong()));
    }),
    ("two signatures joined, the right one last", |k| {
        k.set(SIGNATURE, format!("{},{}", wrong(), k.get(SIGNATURE)));
    }),
    ("the signature joined with itself", |k| {
        k.set(SIGNATURE, format!("{0}, {0}", k.get(SIGNATURE)));
    }),
    ("the timestamp joined with itself", |k| {
        k.set(STAMP, format!("{0}, {0}", k.get(STAMP)));
    }),
    ("another signature's digits", |k| k.set(SIGNATURE, wrong())),
    ("all zeros", |k| k.set(SIGNATURE, format!("v0={}", "0".repeat(64)))),
    ("digits in upper case", |k| {
        k.set(SIGNATURE, format!("v0={}", k.get(SIGNATURE)[3..].to_uppercase()));
    }),
    ("the prefix in upper case", |k| {
        k.set(SIGNATURE, k.get(SIGNATURE).replace("v0", "V0"));
    }),
    ("another version", |k| {
        k.set(SIGNATURE, k.get(SIGNATURE).replace("v0", "v1"));
    }),
    ("no prefix", |k| k.set(SIGNATURE, k.get(SIGNATURE).replace("v0=", ""))),
    ("the prefix twice", |k| {
        k.set(SIGNATURE, format!("v0={}", k.get(SIGNATURE)));
    }),
    ("another service's prefix", |k| {
        k.set(SIGNATURE, k.get(SIGNATURE).replace("v0", "sha256"));
    }),
    ("one digit short", |k| k.set(SIGNATURE, &k.get(SIGNATURE)[..66])),
    ("one byte short", |k| k.set(SIGNATURE, &k.get(SIGNATURE)[..65])),
    ("one byte long", |k| k.set(SIGNATURE, format!("{}00", k.get(SIGNATURE)))),
    ("the first half", |k| k.set(SIGNATURE, &k.get(SIGNATURE)[..35])),
    ("a character that is no hex digit", |k| {
        k.set(SIGNATURE, format!("{}g", &k.get(SIGNATURE)[..66]));
    }),
    ("a space behind the prefix", |k| {
        k.set(SIGNATURE, k.get(SIGNATURE).replace('=', "= "));
    }),
    ("a space inside", |k| {
        let right = k.get(SIGNATURE);
        k.set(SIGNATURE, format!("{} {}", &right[..30], &right[30..]));
    }),
    ("quotes", |k| k.set(SIGNATURE, format!("\"{}\"", k.get(SIGNATURE)))),
    ("a no-break space behind", |k| {
        k.set(SIGNATURE, format!("{}\u{a0}", k.get(SIGNATURE)));
    }),
    ("a digit of another script", |k| {
        k.set(SIGNATURE, format!("{}１", &k.get(SIGNATURE)[..66]));
    }),
    ("a byte that is not UTF-8", |k| {
        k.set(SIGNATURE, [&k.get(SIGNATURE).as_bytes()[..66], b"\xff"].concat());
    }),
    ("raw bytes instead of hex", |k| {
        // Every one of them is allowed in a header.
        k.set(SIGNATURE, [b"v0=".as_slice(), &[0xe4; 32]].concat());
    }),
];

/// Each timestamp is signed with the right secret, so it is rejected for its form.
const TIMESTAMPS: &Forgeries = &[
    ("plus", |k| restamp(k, |stamp| format!("+{stamp}"))),
    ("minus", |k| restamp(k, |stamp| format!("-{stamp}"))),
    ("a fraction", |k| restamp(k, |stamp| format!("{stamp}.0"))),
    ("an exponent", |k| restamp(k, |_| "1.7e9".to_owned())),
    ("hex", |k| {
        restamp(k, |stamp| format!("{:#x}", stamp.parse::<u64>().unwrap()));
    }),
    ("milliseconds", |k| restamp(k, |stamp| format!("{stamp}000"))),
    ("a date", |k| restamp(k, |_| "2026-11-23T10:00:00Z".to_owned())),
    ("a word", |k| restamp(k, |_| "now".to_owned())),
    ("not a number", |k| restamp(k, |_| "NaN".to_owned())),
    ("zero", |k| restamp(k, |_| "0".to_owned())),
    ("a space inside", |k| {
        restamp(k, |stamp| format!("{} {}", &stamp[..5], &stamp[5..]));
    }),
    ("underscores", |k| {
        restamp(k, |stamp| format!("{}_{}", &stamp[..5], &stamp[5..]));
    }),
    ("digits of another script", |k| restamp(k, |_| "١٧٩٥٤٢٨٠٠٠".to_owned())),
    ("just beyond 64 bits", |k| {
        restamp(k, |_| "9223372036854775808".to_owned());
    }),
    ("the smallest of 64 bits", |k| restamp(k, |_| i64::MIN.to_string())),
    ("huge", |k| restamp(k, |_| "9".repeat(400))),
    ("followed by a colon", |k| restamp(k, |stamp| format!("{stamp}:"))),
    ("a byte that is not UTF-8", |k| k.set(STAMP, b"179542800\xff")),
    // In the last two, the signature is Slack's, but for another timestamp.
    ("a leading zero", |k| k.set(STAMP, format!("0{}", k.get(STAMP)))),
    ("a second later", |k| {
        k.set(STAMP, (k.get(STAMP).parse::<u64>().unwrap() + 1).to_string());
    }),
];

const KEYS: &Forgeries = &[
    ("another secret", |k| resign(k, b"00000000000000000000000000000000")),
    ("an empty secret", |k| resign(k, b"")),
    ("the secret decoded from hex", |k| {
        resign(k, &hex::decode(SECOND).unwrap());
    }),
    ("the secret with a line break", |k| {
        resign(k, format!("{SECRET}\n").as_bytes());
    }),
    ("the secret in upper case", |k| {
        resign(k, SECRET.to_uppercase().as_bytes());
    }),
    ("both secrets as they are configured", |k| {
        resign(k, format!("{SECRET},{SECOND}").as_bytes());
    }),
    ("the key for Kapso", |k| resign(k, KEY.as_bytes())),
    ("the verification token", |k| resign(k, b"gIkuvaNzQIHg97ATvDxqgjtO")),
    ("another version in what is signed", |k| {
        resign_over(k, &["v1:", "STAMP", ":", "BODY"]);
    }),
    ("no version in what is signed", |k| {
        resign_over(k, &["STAMP", ":", "BODY"]);
    }),
    ("no colons in what is signed", |k| {
        resign_over(k, &["v0", "STAMP", "BODY"]);
    }),
    ("body before timestamp", |k| {
        resign_over(k, &["v0:", "BODY", ":", "STAMP"]);
    }),
    ("only the body signed", |k| resign_over(k, &["BODY"])),
    ("only the timestamp signed", |k| resign_over(k, &["v0:", "STAMP", ":"])),
    ("nothing signed", |k| resign_over(k, &[])),
    ("a digest that needs no secret", |k| {
        let base = [b"v0:", k.get(STAMP).as_bytes(), b":", &k.body].concat();
        k.set(SIGNATURE, format!("v0={}", hex::encode(Sha256::digest(base))));
    }),
    ("a digest of secret and request", |k| {
        let base = [SECRET.as_bytes(), b"v0:", k.get(STAMP).as_bytes(), b":", &k.body].concat();
        k.set(SIGNATURE, format!("v0={}", hex::encode(Sha256::digest(base))));
    }),
];

const LOCATIONS: &Forgeries = &[
    ("in the address", |k| {
        k.path = format!("{}?{STAMP}={}&{SIGNATURE}={}", k.path, k.get(STAMP), k.get(SIGNATURE));
        k.remove(STAMP);
        k.remove(SIGNATURE);
    }),
    ("in the form", |k| {
        let fields = format!("&{STAMP}={}&{SIGNATURE}={}", k.get(STAMP), k.get(SIGNATURE));
        k.body.extend(fields.as_bytes());
        k.remove(STAMP);
        k.remove(SIGNATURE);
    }),
    ("under names with underscores", |k| {
        rename(k, STAMP, "X_Slack_Request_Timestamp");
        rename(k, SIGNATURE, "X_Slack_Signature");
    }),
    ("under another service's name", |k| {
        rename(k, SIGNATURE, "X-Hub-Signature-256");
    }),
    ("as a bearer's token", |k| {
        k.set("Authorization", format!("Bearer {}", k.get(SIGNATURE)));
        k.remove(SIGNATURE);
    }),
    ("as a cookie", |k| {
        k.set("Cookie", format!("{SIGNATURE}={}", k.get(SIGNATURE)));
        k.remove(SIGNATURE);
    }),
];

#[tokio::test]
async fn malformed_signature_headers_are_rejected() {
    expect_all_refused(HEADERS).await;
}

#[tokio::test]
async fn timestamps_other_than_plain_seconds_are_rejected() {
    expect_all_refused(TIMESTAMPS).await;
}

#[tokio::test]
async fn a_signature_over_other_text_or_with_another_key_is_rejected() {
    expect_all_refused(KEYS).await;
}

#[tokio::test]
async fn a_signature_outside_its_header_is_rejected() {
    expect_all_refused(LOCATIONS).await;
}

/// A signature of something else.
fn wrong() -> String {
    signature(SECRET.as_bytes(), &[b"something else"])
}

fn restamp(request: &mut RawRequest, change: fn(String) -> String) {
    let stamp = change(request.get(STAMP));
    *request = request.clone().stamped(SECRET, &stamp);
}

fn resign(request: &mut RawRequest, key: &[u8]) {
    let stamp = request.get(STAMP);
    request.set(
        SIGNATURE,
        signature(key, &[b"v0:", stamp.as_bytes(), b":", &request.body]),
    );
}

fn resign_over(request: &mut RawRequest, parts: &[&str]) {
    let stamp = request.get(STAMP);
    let parts: Vec<&[u8]> = parts
        .iter()
        .map(|part| match *part {
            "STAMP" => stamp.as_bytes(),
            "BODY" => &request.body,
            own => own.as_bytes(),
        })
        .collect();
    request.set(SIGNATURE, signature(SECRET.as_bytes(), &parts));
}

fn rename(request: &mut RawRequest, from: &str, to: &str) {
    let value = request.get(from);
    request.remove(from);
    request.set(to, value);
}
