//! No silent truncation: every fault on every framing, seen octet by octet.

mod support;

use support::matrix::{Case, Column, FAULTS, Reader, Servers, cases};
use support::script::Fault;
use support::{Loop, Setup};

fn all_told(servers: &Servers, cases: &[Case]) {
    let wrong = servers.run(cases);
    for (case, reason) in wrong.iter().take(40) {
        eprintln!("{case}\n    {reason}");
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases went wrong",
        wrong.len(),
        cases.len()
    );
}

#[test]
fn every_fault_on_every_framing_is_told_and_loses_no_octet() {
    all_told(&Servers::start(&Setup::default()), &cases());
}

#[test]
fn the_stock_server_loop_on_our_listener_gives_the_same_wire() {
    let setup = Setup {
        server_loop: Loop::Stock,
        ..Setup::default()
    };
    let cases: Vec<_> = cases()
        .into_iter()
        .filter(|case| !case.column.is_http3())
        .collect();
    all_told(&Servers::start(&setup), &cases);
}

/// A generator that needs no crate: SplitMix64.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.throw(of.len())]
    }

    /// Small numbers as often as large ones.
    fn size(&mut self, bits: usize) -> usize {
        let bits = self.throw(bits + 1);
        self.throw(1 << bits)
    }
}

fn random_case(dice: &mut Dice, id: u64, fault: Option<Fault>) -> Case {
    let column = match only() {
        Some(only) => dice.pick(&only),
        None => dice.pick(&Column::ALL),
    };
    let size = dice.size(19);
    let mut case = Case {
        fault: fault.unwrap_or_else(|| dice.pick(&FAULTS[1..])),
        column,
        tls: dice.throw(2) == 0 || column.is_http3(),
        reader: dice.pick(&Reader::ALL),
        size,
        cut: dice.throw(size + 1),
        frame: dice.size(17) + 1,
        id,
    };
    if matches!(case.fault, Fault::Short | Fault::Over) && !column.promises() {
        case.fault = Fault::Mid;
    }
    if case.fault == Fault::Short {
        case.size = size.max(1);
        case.cut = case.cut.min(case.size - 1);
    }
    // A silent producer costs its whole deadline: few of them, and never before the first octet.
    if case.fault == Fault::Silent && (case.cut == 0 || dice.throw(8) > 0) {
        case.fault = Fault::Drop;
    }
    if case.size / case.frame > 2000 {
        case.frame = case.size / 2000 + 1;
    }
    case
}

/// How many runs: the whole 20 000 take a minute in release, so a plain test takes fewer.
fn runs() -> u64 {
    std::env::var("ENDWELL_RUNS")
        .ok()
        .and_then(|runs| runs.parse().ok())
        .unwrap_or(1_500)
}

/// The columns that `ENDWELL_ONLY=3` asks for.
fn only() -> Option<Vec<Column>> {
    let only = std::env::var("ENDWELL_ONLY").ok()?;
    let columns = Column::ALL.into_iter();
    Some(columns.filter(|it| it.title().starts_with(&only)).collect())
}

fn seed() -> u64 {
    let seed = std::env::var("ENDWELL_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(1, |now| now.as_nanos() as u64)
        });
    println!("ENDWELL_SEED={seed}");
    seed
}

#[test]
fn random_faults_are_told_and_lose_no_octet() {
    let mut dice = Dice(seed());
    let cases: Vec<_> = (0..runs())
        .map(|id| random_case(&mut dice, id, None))
        .collect();
    all_told(&Servers::start(&Setup::default()), &cases);
    println!(
        "{} random faults: 0 silent truncations, 0 lost octets",
        cases.len()
    );
}

#[test]
fn random_good_responses_raise_no_alarm() {
    let mut dice = Dice(seed());
    let cases: Vec<_> = (0..runs())
        .map(|id| random_case(&mut dice, id, Some(Fault::None)))
        .collect();
    all_told(&Servers::start(&Setup::default()), &cases);
    println!("{} good responses: 0 false alarms", cases.len());
}

#[test]
fn the_docs_show_what_is_seen() {
    let table = support::matrix::table();
    let docs = include_str!("../../../docs/endings.md");
    assert!(
        docs.contains(&table),
        "docs/endings.md is not what `cargo run -p endwell --example matrix` prints:\n{table}"
    );
}
