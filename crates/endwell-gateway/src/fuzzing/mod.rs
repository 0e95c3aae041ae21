//! What must hold of the parsers for any octets: one function a fuzz target.
//!
//! Reads: octets that a fuzzer chose. Gives: nothing; a property that does not hold panics.
//! Never: in an ordinary build. The parsers are private, so what is said of them stands beside
//! them; `fuzz/` only calls in, with `--cfg fuzzing`. The tests run every function over its seeds
//! in `fuzz/seeds`, so none of this can rot unseen.

mod fields;

mod paths;

mod ranges;

mod versions;

mod wishes;

#[cfg(feature = "run")]
mod settings;

pub use fields::fields;
pub use paths::{disposition, target};
pub use ranges::range;
#[cfg(feature = "run")]
pub use settings::config;
pub use versions::{conditions, tags};
pub use wishes::{accept, digest, query};

/// A property and the name of its fuzz target.
pub type Property = (&'static str, fn(&[u8]));

/// Every property, by the name of its target.
pub const ALL: &[Property] = &[
    ("range", range),
    ("conditions", conditions),
    ("tags", tags),
    ("target", target),
    ("disposition", disposition),
    ("accept", accept),
    ("digest", digest),
    ("fields", fields),
    ("query", query),
    #[cfg(feature = "run")]
    ("config", config),
];

/// The first eight octets, and what follows.
fn number(input: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = input.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*first), rest))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_property_holds_for_its_seeds() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
        for (name, property) in ALL {
            let folder = seeds.join(name);
            let entries = fs::read_dir(&folder).expect("every target has a folder of seeds");
            let mut count = 0;
            for entry in entries {
                let path = entry.expect("the folder can be read").path();
                property(&fs::read(path).expect("a seed can be read"));
                count += 1;
            }
            assert!(count > 0, "{name} has no seed");
        }
    }
}
