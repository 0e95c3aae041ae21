//! Prints the table of endings that `plan` decides: `cargo run -p endwell-core --example table`.

fn main() {
    print!("{}", endwell_core::table());
}
