#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| (windlass_fuzz::target("device_file").run)(data));
