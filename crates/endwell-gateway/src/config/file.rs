//! The configuration file: TOML, one key for each flag.
//!
//! Reads: text. Gives: values with the place of each, or everything that is wrong with it.
//! Never: looks into a table. The file is flat, and a table is one fault, whatever it holds.

use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::given::Given;
use super::key::{Key, Kind};
use super::origin::{Fault, Origin};

/// How many faults are told: nobody reads more at once, and each costs a look at the whole text.
const TOLD: usize = 100;

/// Reads the text of a configuration file.
///
/// Paths in it are relative to the folder of `path`.
///
/// # Errors
/// What is wrong, the first hundred of it: text that is no TOML; else unknown keys, wrong types and
/// values that the flag would not take.
pub fn parse(text: &str, path: &Path) -> Result<Vec<Given>, Vec<Fault>> {
    let file = File { text, path };
    let (table, mut broken) = DeTable::parse_recoverable(text);
    if !broken.is_empty() {
        broken.sort_by_key(|error| error.span().map_or(0, |span| span.start));
        let fault = |error: &toml::de::Error| {
            file.fault(error.span().unwrap_or_default(), error.message().to_owned())
        };
        return Err(broken.iter().take(TOLD).map(fault).collect());
    }
    let mut entries: Vec<_> = table.into_inner().into_iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    let (mut given, mut faults) = (Vec::new(), Vec::new());
    for (name, value) in &entries {
        match file.entry(name, value) {
            Ok(entry) => given.push(entry),
            Err(wrong) => faults.extend(wrong),
        }
        if faults.len() >= TOLD {
            break;
        }
    }
    faults.truncate(TOLD);
    faults.is_empty().then_some(given).ok_or(faults)
}

struct File<'a> {
    text: &'a str,
    path: &'a Path,
}

impl File<'_> {
    fn fault(&self, span: Range<usize>, message: String) -> Fault {
        let origin = Origin::in_file(self.path, self.text, span.start);
        Fault { origin, message }
    }

    fn entry(
        &self,
        name: &Spanned<impl AsRef<str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Given, Vec<Fault>> {
        let text = name.get_ref().as_ref();
        if is_table(value.get_ref()) {
            let message = format!(
                "'{text}' is a table, and this file is flat: it has no tables; write each setting as a line of its own, such as log-format = \"json\", above which no [{text}] stands"
            );
            return Err(vec![self.fault(name.span(), message)]);
        }
        let key = Key::find(text).map_err(|similar| {
            let similar = similar.map(|key| format!("; did you mean '{}'?", key.name()));
            let message = format!("there is no key '{text}'{}", similar.unwrap_or_default());
            vec![self.fault(name.span(), message)]
        })?;
        let (mut values, mut faults) = (Vec::new(), Vec::new());
        for element in elements(key, value) {
            match self.value(key, element) {
                Ok(value) => values.push(value),
                Err(fault) => faults.push(fault),
            }
            if faults.len() >= TOLD {
                break;
            }
        }
        if values.is_empty() && faults.is_empty() && key.has_default() {
            let message = format!("{text} is an empty list; name a value, or leave it out");
            faults.push(self.fault(value.span(), message));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let origin = Origin::in_file(self.path, self.text, name.span().start);
        Ok(Given {
            key,
            values,
            origin,
        })
    }

    fn value(&self, key: &Key, value: &Spanned<DeValue<'_>>) -> Result<OsString, Fault> {
        let read = as_text(key.kind(), value.get_ref()).ok_or_else(|| {
            let (name, found) = (key.name(), value.get_ref().type_str());
            let article = if found.starts_with(['a', 'i']) {
                "an"
            } else {
                "a"
            };
            format!("{name} takes {}, not {article} {found}", takes(key))
        });
        let checked = read.and_then(|text| key.check(text.as_ref()).map(|()| text));
        let text = checked.map_err(|message| self.fault(value.span(), message))?;
        match self.path.parent() {
            Some(folder) if key.kind() == Kind::Path && text != "-" => {
                Ok(folder.join(text).into_os_string())
            }
            Some(_) | None => Ok(text.into()),
        }
    }
}

/// Whether it is a table, or tables of one name: `[x]`, `[[x]]`, `x.y = 1` or `x = {}`.
fn is_table(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Table(_) => true,
        DeValue::Array(list) => {
            let table = |element: &Spanned<_>| matches!(element.get_ref(), DeValue::Table(_));
            !list.is_empty() && list.iter().all(table)
        }
        _ => false,
    }
}

