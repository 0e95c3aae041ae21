//! All sources together: the settings, and where each came from.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, FromArgMatches};

use super::file;
use super::given::{self, Given};
use super::key::{self, Key, Kind};
use super::origin::{Fault, Faults, Origin, Unusable};
use super::settings::Settings;
use crate::limited;

/// The variable that names the configuration file, as `--config` does.
const VARIABLE: &str = "ENDWELL_CONFIG";
/// The longest configuration file, in octets: fifty times what every key with its comment takes,
/// and a device that never ends is noticed.
const LONGEST: u64 = 256 * 1024;

/// Where settings come from.
///
/// Flags and environment are those of the start; the file is read at each [`Sources::load`].
#[derive(Debug, Clone)]
pub struct Sources {
    flags: Vec<Given>,
    environment: HashMap<String, OsString>,
    file: Option<ConfigFile>,
}

/// The configuration file, and who named it.
#[derive(Debug, Clone)]
struct ConfigFile {
    path: PathBuf,
    named: Named,
}

/// Who has named the configuration file.
#[derive(Debug, Clone, Copy)]
enum Named {
    /// `--config`.
    Flag,
    /// The command that is about this file.
    Argument,
    /// `ENDWELL_CONFIG`.
    Variable,
}

impl Named {
    /// What to do about a file that cannot be read.
    fn way_out(self) -> String {
        match self {
            Self::Flag => "give --config another file, or none".to_owned(),
            Self::Argument => "name another file: endwell config check FILE".to_owned(),
            Self::Variable => format!("let {VARIABLE} name another file, or unset it"),
        }
    }
}

impl Sources {
    /// The command line of [`arguments`](super::arguments) and this process's environment; the
    /// file that one of them names.
    pub fn new(matches: &ArgMatches) -> Self {
        let environment = given::environment();
        let file = matches.get_one::<PathBuf>("config").cloned();
        Self {
            flags: given::by_flags(matches),
            file: named(file, Named::Flag, &environment),
            environment,
        }
    }

    /// A file that a command is about and this process's environment, as
    /// `endwell serve --config FILE` reads them.
    pub fn of_file(file: Option<PathBuf>) -> Self {
        let environment = given::environment();
        Self {
            flags: Vec::new(),
            file: named(file, Named::Argument, &environment),
            environment,
        }
    }

    /// The configuration file.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }

    /// Reads them all.
    ///
    /// # Errors
    /// Everything that is wrong with the environment and the file.
    pub fn load(&self) -> Result<Loaded, Faults> {
        let (mut layers, mut faults) = (vec![self.flags.clone()], Vec::new());
        for read in [given::by_environment(&self.environment), self.read_file()] {
            match read {
                Ok(layer) => layers.push(layer),
                Err(wrong) => faults.extend(wrong),
            }
        }
        if !faults.is_empty() {
            return Err(Faults(faults));
        }
        Loaded::of(&layers)
    }

    fn read_file(&self) -> Result<Vec<Given>, Vec<Fault>> {
        let Some(ConfigFile { path, named }) = &self.file else {
            return Ok(Vec::new());
        };
        match limited::read(path, LONGEST) {
            Ok(text) => match String::from_utf8(text) {
                Ok(text) => file::parse(&text, path),
                Err(error) => Err(vec![no_text(path, &error)]),
            },
            Err(error) => {
                let message = format!(
                    "cannot read the configuration {} ({error}); {}",
                    path.display(),
                    named.way_out()
                );
                let origin = Origin::Default;
                Err(vec![Fault { origin, message }])
            }
        }
    }
}

/// The file that was given as `given`, else the one of the environment.
fn named(
    file: Option<PathBuf>,
    given: Named,
    environment: &HashMap<String, OsString>,
) -> Option<ConfigFile> {
    let named = match file {
        Some(path) => Some((path, given)),
        None => {
            let path = environment.get(VARIABLE).filter(|name| !name.is_empty());
            path.map(|path| (path.into(), Named::Variable))
        }
    };
    named.map(|(path, named)| ConfigFile { path, named })
}

