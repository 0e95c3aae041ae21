//! Who may ask: networks and users, as settings and a file of users name them.

use std::path::Path;

use crate::config::{AccessSettings, Unusable};
use crate::{BadNetwork, Guard, Networks, Users, limited};

/// The largest file of users, in octets: some ten thousand of them.
const LARGEST: u64 = 1024 * 1024;

/// How many faults of the file of users are told: nobody reads more at once.
const TOLD: usize = 100;

/// Who may ask.
pub(super) struct Access {
    networks: Networks,
    users: Option<Users>,
    /// The text of the file of users, if there is one.
    pub(super) listed: Option<String>,
}

impl Access {
    /// Reads the file of users, and puts together who may ask.
    pub(super) fn of(settings: &AccessSettings) -> Result<Self, Vec<Unusable>> {
        let networks = networks(settings).map_err(|unusable| vec![unusable])?;
        let listed = read(settings).map_err(|unusable| vec![unusable])?;
        let users = if settings.auth.is_empty() && listed.is_none() {
            None
        } else {
            Some(users(settings, listed.as_deref())?)
        };
        Ok(Self {
            networks,
            users,
            listed,
        })
    }

    /// Puts a guard around a service.
    pub(super) fn guard<S>(self, service: S) -> Guard<S> {
        let guard = Guard::new(service).networks(self.networks);
        match self.users {
            Some(users) => guard.users(users),
            None => guard,
        }
    }
}

/// The text of the file of users, if there is one.
fn read(settings: &AccessSettings) -> Result<Option<String>, Unusable> {
    let Some(file) = &settings.auth_file else {
        return Ok(None);
    };
    let unusable = |why: &dyn std::fmt::Display| {
        let file = file.display();
        let why = format!("cannot read {file} ({why}); give --auth-file a file of NAME:HASH lines");
        Unusable::new("auth-file", why)
    };
    let octets = limited::read(file, LARGEST).map_err(|error| unusable(&error))?;
    let text = String::from_utf8(octets).map_err(|_| unusable(&"it is not UTF-8"))?;
    Ok(Some(text))
}

/// Those that the settings name, and those of the file.
fn users(settings: &AccessSettings, listed: Option<&str>) -> Result<Users, Vec<Unusable>> {
    let mut users = settings.users()?;
    let wrong = match (&settings.auth_file, listed) {
        (Some(file), Some(text)) => add_listed(&mut users, file, text),
        (Some(_) | None, _) => Vec::new(),
    };
    wrong.is_empty().then_some(users).ok_or(wrong)
}

fn networks(settings: &AccessSettings) -> Result<Networks, Unusable> {
    let unusable = |key| move |error: BadNetwork| Unusable::new(key, error.to_string());
    let mut networks = Networks::default();
    for network in &settings.allow {
        networks
            .allow(network.as_str())
            .map_err(unusable("allow"))?;
    }
    for network in &settings.deny {
        networks.deny(network.as_str()).map_err(unusable("deny"))?;
    }
    Ok(networks)
}

/// Adds a user a line, and gives those that are none; empty lines and those that begin with `#`
/// name nobody.
fn add_listed(users: &mut Users, file: &Path, text: &str) -> Vec<Unusable> {
    let names_one = |line: &str| !line.trim().is_empty() && !line.starts_with('#');
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| names_one(line));
    let wrong = lines.filter_map(|(number, line)| {
        let error = users.add(line).err()?;
        let why = format!("line {} of {}: {error}", number + 1, file.display());
        Some(Unusable::new("auth-file", why))
    });
    wrong.take(TOLD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_names_no_user_is_told_without_its_hash() {
        let file = Path::new("users");
        let hash = bcrypt::hash("a", 4).unwrap();
        let text = format!("# people\n\nann:{hash}\nbob:secret\neve\n");
        let mut users = Users::new().unwrap();
        let told = add_listed(&mut users, file, &text);
        assert_eq!(told.len(), 2);
        assert!(told[1].why.starts_with("line 5 of users: "));
        let told = &told[0];
        assert_eq!(told.key, "auth-file");
        assert!(
            told.why
                .starts_with("line 4 of users: the hash of the user bob")
        );
        assert!(!told.why.contains("secret"), "{}", told.why);
    }
}
