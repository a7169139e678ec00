//! The verifier's daemon: draws, nonces, openings, verdicts.
