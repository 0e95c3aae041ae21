//! What the system knows of this process.
//!
//! Reads: `/proc/self`. Gives: figures; each that the system does not tell is left out.

use std::fs;
use std::time::SystemTime;

use super::text::{Text, Type};

/// In which fraction of a second the kernel tells times to programs (`USER_HZ`), on every
/// architecture of Linux that Rust knows.
const TICKS: f64 = 100.0;

/// Writes the metrics of the process, under the names that the client libraries of Prometheus use.
///
/// `began` is when the server began to count, milliseconds after the process: where a service
/// manager hides the system's part of `/proc`, nothing tells that of the process itself.
pub(super) fn write(text: &mut Text, began: SystemTime) {
    let status = read("/proc/self/status");
    let stat = read("/proc/self/stat");
    let mut gauge = |name, help, value: Option<f64>| {
        if let Some(value) = value {
            text.metric(name, Type::Gauge, help);
            text.sample(name, &[], value);
        }
    };
    gauge(
        "process_resident_memory_bytes",
        "Memory in RAM, in octets.",
        kilobytes(&status, "VmRSS:"),
    );
    gauge(
        "process_virtual_memory_bytes",
        "Address space, in octets.",
        kilobytes(&status, "VmSize:"),
    );
    gauge(
        "process_threads",
        "Threads.",
        field(&status, "Threads:").and_then(|count| count.parse().ok()),
    );
    gauge("process_open_fds", "Open file descriptors.", open_fds());
    gauge(
        "process_max_fds",
        "How many file descriptors may be open.",
        max_fds(&read("/proc/self/limits")),
    );
    gauge(
        "process_start_time_seconds",
        "When the server began, in seconds since 1970.",
        seconds_since_1970(began),
    );
    if let Some(seconds) = cpu_seconds(&stat) {
        let name = "process_cpu_seconds_total";
        text.metric(name, Type::Counter, "Time on a processor, in seconds.");
        text.sample(name, &[], seconds);
    }
}

fn read(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

/// The first word behind a name.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()
}

fn kilobytes(status: &str, name: &str) -> Option<f64> {
    let kilobytes: f64 = field(status, name)?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

fn max_fds(limits: &str) -> Option<f64> {
    field(limits, "Max open files")?.parse().ok()
}

fn open_fds() -> Option<f64> {
    let folder = "/proc/self/fd";
    // From Linux 6.2 on the folder's size is the count; before that it is 0.
    if let Some(count) = fs::metadata(folder)
        .ok()
        .map(|is| is.len())
        .filter(|count| *count > 0)
    {
        return Some(count as f64);
    }
    // One of them reads the list.
    Some(fs::read_dir(folder).ok()?.count().saturating_sub(1) as f64)
}

/// A field of `/proc/self/stat`, numbered from 1 as in proc(5), from the third on.
fn stat_field(stat: &str, number: usize) -> Option<f64> {
    // The second is the name of the program, in parentheses, and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let field = rest.split_whitespace().nth(number.checked_sub(3)?)?;
    field.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((stat_field(stat, 14)? + stat_field(stat, 15)?) / TICKS)
}

fn seconds_since_1970(time: SystemTime) -> Option<f64> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(since.as_millis() as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "7 (end) well) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 5 0 12345 \
        1000 200 18446744073709551615";

    #[test]
    fn figures_are_read_where_the_kernel_writes_them() {
        let status = "Name:\tendwell\nVmSize:\t    2048 kB\nVmRSS:\t      12 kB\nThreads:\t5\n";
        assert_eq!(kilobytes(status, "VmRSS:"), Some(12_288.0));
        assert_eq!(field(status, "Threads:"), Some("5"));
        let limits = "Max processes  10  10  processes\nMax open files            1024                 524288               files\n";
        assert_eq!(max_fds(limits), Some(1024.0));
        assert_eq!(cpu_seconds(STAT), Some(3.0));
    }

    #[test]
    fn what_is_not_told_is_left_out() {
        for text in ["", "VmRSS:", "7 (endwell", "Max open files unlimited"] {
            assert_eq!(kilobytes(text, "VmRSS:"), None);
            assert_eq!(cpu_seconds(text), None);
            assert_eq!(max_fds(text), None);
        }
    }
}
