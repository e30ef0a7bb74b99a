//! The real service between both fakes, over real HTTP: one binary, one file per promise.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "tests fail by panicking, and nothing in this binary is a public interface"
)]

mod support;

automod::dir!("tests/it");