/// The values of a list, if the key takes several; else the value itself.
fn elements<'a, 'i>(
    key: &Key,
    value: &'a Spanned<DeValue<'i>>,
) -> Box<dyn Iterator<Item = &'a Spanned<DeValue<'i>>> + 'a> {
    match value.get_ref() {
        DeValue::Array(list) if key.is_many() => Box::new(list.iter()),
        _ => Box::new(std::iter::once(value)),
    }
}

/// The value as a flag would have it; none of the wrong type.
fn as_text(kind: Kind, value: &DeValue<'_>) -> Option<String> {
    match (kind, value) {
        (Kind::Switch, DeValue::Boolean(on)) => Some(on.to_string()),
        (Kind::Number | Kind::Duration, DeValue::Integer(number)) => Some(decimal(number)),
        (Kind::Duration, DeValue::Float(number)) => Some(number.as_str().to_owned()),
        (Kind::Duration | Kind::Path | Kind::Text, DeValue::String(text)) => {
            Some(text.clone().into_owned())
        }
        _ => None,
    }
}

/// `0x10` is 16; what no 64 bits hold stays as it is and is refused as a value.
fn decimal(number: &DeInteger<'_>) -> String {
    i64::from_str_radix(number.as_str(), number.radix())
        .map_or_else(|_| number.as_str().to_owned(), |number| number.to_string())
}

/// What a key takes, in words.
fn takes(key: &Key) -> &'static str {
    match (key.kind(), key.is_many()) {
        (Kind::Switch, _) => "true or false",
        (Kind::Number, false) => "a whole number",
        (Kind::Number, true) => "a whole number or a list of them",
        (Kind::Duration, _) => "a duration such as \"30s\"",
        (Kind::Path | Kind::Text, false) => "a text in quotes",
        (Kind::Path | Kind::Text, true) => "a text in quotes or a list of them",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn faults_are_told_up_to_a_number() {
        let path = Path::new("e.toml");
        let list = format!("listen = [{}]", "1, ".repeat(500));
        let keys: String = (0..500).map(|n| format!("k{n} = 1\n")).collect();
        let both = format!(
            "{}{list}",
            keys.split_inclusive('\n').take(60).collect::<String>()
        );
        for text in ["=\n".repeat(500), list, keys, both] {
            let faults = parse(&text, path).expect_err("all of it is wrong");
            assert_eq!(faults.len(), TOLD);
        }
    }

    #[test]
    fn what_nests_deeply_is_a_fault() {
        let path = Path::new("e.toml");
        for text in [
            "[".repeat(100_000),
            format!("dir = {}", "[".repeat(100_000)),
        ] {
            assert!(parse(&text, path).is_err());
        }
    }

    /// Text that is nearly a configuration.
    fn text() -> impl Strategy<Value = String> {
        let keys = Key::all().iter().map(|key| key.name().to_owned());
        let words = [
            "=", " = ", "\"", "'", "[", "]", ",", "{", "}", "\n", "#", ".", "\\", "-", "ä", "\0",
        ];
        let values = [
            "true",
            "\"30s\"",
            "\"127.0.0.1:1\"",
            "[]",
            "0x10",
            "1e9",
            "1979-05-27",
            "inf",
        ];
        let all: Vec<_> = keys
            .chain(words.into_iter().chain(values).map(str::to_owned))
            .collect();
        prop::collection::vec(prop::sample::select(all), 0..12).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn any_text_is_values_or_faults_that_lie_in_it(text in prop_oneof![text(), any::<String>()]) {
            if let Err(faults) = parse(&text, Path::new("e.toml")) {
                prop_assert!(!faults.is_empty());
                for fault in faults {
                    prop_assert!(!fault.to_string().chars().any(char::is_control));
                    let Origin::File { line, column, .. } = fault.origin else {
                        panic!("a fault of a file has its place")
                    };
                    let line = text.split('\n').nth(line - 1).expect("a line of the text");
                    prop_assert!((1..=line.chars().count() + 1).contains(&column));
                    prop_assert!(!fault.message.is_empty());
                }
            }
        }
    }
}
