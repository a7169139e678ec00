//! Whole-system tests; nothing uses this crate.
