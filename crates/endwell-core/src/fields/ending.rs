//! `Ending` and `Want-Ending`: how a response ended, said in its trailer section.
//!
//! Reads: the value of a field, its lines joined by commas. Gives: what each sender said. Never:
//! takes a field that does not parse for anything but absent (RFC 9651 section 4.2).

use std::fmt;

use sfv::{BareItem, Item, KeyRef, ListEntry, ListSerializer, Parameters, Parser, TokenRef};

use crate::{Ending, Kind, Retry};

/// The largest integer of a structured field (RFC 9651 section 3.3.1).
const LARGEST: u64 = 999_999_999_999_999;

/// How a sender says that its message ended: an [`Ending`] without its cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Declared {
    /// All of it was produced and nothing in it is wrong.
    Complete,
    /// All of it was produced, yet something in it is wrong.
    Degraded,
    /// Whoever was to receive it left.
    Cancelled,
    /// Something that should have followed never will.
    Failed,
}

impl Declared {
    /// Every value, the best first.
    pub const ALL: [Self; 4] = [
        Self::Complete,
        Self::Degraded,
        Self::Cancelled,
        Self::Failed,
    ];

    /// The token in the field: `complete`, `degraded`, `cancelled` or `failed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Degraded => "degraded",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

impl From<&Ending> for Declared {
    fn from(ending: &Ending) -> Self {
        match ending {
            Ending::Complete => Self::Complete,
            Ending::Degraded(_) => Self::Degraded,
            Ending::Failed(_) => Self::Failed,
            Ending::Cancelled(_) => Self::Cancelled,
        }
    }
}

/// What one sender says in [`EndingField`]: a member of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndingMember {
    /// How the message ended.
    pub ending: Declared,
    /// `octets`: how many octets of content it sent.
    pub octets: Option<u64>,
    /// `error`: why, by the name of its kind. A name that is not known here is left out.
    pub error: Option<Kind>,
    /// `retry`: whether the request may be sent again. A value that is not known is left out.
    pub retry: Option<Retry>,
    /// `at`: the octet at which what is wrong begins, where that is known.
    pub at: Option<u64>,
}

impl EndingMember {
    /// What a sender says of a message of so many octets that ended like this.
    ///
    /// The message of a cause stays at home: a peer may see it, and it may tell of the inside.
    pub fn of(ending: &Ending, octets: u64) -> Self {
        let cause = ending.cause();
        Self {
            ending: ending.into(),
            octets: Some(octets),
            error: cause.map(|cause| cause.kind),
            retry: cause.map(|cause| cause.retry),
            at: None,
        }
    }

    fn parse(member: ListEntry) -> Option<Self> {
        let ListEntry::Item(Item { bare_item, params }) = member else {
            return None;
        };
        let BareItem::Token(name) = bare_item else {
            return None;
        };
        let name = name.as_str();
        let ending = Declared::ALL.into_iter().find(|it| it.as_str() == name)?;
        Some(Self {
            ending,
            octets: number(&params, "octets")?,
            error: token(&params, "error")?.and_then(Kind::named),
            retry: token(&params, "retry")?.and_then(Retry::named),
            at: number(&params, "at")?,
        })
    }
}

/// A parameter that is a count: `None` if it is something else, `Some(None)` if it is absent.
fn number(params: &Parameters, name: &str) -> Option<Option<u64>> {
    match params.get(name) {
        None => Some(None),
        Some(BareItem::Integer(value)) => u64::try_from(i64::from(*value)).ok().map(Some),
        Some(_) => None,
    }
}

fn token<'a>(params: &'a Parameters, name: &str) -> Option<Option<&'a str>> {
    match params.get(name) {
        None => Some(None),
        Some(BareItem::Token(value)) => Some(Some(value.as_str())),
        Some(_) => None,
    }
}

/// The trailer field `Ending`: a list (RFC 9651 section 3.1), to which each hop that vouches for
/// the message adds a member; the last is of the hop that is nearest to who reads it.
///
/// # Examples
/// ```
/// use endwell_core::fields::{Declared, EndingField};
/// let field = EndingField::parse(b"failed;octets=80000;error=producer_error;retry=never")
///     .expect("it parses");
/// assert_eq!(field.worst().ending, Declared::Failed);
/// assert_eq!(EndingField::parse(b"complete;octets=x"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndingField(Vec<EndingMember>);

impl EndingField {
    /// A field with one member.
    pub fn new(member: EndingMember) -> Self {
        Self(vec![member])
    }

