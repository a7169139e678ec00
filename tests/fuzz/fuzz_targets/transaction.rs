//! See `io_fuzz::transaction`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| io_fuzz::transaction::run(data));
