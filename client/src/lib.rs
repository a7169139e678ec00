//! Rust SDK and the io command.
