#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pikv_fuzz::checks::streams::check(data));