    /// Reads the value of the field.
    ///
    /// `None` for an empty one, and for what does not parse: that says nothing at all. Parameters
    /// that are not known are left out; an ending that is not known makes the field unreadable,
    /// for it may be a bad one.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let list: Vec<ListEntry> = Parser::new(value).parse().ok()?;
        let members: Option<Vec<_>> = list.into_iter().map(EndingMember::parse).collect();
        members.filter(|members| !members.is_empty()).map(Self)
    }

    /// The members; never none.
    pub fn members(&self) -> &[EndingMember] {
        &self.0
    }

    /// What the nearest hop says.
    pub fn nearest(&self) -> &EndingMember {
        self.0.last().expect("it has a member")
    }

    /// The worst that anybody says; of equals, who said it first.
    pub fn worst(&self) -> &EndingMember {
        let mut worst = &self.0[0];
        for member in &self.0 {
            if member.ending > worst.ending {
                worst = member;
            }
        }
        worst
    }

    /// The value of the field. A count beyond 999 999 999 999 999 cannot be said and is left out.
    pub fn to_field(&self) -> String {
        let mut list = ListSerializer::new();
        for member in &self.0 {
            let name =
                TokenRef::from_str(member.ending.as_str()).expect("its letters are a token's");
            let mut item = list.bare_item(name);
            if let Some(octets) = member.octets.and_then(integer) {
                item = item.parameter(key("octets"), octets);
            }
            if let Some(kind) = member.error {
                let kind = TokenRef::from_str(kind.as_str()).expect("its letters are a token's");
                item = item.parameter(key("error"), kind);
            }
            if let Some(retry) = member.retry {
                let retry = TokenRef::from_str(retry.as_str()).expect("its letters are a token's");
                item = item.parameter(key("retry"), retry);
            }
            if let Some(at) = member.at.and_then(integer) {
                item = item.parameter(key("at"), at);
            }
            let _ = item;
        }
        list.finish().expect("it has a member")
    }
}

impl fmt::Display for EndingField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_field())
    }
}

fn key(name: &str) -> &KeyRef {
    KeyRef::from_str(name).expect("its letters are a key's")
}

fn integer(value: u64) -> Option<sfv::Integer> {
    let value = i64::try_from(value).ok()?;
    (value as u64 <= LARGEST).then(|| sfv::Integer::try_from(value).ok())?
}

/// Whether `Want-Ending` asks for [`EndingField`]: a boolean item (RFC 9651 section 3.3.6).
///
/// # Examples
/// ```
/// use endwell_core::fields::wants_ending;
/// assert!(wants_ending(b"?1"));
/// assert!(!wants_ending(b"?0"));
/// assert!(!wants_ending(b"yes"));
/// ```
pub fn wants_ending(value: &[u8]) -> bool {
    let item: Result<Item, _> = Parser::new(value).parse();
    matches!(item, Ok(item) if item.bare_item == BareItem::Boolean(true))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Cause;

    #[test]
    fn endings_are_written_and_read() {
        let failed = Ending::Failed(Cause::new(Kind::SourceChanged, "/var/secret"));
        for (ending, octets, field) in [
            (Ending::Complete, 5, "complete;octets=5"),
            (
                failed,
                0,
                "failed;octets=0;error=source_changed;retry=if-idempotent",
            ),
            (Ending::Complete, u64::MAX, "complete"),
        ] {
            let written = EndingField::new(EndingMember::of(&ending, octets));
            assert_eq!(written.to_field(), field);
            let read = EndingField::parse(field.as_bytes()).expect("it parses");
            assert_eq!(read.to_field(), field);
        }
    }

    #[test]
    fn what_does_not_parse_says_nothing() {
        for value in [
            "",
            "well",
            "complete;octets=-1",
            "complete;octets=1.0",
            "complete;error=\"x\"",
            "complete, (failed)",
            "\"complete\"",
            "Complete",
            "complete,",
        ] {
            assert_eq!(EndingField::parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn of_several_hops_the_worst_counts() {
        let field =
            EndingField::parse(b"complete;octets=9;new=1, degraded;error=new_kind, complete")
                .expect("it parses");
        assert_eq!(field.members().len(), 3);
        assert_eq!(field.worst().ending, Declared::Degraded);
        assert_eq!((field.worst().error, field.worst().retry), (None, None));
        assert_eq!(field.nearest().ending, Declared::Complete);
    }

    fn any_member() -> impl Strategy<Value = EndingMember> {
        let kinds = proptest::sample::select(Kind::ALL);
        let retries = proptest::sample::select(&Retry::ALL[..]);
        let octets = proptest::option::of(0..=LARGEST);
        let ending = proptest::sample::select(&Declared::ALL[..]);
        (
            ending,
            octets.clone(),
            proptest::option::of(kinds),
            proptest::option::of(retries),
            octets,
        )
            .prop_map(|(ending, octets, error, retry, at)| EndingMember {
                ending,
                octets,
                error,
                retry,
                at,
            })
    }

    proptest! {
        #[test]
        fn every_field_is_read_as_it_was_written(members in proptest::collection::vec(any_member(), 1..4)) {
            let field = EndingField(members);
            prop_assert_eq!(EndingField::parse(field.to_field().as_bytes()), Some(field));
        }

        #[test]
        fn no_octets_break_a_parser(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (EndingField::parse(&value), wants_ending(&value));
        }
    }
}
