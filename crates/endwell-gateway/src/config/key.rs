//! One thing that can be set, as every source names it.

use std::any::TypeId;
use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command};

use super::commands::CommandAt;
use super::settings::{arguments, opposite};

/// A setting: a flag, a key of the file and an environment variable in one.
#[derive(Debug)]
pub struct Key {
    name: String,
    arg: Arg,
}

/// What kind of value a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Number,
    /// A text such as `30s`, or a number of seconds.
    Duration,
    /// A path; in a file relative to the folder of that file, except `-`.
    Path,
    /// Any other text.
    Text,
}

/// Every flag, none of them given.
static COMMAND: LazyLock<Command> =
    LazyLock::new(|| arguments(Command::new("serve").no_binary_name(true)));

static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let is_key = |arg: &&Arg| !arg.is_hide_set() && arg.get_id() != "config";
    let key = |arg: &Arg| Key {
        name: arg.get_id().as_str().replace('_', "-"),
        arg: arg.clone(),
    };
    COMMAND.get_arguments().filter(is_key).map(key).collect()
});

/// How alike (0 to 1, by Jaro) a name must be to be the one that was meant; clap's own bound for
/// flags.
const ALIKE: f64 = 0.7;

impl Key {
    /// Every key, in the order of the help.
    pub fn all() -> &'static [Self] {
        &KEYS
    }

    /// The key of this name, or one whose name is similar.
    pub(super) fn find(name: &str) -> Result<&'static Self, Option<&'static Self>> {
        if let Some(key) = KEYS.iter().find(|key| key.name == name) {
            return Ok(key);
        }
        let dashed = name.replace('_', "-");
        let undone = opposite(&dashed);
        let spelled = |key: &&Key| key.name == dashed || key.name == undone;
        if let Some(key) = KEYS.iter().find(spelled) {
            return Err(Some(key));
        }
        let likeness = |key: &'static Self| (strsim::jaro(&key.name, &dashed), key);
        let similar = KEYS
            .iter()
            .map(likeness)
            .filter(|(alike, _)| *alike > ALIKE);
        let best = similar.max_by(|(one, _), (other, _)| one.total_cmp(other));
        Err(best.map(|(_, key)| key))
    }

    /// The name in a file: `log-format`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The environment variable: `ENDWELL_LOG_FORMAT`.
    pub fn variable(&self) -> String {
        let name = self.name.replace('-', "_");
        format!("ENDWELL_{}", name.to_ascii_uppercase())
    }

    /// The flag: `--log-format`; none for the folder, which has its place instead.
    pub fn flag(&self) -> Option<String> {
        self.arg.get_long().map(|long| format!("--{long}"))
    }

    /// The id of the argument, for clap.
    pub(super) fn id(&self) -> &str {
        self.arg.get_id().as_str()
    }

    /// Its argument, for clap.
    pub(super) fn arg(&self) -> &Arg {
        &self.arg
    }

    /// Whether it takes several values.
    pub fn is_many(&self) -> bool {
        matches!(self.arg.get_action(), ArgAction::Append)
    }

    /// Whether its values hold blanks, so that a variable has one a line.
    pub(super) fn holds_blanks(&self) -> bool {
        self.arg.get_value_parser().type_id() == TypeId::of::<CommandAt>()
    }

    /// What kind of value it takes.
    pub fn kind(&self) -> Kind {
        let taken = self.arg.get_value_parser().type_id();
        let numbers = [
            TypeId::of::<u16>(),
            TypeId::of::<u32>(),
            TypeId::of::<u64>(),
            TypeId::of::<usize>(),
        ];
        if matches!(
            self.arg.get_action(),
            ArgAction::SetTrue | ArgAction::SetFalse
        ) {
            Kind::Switch
        } else if numbers.iter().any(|number| taken == *number) {
            Kind::Number
        } else if taken == TypeId::of::<Duration>() {
            Kind::Duration
        } else if taken == TypeId::of::<PathBuf>() {
            Kind::Path
        } else {
            Kind::Text
        }
    }

    /// The only values that it takes, where they are counted.
    pub fn choices(&self) -> Vec<String> {
        let possible = self.arg.get_possible_values();
        let names = possible.iter().map(clap::builder::PossibleValue::get_name);
        names.map(str::to_owned).collect()
    }

    /// Whether there is a value when nobody gives one.
    pub fn has_default(&self) -> bool {
        !self.arg.get_default_values().is_empty()
    }

    /// The command line that gives it these values.
    pub(super) fn as_flags(&self, values: &[OsString]) -> Vec<OsString> {
        let Some(flag) = self.flag() else {
            let folder = values.iter().cloned();
            return std::iter::once("--".into()).chain(folder).collect();
        };
        let by_flag = match self.arg.get_action() {
            ArgAction::SetTrue => "true",
            ArgAction::SetFalse => "false",
            _ => {
                let assign = |value: &OsString| {
                    let mut text = OsString::from(format!("{flag}="));
                    text.push(value);
                    text
                };
                return values.iter().map(assign).collect();
            }
        };
        let set = values.iter().any(|value| value == by_flag);
        set.then(|| flag.into()).into_iter().collect()
    }

    /// Whether the flag would take this value.
    ///
    /// # Errors
    /// Why not, and what it takes.
    pub(super) fn check(&self, value: &OsStr) -> Result<(), String> {
        let shown = value.to_string_lossy();
        if self.kind() == Kind::Switch && value != "true" && value != "false" {
            return Err(format!(
                "invalid value '{shown}' for {} [possible values: true, false]",
                self.name
            ));
        }
        match read(&self.as_flags(&[value.to_owned()])) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!(
                "invalid value '{shown}' for {}{}",
                self.name,
                reason(&error)
            )),
        }
    }
}

/// Reads a command line of flags alone.
pub(super) fn read(flags: &[OsString]) -> Result<clap::ArgMatches, clap::Error> {
    COMMAND.clone().try_get_matches_from(flags)
}

/// What clap has to say against a value, without the value and the flag.
fn reason(error: &clap::Error) -> String {
    if let Some(parser) = error.source() {
        return format!(": {parser}");
    }
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid)) if !valid.is_empty() => {
            format!(" [possible values: {}]", valid.join(", "))
        }
        _ => ": it must not be empty".to_owned(),
    }
}
