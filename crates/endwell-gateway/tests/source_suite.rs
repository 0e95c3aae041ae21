//! What every source must do, whichever it is: one suite, run against each of them.
//!
//! A source is a [`Stage`] here: paths at which it has something whole, something that fails early,
//! something that fails late and something large. To add one, write a function like [`files`] and
//! name it in [`STAGES`].
//!
//! Not of libtest: a command needs a binary whose `main` can be a warden. `cargo test --test
//! source_suite command/` runs those of one source, `-- --list` names them.
#![cfg(target_os = "linux")]
#![allow(unreachable_pub)] // as in `common`

#[path = "source_suite/behaviours.rs"]
mod behaviours;
mod common;
#[path = "source_suite/stage/mod.rs"]
mod stage;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

use endwell_gateway::source::command::{Command, Line, Runs, warden};
use http::HeaderValue;

use behaviours::BEHAVIOURS;
use common::pattern;
use stage::rows::{Kind, Rows};
use stage::{LARGE, Late, Stage};

const STAGES: [(&str, fn() -> Stage); 3] =
    [("files", files), ("command", command), ("source", source)];

/// Octets before a late failure.
const LATE: usize = 3_000_000;

fn main() -> ExitCode {
    if let Some(done) = warden() {
        return done;
    }
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let wanted: Vec<_> = arguments.iter().filter(|it| !it.starts_with('-')).collect();
    let list = arguments.iter().any(|it| it == "--list");
    let (mut passed, mut failed) = (0, 0);
    for (source, make) in STAGES {
        for (behaviour, run) in BEHAVIOURS {
            let name = format!("{source}/{behaviour}");
            if !wanted.is_empty() && !wanted.iter().any(|it| name.contains(it.as_str())) {
                continue;
            }
            if list {
                println!("{name}: test");
                continue;
            }
            match catch_unwind(AssertUnwindSafe(|| run(&make()))) {
                Ok(()) => {
                    println!("test {name} ... ok");
                    passed += 1;
                }
                Err(_) => {
                    println!("test {name} ... FAILED");
                    failed += 1;
                }
            }
        }
    }
    if !list {
        println!("\n{passed} passed; {failed} failed");
    }
    ExitCode::from(if failed > 0 { 101 } else { 0 })
}

/// A folder: files fail when they change while they are sent.
fn files() -> Stage {
    let whole = pattern(1_000_003);
    let large = pattern(LARGE);
    let mut stage = Stage::new("files", |app, _| app);
    stage.write("whole.bin", &whole);
    stage.write("large.bin", &large);
    stage.whole = ("/whole.bin", whole);
    stage.early = ("/no-such-file", 404);
    let shrink = |folder: &Path| {
        let file = fs::File::options()
            .write(true)
            .open(folder.join("large.bin"));
        file.and_then(|file| file.set_len(LATE as u64))
            .expect("it shrinks");
    };
    stage.late = Late::When("/large.bin", Box::new(shrink), large);
    stage.large = "/large.bin";
    stage.is_promised = true;
    stage.has_ranges = true;
    stage.is_held = |folder| {
        let open = fs::read_dir("/proc/self/fd").expect("a list of what is open");
        let paths = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        paths
            .into_iter()
            .any(|path| path == folder.join("large.bin"))
    };
    stage
}

/// Programs: their exit status is the ending.
fn command() -> Stage {
    let (whole, late) = (pattern(1_000_003), pattern(LATE));
    let mut stage = Stage::new("command", |app, folder| {
        let runs = Runs::new(16);
        let program = |text: String| {
            let line: Line = text.replace("DIR", folder).parse().expect("a command line");
            Command::new(line, HeaderValue::from_static("a/b"), &runs)
        };
        let large = "sh -c 'echo $$ > DIR/pid; exec cat DIR/large.bin'";
        app.at("/whole", program("cat DIR/whole.bin".to_owned()))
            .at(
                "/early",
                program("sh -c 'echo secret >&2; exit 3'".to_owned()),
            )
            .at(
                "/late",
                program("sh -c 'cat DIR/late.bin; exit 1'".to_owned()),
            )
            .at("/large", program(large.to_owned()))
    });
    stage.write("whole.bin", &whole);
    stage.write("late.bin", &late);
    stage.write("large.bin", &pattern(LARGE));
    stage.whole = ("/whole", whole);
    stage.early = ("/early", 500);
    stage.late = Late::Always("/late", late);
    stage.large = "/large";
    stage.has_begun = |folder| folder.join("pid").exists();
    stage.is_held = |folder| {
        let Ok(number) = fs::read_to_string(folder.join("pid")) else {
            return false;
        };
        // A zombie that nobody has reaped yet holds nothing.
        let status = fs::read_to_string(Path::new("/proc").join(number.trim()).join("stat"));
        status.is_ok_and(|status| !status.contains(") Z "))
    };
    stage
}

/// A source of somebody else, with everything that the trait has.
fn source() -> Stage {
    let (whole, late) = (pattern(1_000_003), pattern(LATE));
    let held = Rows::new(Kind::Large(LARGE));
    let counter = held.clone();
    let mut stage = Stage::new("source", |app, _| {
        app.at("/whole", Rows::new(Kind::Whole(whole.clone())))
            .at("/early", Rows::new(Kind::Early))
            .at("/late", Rows::new(Kind::Late(late.clone())))
            .at("/large", held)
    });
    stage.counter = Some(counter);
    stage.whole = ("/whole", whole);
    stage.early = ("/early", 403);
    stage.late = Late::Always("/late", late);
    stage.large = "/large";
    stage.is_promised = true;
    stage.has_ranges = true;
    stage
}
