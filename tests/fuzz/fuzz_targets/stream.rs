//! See `io_fuzz::stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| io_fuzz::stream::run(data));
