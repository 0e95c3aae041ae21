# One line each; `just check` is what CI runs.
default: quick

check:
    .ci/run

quick:
    .ci/run quick

peers:
    .ci/run peers

test:
    cargo test --workspace

serve *args:
    cargo run --release -- serve {{args}}

faulty:
    cargo run -p endwell --example faulty

table:
    cargo run -q -p endwell-core --example table

matrix:
    cargo run -q -p endwell --example matrix

bench:
    cargo bench -p endwell

doc:
    cargo doc --workspace --no-deps --open
