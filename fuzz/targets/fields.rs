//! See `endwell_gateway::fuzzing::fields` for what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| endwell_gateway::fuzzing::fields(input));
