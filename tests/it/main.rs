//! The real service between both fakes, over real HTTP: one binary, one file per promise.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails where it stands, and nothing in this binary is an interface"
)]

mod databases;
mod harmless;
mod house;
mod knock;
mod program;
mod scan;
mod wire;

mod again;
mod allowed;
mod binary;
mod bodies;
mod breaks;
mod buttons;
mod cards;
mod cleaning;
mod connections;
mod correcting;
mod crashes;
mod creating;
mod creations;
mod database_server;
mod database_url;
mod databases_broken;
mod documents;
mod doors;
mod faults;
mod faults_creating;
mod forging;
mod healing;
mod hearing;
mod help;
mod hostile;
mod in_channel;
mod in_channel_faults;
mod in_channel_masked;
mod injection;
mod late;
mod leases;
mod letterbox;
mod limits;
mod links;
mod listing;
mod lists_of_no_use;
mod log;
mod metrics;
mod notices;
mod once;
mod outages;
mod owed;
mod pace;
mod parsing;
mod people_first;
mod pressing;
mod qr;
mod qr_addresses;
mod qr_door;
mod rearmed;
mod replicas;
mod replicas_watching;
mod secrets;
mod settings;
mod sharing;
mod signing;
mod sparing;
mod spelling;
mod stopping;
mod tampering;
mod times;
mod typing;
mod verbs;
mod walls;
mod watches;
mod watching;
