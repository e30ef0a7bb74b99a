//! What tests share: the app between both fakes, databases, the real program, raw connections and message checks.

pub mod button_values;
pub mod cards;
pub mod connect_proxy;
pub mod crashes;
pub mod creation;
pub mod databases;
pub mod forgery;
pub mod inert_text;
pub mod kapso_errors;
pub mod late_replies;
pub mod link;
pub mod load_generator;
pub mod program;
pub mod proxy;
pub mod qr;
pub mod qr_scanner;
pub mod raw_request;
pub mod reverse_proxy;
pub mod second_process;
pub mod settings;
pub mod slack_api;
pub mod sockets;
pub mod sources;
pub mod spelling;
pub mod store_health;
pub mod suite;
mod test_app;
pub mod tls_server;
pub mod wire;

pub use test_app::*;
