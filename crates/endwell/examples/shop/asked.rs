//! What the form asks for. What it does not know is as if it were not said.

use std::time::Duration;

use endwell::Severity;

/// A part of the page, as the form knows it.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) is: &'static str,
    severity: Severity,
    does: Does,
    after: u64,
}

/// The parts, and what they do if nothing is asked.
pub(crate) const PARTS: [Known; 6] = [
    known(
        "product",
        "name; decides the status",
        Severity::Fatal,
        Does::Well,
        0,
    ),
    known("price", "price", Severity::Fatal, Does::Well, 300),
    known(
        "stock",
        "what is left",
        Severity::Degrading,
        Does::Well,
        1000,
    ),
    known(
        "fit",
        "computed on a thread",
        Severity::Note,
        Does::Well,
        300,
    ),
    known(
        "reviews",
        "a list, its authors are parts too",
        Severity::Degrading,
        Does::Error,
        300,
    ),
    known(
        "others",
        "what others bought",
        Severity::Note,
        Does::TimeOut,
        0,
    ),
];

const fn known(
    name: &'static str,
    is: &'static str,
    severity: Severity,
    does: Does,
    after: u64,
) -> Known {
    Known {
        name,
        is,
        severity,
        does,
        after,
    }
}

/// What a part does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    Well,
    Error,
    Panic,
    TimeOut,
    /// Of the product: there is none.
    Missing,
}

impl Does {
    pub(crate) const ALL: [Does; 5] = [
        Self::Well,
        Self::Error,
        Self::Panic,
        Self::TimeOut,
        Self::Missing,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Well => "comes",
            Self::Error => "gives an error",
            Self::Panic => "panics",
            Self::TimeOut => "takes too long",
            Self::Missing => "is not there",
        }
    }

    pub(crate) fn value(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Error => "error",
            Self::Panic => "panic",
            Self::TimeOut => "timeout",
            Self::Missing => "missing",
        }
    }
}

/// Times after which a part can come, in milliseconds.
pub(crate) const TIMES: [u64; 4] = [0, 300, 1000, 3000];

/// What one part is to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) severity: Severity,
    pub(crate) does: Does,
    pub(crate) after: u64,
}

impl Part {
    pub(crate) fn time(self) -> Duration {
        Duration::from_millis(self.after)
    }
}

/// All that is asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    parts: [Part; PARTS.len()],
    pub(crate) in_order: bool,
    pub(crate) public: bool,
}

impl Asked {
    pub(crate) fn of(query: &str) -> Self {
        let says = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(key, _)| *key == name)
                .map_or("", |(_, value)| value)
        };
        let part = |known: &Known| {
            let name = known.name;
            let severity = says(&format!("{name}.is"));
            let severity = Severity::ALL.into_iter().find(|is| is.as_str() == severity);
            let does = says(&format!("{name}.does"));
            let does = Does::ALL.into_iter().find(|it| it.value() == does);
            let after = says(&format!("{name}.after")).parse().ok();
            Part {
                severity: severity.unwrap_or(known.severity),
                does: does.unwrap_or(known.does),
                after: after
                    .filter(|time| TIMES.contains(time))
                    .unwrap_or(known.after),
            }
        };
        Self {
            parts: PARTS.each_ref().map(part),
            in_order: says("order") == "in",
            public: says("cache") == "public",
        }
    }

    pub(crate) fn part(&self, name: &str) -> Part {
        let at = PARTS.iter().position(|known| known.name == name);
        self.parts[at.expect("it is one of the list")]
    }

    /// The same in order, made of what was understood.
    pub(crate) fn query_in_order(&self) -> String {
        let mut query = format!(
            "order=in&cache={}",
            if self.public { "public" } else { "private" }
        );
        for (known, part) in PARTS.iter().zip(self.parts) {
            let name = known.name;
            query += &format!("&{name}.is={}", part.severity.as_str());
            query += &format!(
                "&{name}.does={}&{name}.after={}",
                part.does.value(),
                part.after
            );
        }
        query
    }

    pub(crate) fn cache(&self) -> &'static str {
        match self.public {
            true => "public, max-age=60",
            false => "private, no-cache",
        }
    }
}
