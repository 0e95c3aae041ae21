//! Files of the folder that settings name: pages that are sent in place of others.

use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// A file below the folder that is served, whatever the current folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Below(PathBuf);

/// The file that is sent for its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Index {
    /// None: a folder is always listed.
    None,
    /// A file of the folder.
    Name(Below),
}

impl Below {
    /// Its path from the folder on.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl FromStr for Below {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = Path::new(text);
        let is_name = |part| matches!(part, Component::Normal(_));
        if text.is_empty() || text.contains('\0') || !path.components().all(is_name) {
            return Err(
                "write a path below the folder that is served, such as 404.html".to_owned(),
            );
        }
        Ok(Self(path.to_owned()))
    }
}

impl FromStr for Index {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "-" => Ok(Self::None),
            name => name.parse().map(Self::Name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_lie_below_the_folder() {
        for good in ["404.html", "errors/404.html", ".hidden", "a b"] {
            let page: Below = good.parse().expect(good);
            assert_eq!(page.path(), Path::new(good));
        }
        for bad in ["", "/404.html", "../404.html", "a/../b", ".", "./a", "a\0"] {
            assert!(bad.parse::<Below>().is_err(), "{bad:?}");
            assert!(bad.parse::<Index>().is_err(), "{bad:?}");
        }
        assert_eq!("-".parse(), Ok(Index::None));
    }
}
