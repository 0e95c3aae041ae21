//! The trailer section of one response: what can be in it, and what it says of the ending.
//!
//! Reads: the fields that the application's body gave, and the ending. Gives: the fields to send,
//! and the names of those that cannot be. Never: decides whether the ending is told there; that
//! [`plan`](endwell_core::plan) did.

use endwell_core::fields::{Declared, EndingField, EndingMember, may_be_trailer};
use endwell_core::{Cause, Ending, Kind, Party};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::trailers::ENDING;

/// What can be in the trailer section of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trailing {
    /// There is none.
    Nothing,
    /// These fields, which were announced (HTTP/1.1).
    Announced(Vec<HeaderName>),
    /// Every field that may be a trailer.
    Any,
    /// Every field, of a protocol above HTTP that has its own rules: gRPC.
    Untouched,
}

/// A trailer section, and the names of what it leaves out.
#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) fields: HeaderMap,
    pub(crate) dropped: Vec<String>,
}

impl Trailing {
    /// Sorts fields into those that are sent and those that cannot be.
    ///
    /// Shapes: `declared`, how it ended and after how many octets, if the section is to say it.
    pub(crate) fn section(
        &self,
        fields: Option<HeaderMap>,
        declared: Option<(&Ending, u64)>,
    ) -> Section {
        let mut section = Section {
            fields: fields.unwrap_or_default(),
            dropped: Vec::new(),
        };
        let names: Vec<_> = section.fields.keys().cloned().collect();
        for name in names.into_iter().filter(|name| !self.has_room_for(name)) {
            section.fields.remove(&name);
            section.dropped.push(name.to_string());
        }
        if let Some((ending, octets)) = declared {
            let said = EndingField::new(EndingMember::of(ending, octets)).to_field();
            let said = HeaderValue::try_from(said).expect("it is printable ASCII");
            section.fields.append(ENDING, said);
        }
        section
    }

    fn has_room_for(&self, name: &HeaderName) -> bool {
        match self {
            Self::Nothing => false,
            Self::Announced(names) => names.contains(name) && may_be_trailer(name.as_str()),
            Self::Any => may_be_trailer(name.as_str()),
            Self::Untouched => true,
        }
    }

    /// What a source's own trailer section says of its end.
    pub(crate) fn source_says(&self, fields: &HeaderMap, octets: u64) -> SourceSays {
        let grpc = fields
            .get(GRPC_STATUS)
            .filter(|status| status.as_bytes() != b"0");
        if let Some(status) = grpc {
            let message = format!("grpc-status {status:?}");
            return SourceSays::GrpcFailed(Cause::new(Kind::GrpcStatus, message));
        }
        let lines: Vec<_> = fields
            .get_all(ENDING)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        let Some(field) = EndingField::parse(&lines.join(&b", "[..])) else {
            return SourceSays::Nothing;
        };
        let worst = field.worst();
        let cause = || {
            let kind = worst.error.unwrap_or(Kind::ResponseIncomplete);
            let message = format!("the source says {}", worst.ending.as_str());
            let cause = Cause::new(kind, message).by(Party::Upstream);
            let retry = worst.retry.unwrap_or(cause.retry);
            cause.with_retry(retry)
        };
        match worst.ending {
            Declared::Degraded => SourceSays::Otherwise(Ending::Degraded(cause())),
            Declared::Failed | Declared::Cancelled => {
                SourceSays::Otherwise(Ending::Failed(cause()))
            }
            // Of other content than this it says nothing.
            Declared::Complete if field.nearest().octets.is_none_or(|it| it == octets) => {
                SourceSays::Complete
            }
            Declared::Complete => SourceSays::Nothing,
        }
    }
}

/// What a source says of its own end, in its trailer section.
pub(crate) enum SourceSays {
    /// Nothing: that it stopped is all there is to know.
    Nothing,
    /// That it is complete.
    Complete,
    /// That it is not.
    Otherwise(Ending),
    /// The call failed; the message is whole, and passes.
    GrpcFailed(Cause),
}

const GRPC_STATUS: &str = "grpc-status";

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(names: &[&'static str]) -> Option<HeaderMap> {
        let value = HeaderValue::from_static("v");
        let field = |name: &&'static str| (HeaderName::from_static(name), value.clone());
        Some(names.iter().map(field).collect())
    }

    fn sent(trailing: &Trailing, names: &[&'static str]) -> (Vec<String>, Vec<String>) {
        let section = trailing.section(fields(names), None);
        let sent = section.fields.keys().map(ToString::to_string).collect();
        (sent, section.dropped)
    }

    #[test]
    fn what_cannot_be_sent_is_named() {
        let names = ["x-a", "x-b", "retry-after"];
        let [a, b, never] = names.map(str::to_owned);
        let announced = ["x-a", "retry-after"].map(HeaderName::from_static).to_vec();
        for (trailing, kept, dropped) in [
            (
                Trailing::Nothing,
                vec![],
                vec![a.clone(), b.clone(), never.clone()],
            ),
            (
                Trailing::Announced(announced),
                vec![a.clone()],
                vec![b.clone(), never.clone()],
            ),
            (
                Trailing::Any,
                vec![a.clone(), b.clone()],
                vec![never.clone()],
            ),
            (Trailing::Untouched, vec![a, b, never], vec![]),
        ] {
            assert_eq!(sent(&trailing, &names), (kept, dropped), "{trailing:?}");
        }
    }

    #[test]
    fn a_hop_adds_its_word_to_that_of_its_source() {
        let said = HeaderValue::from_static("complete;octets=3");
        let source: HeaderMap = [(ENDING, said)].into_iter().collect();
        assert!(matches!(
            Trailing::Any.source_says(&source, 3),
            SourceSays::Complete
        ));
        assert!(matches!(
            Trailing::Any.source_says(&source, 4),
            SourceSays::Nothing
        ));
        let section = Trailing::Any.section(Some(source), Some((&Ending::Complete, 3)));
        assert_eq!(section.fields.get_all(ENDING).iter().count(), 2);
    }

    #[test]
    fn a_source_that_says_failed_has_failed() {
        let said = HeaderValue::from_static("failed;error=source_changed;retry=never, complete");
        let source: HeaderMap = [(ENDING, said)].into_iter().collect();
        let SourceSays::Otherwise(Ending::Failed(cause)) = Trailing::Any.source_says(&source, 0)
        else {
            panic!("it says failed");
        };
        assert_eq!(
            (cause.kind, cause.party),
            (Kind::SourceChanged, Party::Upstream)
        );
        assert_eq!(cause.retry, endwell_core::Retry::Never);
    }
}
