//! What a receiver may conclude from what it saw.

use crate::{Confirmation, Evidence, Framing, Seen};

/// The conclusion of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The message is whole.
    Complete,
    /// The framing says that it is not all there.
    Incomplete,
    /// It breaks the protocol (RFC 9113 section 8.1.1).
    Malformed,
    /// It is whole, and its sender declared that something is wrong.
    Declared,
    /// It ended with nothing that tells complete from cut.
    Undetermined,
    /// The receiver stopped it.
    Cancelled,
}

/// Concludes from evidence, never upgrading "cannot know" to "complete".
///
/// # Examples
/// ```
/// use endwell_core::{verdict, Confirmation, Evidence, Framing, Protocol, Seen, Verdict};
/// let cut = Evidence {
///     protocol: Protocol::Http10, framing: Framing::CloseDelimited, tls: false,
///     promised: None, received: 40, seen: Seen::Fin, confirmation: Confirmation::NotAsked,
/// };
/// assert_eq!(verdict(&cut), Verdict::Undetermined);
/// ```
pub fn verdict(evidence: &Evidence) -> Verdict {
    let framing_says = by_framing(evidence);
    // Without a body there is nothing to confirm, and no trailer section.
    if framing_says != Verdict::Complete || evidence.framing == Framing::NoBody {
        return framing_says;
    }
    match evidence.confirmation {
        Confirmation::NotAsked | Confirmation::Complete(None) => Verdict::Complete,
        // Who asked to be told and is not told knows nothing that the framing could not be wrong
        // about: a hop that lost the trailer may have mended the framing, too.
        Confirmation::NotOffered | Confirmation::Missing => Verdict::Undetermined,
        // Somebody on the way made other content of it.
        Confirmation::Complete(Some(octets)) if octets != evidence.received => {
            Verdict::Undetermined
        }
        Confirmation::Complete(Some(_)) => Verdict::Complete,
        Confirmation::Declared => Verdict::Declared,
    }
}

/// What the end of the message itself says.
fn by_framing(evidence: &Evidence) -> Verdict {
    match evidence.seen {
        Seen::Left => return Verdict::Cancelled,
        Seen::Malformed => return Verdict::Malformed,
        Seen::EndMark => {
            return match evidence.promised {
                // RFC 9113 section 8.1.1: a sum of DATA unequal to content-length is malformed.
                Some(promised)
                    if evidence.framing != Framing::NoBody && promised != evidence.received =>
                {
                    Verdict::Malformed
                }
                _ => Verdict::Complete,
            };
        }
        Seen::Fin
        | Seen::CloseNotify
        | Seen::ConnectionReset
        | Seen::StreamReset(_)
        | Seen::TimedOut => {}
    }
    match evidence.framing {
        Framing::NoBody => Verdict::Complete,
        Framing::ContentLength | Framing::Chunked | Framing::EndStream => Verdict::Incomplete,
        Framing::CloseDelimited => match evidence.seen {
            // RFC 9112 section 9.8: a closure alert completes a close-delimited body.
            Seen::CloseNotify => Verdict::Complete,
            Seen::Fin if evidence.tls => Verdict::Incomplete,
            Seen::Fin => Verdict::Undetermined,
            Seen::EndMark
            | Seen::ConnectionReset
            | Seen::StreamReset(_)
            | Seen::Malformed
            | Seen::TimedOut
            | Seen::Left => Verdict::Incomplete,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;

    const SEEN: [Seen; 8] = [
        Seen::EndMark,
        Seen::Fin,
        Seen::CloseNotify,
        Seen::ConnectionReset,
        Seen::StreamReset(2),
        Seen::Malformed,
        Seen::TimedOut,
        Seen::Left,
    ];

    const CONFIRMATIONS: [Confirmation; 6] = [
        Confirmation::NotAsked,
        Confirmation::NotOffered,
        Confirmation::Missing,
        Confirmation::Complete(None),
        Confirmation::Complete(Some(9)),
        Confirmation::Complete(Some(8)),
    ];

    /// Every piece of evidence of nine octets that can exist without a promise.
    fn evidence() -> impl Iterator<Item = Evidence> {
        let framings = Protocol::ALL.into_iter().flat_map(|protocol| {
            let framings = Framing::ALL.into_iter();
            framings
                .filter(move |f| f.exists_in(protocol))
                .map(move |f| (protocol, f))
        });
        framings.flat_map(|(protocol, framing)| {
            let all = SEEN.into_iter().flat_map(move |seen| {
                let told = CONFIRMATIONS.into_iter().chain([Confirmation::Declared]);
                told.flat_map(move |confirmation| {
                    [(seen, confirmation, false), (seen, confirmation, true)]
                })
            });
            all.map(move |(seen, confirmation, tls)| Evidence {
                protocol,
                framing,
                tls,
                promised: None,
                received: 9,
                seen,
                confirmation,
            })
        })
    }

    #[test]
    fn only_an_end_mark_or_a_closure_alert_makes_a_body_complete() {
        for evidence in evidence() {
            let Evidence { framing, seen, .. } = evidence;
            let by_framing = seen == Seen::EndMark
                || (framing == Framing::CloseDelimited && seen == Seen::CloseNotify)
                || (framing == Framing::NoBody && !matches!(seen, Seen::Left | Seen::Malformed));
            let told = matches!(
                evidence.confirmation,
                Confirmation::NotAsked | Confirmation::Complete(None | Some(9))
            );
            let allowed = by_framing && (told || framing == Framing::NoBody);
            let complete = verdict(&evidence) == Verdict::Complete;
            assert_eq!(complete, allowed, "{evidence:?}");
        }
    }

    #[test]
    fn who_asked_and_was_not_told_does_not_know() {
        for evidence in evidence().filter(|it| it.seen == Seen::EndMark) {
            let expected = match (evidence.framing, evidence.confirmation) {
                (Framing::NoBody, _) => Verdict::Complete,
                (_, Confirmation::Declared) => Verdict::Declared,
                (_, Confirmation::NotOffered | Confirmation::Missing) => Verdict::Undetermined,
                (_, Confirmation::Complete(Some(8))) => Verdict::Undetermined,
                (_, Confirmation::NotAsked | Confirmation::Complete(_)) => Verdict::Complete,
            };
            assert_eq!(verdict(&evidence), expected, "{evidence:?}");
        }
    }

    #[test]
    fn a_reset_without_error_code_is_still_incomplete() {
        let evidence = Evidence {
            protocol: Protocol::Http2,
            framing: Framing::EndStream,
            tls: true,
            promised: None,
            received: 9,
            seen: Seen::StreamReset(0),
            confirmation: Confirmation::Complete(Some(9)),
        };
        assert_eq!(verdict(&evidence), Verdict::Incomplete);
    }

    #[test]
    fn an_end_mark_below_the_promise_is_malformed() {
        let evidence = Evidence {
            protocol: Protocol::Http2,
            framing: Framing::EndStream,
            tls: false,
            promised: Some(10),
            received: 9,
            seen: Seen::EndMark,
            confirmation: Confirmation::NotAsked,
        };
        assert_eq!(verdict(&evidence), Verdict::Malformed);
    }
}
