//! What the benches share: counted allocations, bodies of memory, medians.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod count;
pub mod memory;
pub mod wire;

use std::time::Duration;

/// Whether cargo runs this to measure, and not to see whether it starts.
pub fn is_asked() -> bool {
    std::env::args().any(|arg| arg == "--bench")
}

/// The middle one; of an even number the mean of the two.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which this part of all lies, between two neighbours in proportion.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let at = part * last as f64;
    let (below, above) = (at.floor() as usize, at.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * at.fract()
}

pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The machine, as far as `/proc` tells.
pub fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |name| {
            name.trim_matches([' ', '\t', ':'])
        });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load: Vec<_> = load.split(' ').take(3).collect();
    format!(
        "{cores} cores of {model}, Linux {}, load {}",
        kernel.trim(),
        load.join(" ")
    )
}
