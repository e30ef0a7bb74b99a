//! Limits log lines that anybody on the network can cause.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Most lines of one kind in [`WINDOW`].
const LINES: u32 = 20;
const WINDOW: SignedDuration = SignedDuration::from_mins(1);

/// Counts log lines by their kind, so that a flood of one kind neither fills the log nor hides another kind.
#[derive(Default)]
pub struct LogLimit {
    kinds: Mutex<HashMap<String, Window>>,
}

struct Window {
    start: Timestamp,
    lines: u32,
    /// Lines that were not logged since the last one that was.
    suppressed: u64,
}

impl LogLimit {
    /// Whether a line of this kind may be logged now: `Some` with the number of lines of its kind that were suppressed
    /// before it. Kinds are never forgotten, so there must be few.
    pub fn admit(&self, kind: &str, now: Timestamp) -> Option<u64> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let window = kinds.entry(kind.to_owned()).or_insert(Window {
            start: now,
            lines: 0,
            suppressed: 0,
        });
        // Of a clock that was set back, too.
        if now.duration_since(window.start).abs() >= WINDOW {
            window.start = now;
            window.lines = 0;
        }
        if window.lines < LINES {
            window.lines += 1;
            return Some(std::mem::take(&mut window.suppressed));
        }
        window.suppressed += 1;
        None
    }
}
