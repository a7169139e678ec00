//! See `io_fuzz::abci`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| io_fuzz::abci::run(data));
