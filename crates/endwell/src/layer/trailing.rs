//! Which trailers a response can have, and whether its ending is told there.
//!
//! Reads: what the request asks, what the response announces. Gives: the `Trailer` field, and what
//! the wire needs to know.

use std::collections::BTreeSet;

use endwell_core::fields::wants_ending;
use endwell_core::{Asked, Framing, Policy, Protocol, SaidBy, Signal, TrailerRoom};
use http::header::{CONTENT_LENGTH, TE, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::caches::may_store;
use super::lists::{lists, members};
use crate::trailers::ENDING;
use crate::wire::trailing::Trailing;

/// `Want-Ending`: the client asks to be told the ending.
const WANT_ENDING: HeaderName = HeaderName::from_static("want-ending");

/// What a request says of trailers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wishes {
    te_trailers: bool,
    ending: bool,
}

/// What is known of a response whose trailers are to be announced.
pub(super) struct Announcing<'a> {
    pub(super) protocol: Protocol,
    /// The client looks like a browser.
    pub(super) browser: bool,
    pub(super) policy: &'a Policy,
    pub(super) framing: Framing,
    /// A length was promised.
    pub(super) promised: bool,
    /// It is of a protocol above HTTP that has its own trailers.
    pub(super) untouched: bool,
    pub(super) said_by: SaidBy,
    /// Fields that the author said may follow.
    pub(super) may_trail: &'a [HeaderName],
}

/// What was announced.
#[derive(Debug)]
pub(super) struct Announced {
    pub(super) trailing: Trailing,
    pub(super) asked: Asked,
    /// The promised length is not sent, so that the ending can be told.
    pub(super) keeps_length: bool,
}

impl Wishes {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let want = headers.get(&WANT_ENDING);
        Self {
            te_trailers: lists(headers, &TE, "trailers"),
            ending: want.is_some_and(|value| wants_ending(value.as_bytes())),
        }
    }

    /// Announces trailers in a response's header, where they can follow.
    ///
    /// To a client that asked for the ending a promised length is not sent over HTTP/1.1: there a
    /// message with a length has no trailers (RFC 9112 section 7.1.2).
    pub(super) fn announce(&self, of: &Announcing<'_>, headers: &mut HeaderMap) -> Announced {
        let room = match of.framing {
            Framing::NoBody => TrailerRoom::Never,
            _ if of.browser && !of.protocol.trailers_to_browsers() => TrailerRoom::Never,
            Framing::ContentLength
            | Framing::Chunked
            | Framing::CloseDelimited
            | Framing::EndStream => of.protocol.trailers(self.te_trailers),
        };
        if of.untouched || !of.policy.trailers || room == TrailerRoom::Never {
            let trailing = match (of.untouched, room) {
                (true, TrailerRoom::Always) => Trailing::Untouched,
                (true, TrailerRoom::Chunked) if !of.promised => {
                    Trailing::Announced(announce(&[], Asked::No, headers))
                }
                (true | false, _) => Trailing::Nothing,
            };
            return Announced {
                trailing,
                asked: Asked::No,
                keeps_length: true,
            };
        }
        let asked = self.asked(of, headers);
        let failure_in_trailer = of.policy.signal == Signal::Trailer && asked == Asked::Unstorable;
        let keeps_length =
            asked == Asked::No || (room == TrailerRoom::Always && !failure_in_trailer);
        if !keeps_length {
            headers.remove(CONTENT_LENGTH);
        }
        if room == TrailerRoom::Chunked && of.promised && keeps_length {
            return Announced {
                trailing: Trailing::Nothing,
                asked,
                keeps_length,
            };
        }
        let names = announce(of.may_trail, asked, headers);
        Announced {
            trailing: match room {
                TrailerRoom::Always => Trailing::Any,
                TrailerRoom::Chunked | TrailerRoom::Never => Trailing::Announced(names),
            },
            asked,
            keeps_length,
        }
    }

    /// Whether the ending is to be told: the client asks for it and takes trailers, and somebody
    /// will say it. That a foreign source merely stops is no word.
    fn asked(&self, of: &Announcing<'_>, headers: &HeaderMap) -> Asked {
        let will_be_said = match of.said_by {
            SaidBy::Producer | SaidBy::Server => true,
            SaidBy::Source => lists(headers, &TRAILER, ENDING.as_str()),
        };
        match self.ending && self.te_trailers && will_be_said {
            false => Asked::No,
            true if may_store(headers) => Asked::Storable,
            true => Asked::Unstorable,
        }
    }
}

