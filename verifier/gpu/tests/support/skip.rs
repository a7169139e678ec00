//! What a test says when it cannot run here.

use std::io::Write as _;

/// Writes past the test harness, which hides what a passing test prints.
pub(crate) fn skip(test: &str, why: &str) {
    let line = format!("SKIPPED {test}: {why}\n");
    std::io::stderr()
        .write_all(line.as_bytes())
        .expect("standard error is open");
}
