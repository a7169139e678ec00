//! See `io_fuzz::rpc`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| io_fuzz::rpc::run(data));
