//! Prints what a client sees of every fault on every framing: `cargo run -p endwell --example matrix`.
//!
//! The table stands in `docs/endings.md`; a test compares the two.

#[path = "../tests/support/mod.rs"]
mod support;

fn main() {
    print!("{}", support::matrix::table());
}
