//! Who may ask: networks and users, as settings and a file of users name them.

use std::path::Path;

use crate::config::{AccessSettings, Unusable};
use crate::{BadNetwork, Guard, Networks, Users, limited};

/// The largest file of users, in octets: some ten thousand of them.
const LARGEST: u64 = 1024 * 1024;

/// The text of the file of users, if there is one.
pub(super) fn read(settings: &AccessSettings) -> Result<Option<String>, Unusable> {
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

/// Puts a guard around a service. `listed` is the text of the file of users.
pub(super) fn guard<S>(
    service: S,
    settings: &AccessSettings,
    listed: Option<&str>,
) -> Result<Guard<S>, Unusable> {
    let guard = Guard::new(service).networks(networks(settings)?);
    if settings.auth.is_empty() && listed.is_none() {
        return Ok(guard);
    }
    let mut users = settings.users()?;
    if let (Some(file), Some(text)) = (&settings.auth_file, listed) {
        add_listed(&mut users, file, text)?;
    }
    Ok(guard.users(users))
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

/// Adds a user a line; empty lines and those that begin with `#` name nobody.
fn add_listed(users: &mut Users, file: &Path, text: &str) -> Result<(), Unusable> {
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        users.add(line).map_err(|error| {
            let why = format!("line {} of {}: {error}", number + 1, file.display());
            Unusable::new("auth-file", why)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_names_no_user_is_told_without_its_hash() {
        let file = Path::new("users");
        let hash = bcrypt::hash("a", 4).unwrap();
        let text = format!("# people\n\nann:{hash}\nbob:secret\n");
        let mut users = Users::new().unwrap();
        let told = add_listed(&mut users, file, &text).unwrap_err();
        assert_eq!(told.key, "auth-file");
        assert!(
            told.why
                .starts_with("line 4 of users: the hash of the user bob")
        );
        assert!(!told.why.contains("secret"), "{}", told.why);
    }
}
