//! Places where a crash test may end the process as a power cut would: at once, without unwinding or flushing.
//!
//! `IO_FAILPOINT=name` ends the process the first time it comes to that place, `IO_FAILPOINT=name@3` the third time. Names:
//!
//! | name | place |
//! |---|---|
//! | `signer:before_log` | a settlement is to be signed, nothing is written |
//! | `signer:after_log` | the log is on disk, the signature is not out |
//! | `relayer:before_post` | signatures are to be sent |
//! | `relayer:after_post` | they were sent, their fate is unknown |
//! | `relayer:before_settle` | a settlement is to be sent |
//! | `relayer:after_settle` | it was sent, its fate is unknown |
//!
//! The same two places, before and after sending, are around each other transaction of the relayer: `stage` (a member set), `claim`,
//! `close` (a signatures account), `init`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The variable that names the place.
pub const VARIABLE: &str = "IO_FAILPOINT";

struct Armed {
    name: String,
    left: AtomicU64,
}

/// Ends the process if this place is armed and its turn has come.
pub fn hit(name: &str) {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    let armed = ARMED.get_or_init(|| parse(&std::env::var(VARIABLE).ok()?));
    if armed.as_ref().is_some_and(|armed| is_due(armed, name)) {
        tracing::error!(name, "fail point reached: the process ends here");
        std::process::abort();
    }
}

fn parse(text: &str) -> Option<Armed> {
    let (name, turn) = text.split_once('@').unwrap_or((text, "1"));
    let left = AtomicU64::new(turn.parse().ok().filter(|turn| *turn > 0)?);
    let name = name.to_owned();
    (!name.is_empty()).then_some(Armed { name, left })
}

fn is_due(armed: &Armed, name: &str) -> bool {
    armed.name == name && armed.left.fetch_sub(1, Ordering::Relaxed) == 1
}

#[cfg(test)]
mod tests {
    use super::{is_due, parse};

    #[test]
    fn a_place_is_due_in_its_turn_only() {
        let armed = parse("signer:after_log@2").unwrap();
        assert!(!is_due(&armed, "signer:before_log"));
        assert!(!is_due(&armed, "signer:after_log"));
        assert!(is_due(&armed, "signer:after_log"));
        assert!(!is_due(&armed, "signer:after_log"));
        assert!(is_due(
            &parse("relayer:after_post").unwrap(),
            "relayer:after_post"
        ));
        assert!(parse("").is_none() && parse("a@0").is_none() && parse("a@x").is_none());
    }
}
