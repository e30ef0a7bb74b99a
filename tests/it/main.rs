//! The real service between both fakes, over real HTTP: one binary, one file per promise.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do"
)]
#![expect(
    unreachable_pub,
    reason = "what files share reads as public; a binary has no other public"
)]

mod harmless;
mod house;
mod wire;

mod cards;
mod cleaning;
mod correcting;
mod documents;
mod doors;
mod forging;
mod injection;
mod links;
mod parsing;
mod signing;
mod tampering;
mod times;
mod typing;
mod walls;
