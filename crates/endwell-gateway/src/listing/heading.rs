//! Which folder it is, and what is known before its first row.
//!
//! Reads: the path of a request. Gives: [`Heading`].

use percent_encoding::percent_decode_str;

use super::entries::Count;
use super::order::Order;

/// What stands above the rows.
#[derive(Debug)]
pub(super) struct Heading {
    /// The names from the root to the folder, decoded; none for the root itself.
    pub(super) names: Vec<Vec<u8>>,
    pub(super) order: Order,
    pub(super) count: Count,
    /// Absent if there are no archives of the folder.
    pub(super) archives: Option<Archives>,
}

/// What is known of the archives of a folder.
#[derive(Debug, Clone)]
pub(crate) struct Archives {
    /// Their forms, as a query names them.
    pub(crate) forms: Vec<&'static str>,
    /// The octets of the first of them, if that could be told at once.
    pub(crate) octets: Option<u64>,
}

impl Heading {
    /// For the path of a request, whose names have been found.
    pub(super) fn new(path: &str, order: Order) -> Self {
        let names = path.split('/').filter(|name| !name.is_empty());
        Self {
            names: names
                .map(|name| percent_decode_str(name).collect())
                .collect(),
            order,
            count: Count::default(),
            archives: None,
        }
    }

    /// The path as octets, with a slash at both ends.
    pub(super) fn path(&self) -> Vec<u8> {
        let mut path = vec![b'/'];
        for name in &self.names {
            path.extend(name);
            path.push(b'/');
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart_and_put_together() {
        let heading = |path| Heading::new(path, Order::default());
        assert!(heading("/").names.is_empty());
        assert_eq!(heading("/").path(), b"/");
        let deep = heading("/a%20b/%FF/c/");
        assert_eq!(deep.names, [&b"a b"[..], b"\xff", b"c"]);
        assert_eq!(deep.path(), b"/a b/\xff/c/");
    }
}
