//! No silent truncation: every fault on every framing, seen octet by octet.

mod support;

use support::Setup;
use support::matrix::{Servers, cases};

#[test]
fn every_fault_on_every_framing_is_told_and_loses_no_octet() {
    std::panic::set_hook(Box::new(|_| {}));
    let servers = Servers::start(&Setup::default());
    let cases = cases();
    let wrong = servers.run(&cases);
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
