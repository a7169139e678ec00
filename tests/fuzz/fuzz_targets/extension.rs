//! See `io_fuzz::extension`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| io_fuzz::extension::run(data));
