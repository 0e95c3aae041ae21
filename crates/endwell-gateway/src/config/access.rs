//! Who may ask, as settings say it.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::Networks;

/// An address or a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network(String);

/// A user and the hash of a password, as they were written.
///
/// What is wrong with it is found out once all settings are read: an error of the command line would
/// repeat what may be a password.
#[derive(Clone, PartialEq, Eq)]
pub struct User(String);

impl Network {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = Networks::default().allow(text);
        read.map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }
}

impl User {
    /// As it was written: `NAME:HASH`, if it is right.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for User {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("User")
    }
}
