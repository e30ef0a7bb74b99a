//! What tests share: the app between both fakes, databases, the real program, raw connections and message checks.

pub mod databases;
pub mod inert_text;
pub mod program;
pub mod qr_scanner;
pub mod raw_request;
pub mod sources;
mod test_app;
pub mod wire;

pub use test_app::*;