/// Adds these fields, and `Ending` where it is asked for, to the `Trailer` field; all that it has then.
fn announce(may_trail: &[HeaderName], asked: Asked, headers: &mut HeaderMap) -> Vec<HeaderName> {
    let mut names: Vec<HeaderName> = members(headers, &TRAILER)
        .filter_map(|name| name.parse().ok())
        .collect();
    let before = names.len();
    names.extend(may_trail.iter().cloned());
    if asked != Asked::No {
        names.push(ENDING);
    }
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.as_str().to_owned()));
    if names.len() > before {
        let all: Vec<_> = names.iter().map(HeaderName::as_str).collect();
        if let Ok(value) = HeaderValue::try_from(all.join(", ")) {
            headers.insert(TRAILER, value);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use http::header::CACHE_CONTROL;

    use super::*;

    fn announced(
        framing: Framing,
        te: &str,
        said_by: SaidBy,
        cache: &str,
    ) -> (Announced, HeaderMap) {
        let mut request = HeaderMap::new();
        request.insert(WANT_ENDING, HeaderValue::from_static("?1"));
        request.insert(TE, HeaderValue::try_from(te).expect("a value"));
        let mut headers = HeaderMap::new();
        headers.insert(
            CACHE_CONTROL,
            HeaderValue::try_from(cache).expect("a value"),
        );
        headers.insert(TRAILER, HeaderValue::from_static("X-A, x-b"));
        let promised = framing == Framing::ContentLength;
        if promised {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
        }
        let of = Announcing {
            protocol: match framing {
                Framing::EndStream => Protocol::Http2,
                Framing::ContentLength
                | Framing::Chunked
                | Framing::CloseDelimited
                | Framing::NoBody => Protocol::Http11,
            },
            browser: false,
            policy: &Policy {
                signal: Signal::Trailer,
                ..Policy::default()
            },
            framing,
            promised,
            untouched: false,
            said_by,
            may_trail: &[
                HeaderName::from_static("x-a"),
                HeaderName::from_static("x-c"),
            ],
        };
        let announced = Wishes::of(&request).announce(&of, &mut headers);
        (announced, headers)
    }

    #[test]
    fn what_may_follow_is_announced_once() {
        let (told, headers) = announced(Framing::Chunked, "gzip, trailers", SaidBy::Producer, "");
        assert_eq!(headers[TRAILER], "x-a, x-b, x-c, ending");
        let names = ["x-a", "x-b", "x-c", "ending"].map(HeaderName::from_static);
        assert_eq!(told.trailing, Trailing::Announced(names.to_vec()));
        assert_eq!(told.asked, Asked::Storable);
        let (told, headers) = announced(Framing::EndStream, "", SaidBy::Producer, "no-store");
        assert_eq!(headers[TRAILER], "x-a, x-b, x-c");
        assert_eq!((told.trailing, told.asked), (Trailing::Any, Asked::No));
        let (told, headers) = announced(Framing::Chunked, "", SaidBy::Producer, "no-store");
        assert_eq!(headers[TRAILER], "X-A, x-b");
        assert_eq!((told.trailing, told.asked), (Trailing::Nothing, Asked::No));
    }

    #[test]
    fn a_length_gives_way_where_the_ending_could_not_be_told_beside_it() {
        let (told, headers) = announced(Framing::ContentLength, "trailers", SaidBy::Producer, "");
        assert!(!told.keeps_length && !headers.contains_key(CONTENT_LENGTH));
        let (told, headers) = announced(Framing::ContentLength, "trailers", SaidBy::Source, "");
        assert!(told.keeps_length && headers.contains_key(CONTENT_LENGTH));
        assert_eq!((told.trailing, told.asked), (Trailing::Nothing, Asked::No));
        let (told, _) = announced(Framing::EndStream, "trailers", SaidBy::Producer, "");
        assert!(told.keeps_length && told.asked == Asked::Storable);
        let (told, _) = announced(Framing::EndStream, "trailers", SaidBy::Producer, "no-store");
        assert!(!told.keeps_length && told.asked == Asked::Unstorable);
    }
}
