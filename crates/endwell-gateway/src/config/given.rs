//! Values that somebody gave, whichever way.

use std::collections::HashMap;
use std::ffi::OsString;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::key::{Key, Kind};
use super::origin::{Fault, Origin};
use super::settings::opposite_id;

/// The values of a key, and where they were given.
#[derive(Debug, Clone)]
pub struct Given {
    /// The key.
    pub key: &'static Key,
    /// Its values: one, unless the key takes several.
    pub values: Vec<OsString>,
    /// Where they stand.
    pub origin: Origin,
}

/// What stands on the command line; clap has checked it.
pub(super) fn by_flags(matches: &ArgMatches) -> Vec<Given> {
    let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let mut given = Vec::new();
    for key in Key::all() {
        let values = if is_given(key.id()) {
            let raw = matches.get_raw(key.id());
            raw.map(|raw| raw.map(OsString::from).collect())
        } else {
            let opposite = key.arg().get_long().map(opposite_id);
            let taken_back = key.kind() == Kind::Switch && opposite.is_some_and(|id| is_given(&id));
            taken_back.then(|| vec![is_switched_on_by_default(key).to_string().into()])
        };
        if let Some(values) = values {
            let origin = Origin::Flag;
            given.push(Given {
                key,
                values,
                origin,
            });
        }
    }
    given
}

/// What a switch is when its flag is not given.
fn is_switched_on_by_default(key: &Key) -> bool {
    key.as_flags(&["true".into()]).is_empty()
}

/// What the environment says. An empty variable says nothing; a key that takes several values
/// finds them separated by white space, or a line each if they hold blanks themselves.
pub(super) fn by_environment(
    variables: &HashMap<String, OsString>,
) -> Result<Vec<Given>, Vec<Fault>> {
    let (mut given, mut faults) = (Vec::new(), Vec::new());
    for key in Key::all() {
        let name = key.variable();
        let Some(value) = variables.get(&name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let values: Vec<_> = match value.to_str() {
            Some(text) if key.holds_blanks() => {
                let lines = text.lines().filter(|line| !line.trim().is_empty());
                lines.map(OsString::from).collect()
            }
            Some(text) if key.is_many() => text.split_whitespace().map(OsString::from).collect(),
            Some(_) | None => vec![value.clone()],
        };
        if values.is_empty() {
            continue;
        }
        let wrong = values.iter().filter_map(|value| key.check(value).err());
        let origin = Origin::Variable(name);
        let fault = |message| Fault {
            origin: origin.clone(),
            message,
        };
        faults.extend(wrong.map(fault));
        given.push(Given {
            key,
            values,
            origin,
        });
    }
    faults.is_empty().then_some(given).ok_or(faults)
}

/// The variables of this process that may be settings.
pub(super) fn environment() -> HashMap<String, OsString> {
    let ours = |(name, value): (OsString, OsString)| {
        let name = name.into_string().ok()?;
        name.starts_with("ENDWELL_").then_some((name, value))
    };
    std::env::vars_os().filter_map(ours).collect()
}