fn no_text(path: &Path, error: &std::string::FromUtf8Error) -> Fault {
    let good = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(&error.as_bytes()[..good]);
    Fault {
        origin: Origin::in_file(path, &text, good),
        message: "this is not UTF-8".to_owned(),
    }
}

/// Settings that are right, each with its origin.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    values: Vec<Value>,
}

/// What is in force for a key.
#[derive(Debug, Clone)]
pub struct Value {
    /// The key.
    pub key: &'static Key,
    /// Its values; none if nobody gave one and there is no default.
    pub values: Vec<OsString>,
    /// Where they came from.
    pub origin: Origin,
}

impl Loaded {
    /// Takes each key from the first layer that has it.
    pub(crate) fn of(layers: &[Vec<Given>]) -> Result<Self, Faults> {
        let first = |key: &Key| {
            let mut all = layers.iter().flatten();
            all.find(|given| given.key.name() == key.name())
        };
        let mut flags = Vec::new();
        // The folder has no flag, only a place, which is the last.
        let (named, placed): (Vec<_>, Vec<_>) = Key::all()
            .iter()
            .filter_map(first)
            .partition(|given| given.key.flag().is_some());
        for given in named.into_iter().chain(placed) {
            flags.extend(given.key.as_flags(&given.values));
        }
        let whole = |error: clap::Error| Fault {
            origin: Origin::Default,
            message: error.to_string(),
        };
        let matches = key::read(&flags).map_err(whole)?;
        let settings = Settings::from_arg_matches(&matches).map_err(whole)?;
        let value = |key: &'static Key| Value {
            key,
            values: matches
                .get_raw(key.id())
                .map_or_else(Vec::new, |raw| raw.map(OsString::from).collect()),
            origin: first(key).map_or(Origin::Default, |given| given.origin.clone()),
        };
        let loaded = Self {
            settings,
            values: Key::all().iter().map(value).collect(),
        };
        let wrong = loaded.settings.check();
        if wrong.is_empty() {
            Ok(loaded)
        } else {
            Err(loaded.faults(wrong))
        }
    }

    /// What is in force, in the order of the help.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Says where the value stands that cannot be used.
    pub fn fault(&self, unusable: Unusable) -> Fault {
        let origin = self.value(unusable.key).map(|value| value.origin.clone());
        Fault {
            origin: origin.unwrap_or(Origin::Default),
            message: unusable.why,
        }
    }

    /// Says of each where its value stands.
    pub fn faults(&self, wrong: Vec<Unusable>) -> Faults {
        let faults = wrong.into_iter().map(|unusable| self.fault(unusable));
        Faults(faults.collect())
    }

    /// The keys that have other values here.
    pub fn changed(&self, before: &Self) -> Vec<&'static str> {
        let differs = |value: &&Value| {
            let old = before.value(value.key.name());
            old.is_none_or(|old| old.values != value.values)
        };
        let changed = self.values.iter().filter(differs);
        changed.map(|value| value.key.name()).collect()
    }

    /// Whether nobody gave this key a value.
    pub fn is_default(&self, name: &str) -> bool {
        self.value(name)
            .is_none_or(|value| value.origin == Origin::Default)
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|value| value.key.name() == name)
    }
}

/// A configuration file that says the same, with the origin of each value.
impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.values
            .iter()
            .try_for_each(|value| writeln!(f, "{value}"))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.key.name();
        let quoted = |value: &OsString| match self.key.kind() {
            Kind::Switch | Kind::Number => value.to_string_lossy().into_owned(),
            Kind::Duration | Kind::Path | Kind::Text => quote(&value.to_string_lossy()),
        };
        let values: Vec<_> = self.values.iter().map(quoted).collect();
        let line = match &values[..] {
            [] => return write!(f, "# {name} is not set"),
            all if self.key.is_many() => format!("{name} = [{}]", all.join(", ")),
            [value, ..] => format!("{name} = {value}"),
        };
        write!(f, "{line:40} # {}", self.origin)
    }
}

/// A basic string of TOML.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted += &format!("\\u{:04X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
