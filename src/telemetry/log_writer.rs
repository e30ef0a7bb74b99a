//! Writes the log without ever waiting for its reader.
//!
//! A pipe that nobody reads takes 64 KiB, and then a write blocks: it would block the whole service, which runs on one
//! thread. So lines go into a buffer of bounded size, from which a thread writes them. Not through `tracing-appender`,
//! which bounds the number of lines instead of their bytes and brings a second library for dates.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Most bytes that wait to be written; lines beyond are dropped.
const MAX_BUFFERED_BYTES: usize = 1024 * 1024;
/// How long lines are collected before they are written, so that a busy service does not wake the thread for each line.
const COLLECTION_TIME: Duration = Duration::from_millis(10);
/// The pause before a write to a non-blocking pipe that is full is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Lines that were not written since the process started.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// How many log lines of this process were dropped.
#[must_use]
pub fn dropped_log_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// A writer for log lines. Clones share one buffer.
#[derive(Clone, Default)]
pub(super) struct LogWriter {
    buffer: Arc<Buffer>,
}

#[derive(Default)]
struct Buffer {
    state: Mutex<State>,
    /// The thread waits, and lines were added; or no more will be.
    changed: Condvar,
    /// Everything was written, and no more will be.
    finished: Condvar,
}

#[derive(Default)]
struct State {
    /// Whole lines.
    lines: Vec<u8>,
    /// Whether the thread waits for the first line.
    is_waiting: bool,
    is_closing: bool,
    is_finished: bool,
}

impl LogWriter {
    /// Starts the thread that writes the lines to `output`. Without threads to be had, every line is dropped.
    pub(super) fn start(output: impl Write + Send + 'static) -> Self {
        let writer = Self::default();
        let buffer = Arc::clone(&writer.buffer);
        let _ = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || buffer.write_to(output));
        writer
    }

    /// Waits up to `timeout` until everything is written, and drops the rest. Returns whether it was.
    pub(super) fn close(&self, timeout: Duration) -> bool {
        let mut state = self.buffer.lock();
        state.is_closing = true;
        self.buffer.changed.notify_one();
        let waited = self
            .buffer
            .finished
            .wait_timeout_while(state, timeout, |state| !state.is_finished);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        count_dropped(&state.lines);
        state.lines.clear();
        std::mem::replace(&mut state.is_finished, true)
    }
}

impl Buffer {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut output: impl Write) {
        let mut lines = Vec::new();
        let mut reported = 0;
        loop {
            {
                let idle = |state: &mut State| {
                    state.is_waiting = state.lines.is_empty() && !state.is_closing;
                    state.is_waiting
                };
                let waited = self.changed.wait_while(self.lock(), idle);
                let state = waited.unwrap_or_else(PoisonError::into_inner);
                let open = |state: &mut State| !state.is_closing;
                let waited = self.changed.wait_timeout_while(state, COLLECTION_TIME, open);
                let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
                if state.lines.is_empty() {
                    state.is_finished = true;
                    self.finished.notify_all();
                    return;
                }
                lines.clear();
                std::mem::swap(&mut lines, &mut state.lines);
            }
            let unwritten = write(&mut output, &lines);
            if unwritten > 0 {
                count_dropped(&lines[lines.len() - unwritten..]);
                continue;
            }
            let dropped = dropped_log_lines();
            if dropped > reported {
                reported = dropped;
                tracing::warn!(dropped, "log lines were dropped because nobody read them");
            }
        }
    }
}

/// Returns how many bytes could not be written.
fn write(output: &mut impl Write, bytes: &[u8]) -> usize {
    let mut left = bytes;
    while !left.is_empty() {
        match output.write(left) {
            Ok(0) => return left.len(),
            Ok(written) => left = &left[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY_PAUSE),
            Err(_) => return left.len(),
        }
    }
    let _ = output.flush();
    0
}

/// Prints a line to standard error, but does not wait longer for its reader: it may be the same pipe that is full.
pub(super) fn print_to_stderr(line: String, timeout: Duration) {
    let (printed, wait) = mpsc::channel();
    let printing = thread::Builder::new().spawn(move || {
        let _ = writeln!(io::stderr(), "{line}");
        let _ = printed.send(());
    });
    if printing.is_ok() {
        let _ = wait.recv_timeout(timeout);
    }
}

fn count_dropped(lines: &[u8]) {
    let count = lines.split_inclusive(|byte| *byte == b'\n').count();
    DROPPED.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
}

impl MakeWriter<'_> for LogWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The subscriber writes each line with one call.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.buffer.lock();
        if state.is_finished || state.lines.len() + line.len() > MAX_BUFFERED_BYTES {
            count_dropped(line);
        } else {
            state.lines.extend_from_slice(line);
            if state.is_waiting {
                state.is_waiting = false;
                self.buffer.changed.notify_one();
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
