//! What a receiver may conclude from what it saw.

use crate::{Evidence, Framing, Seen};

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
/// use endwell_core::{verdict, Evidence, Framing, Protocol, Seen, Verdict};
/// let cut = Evidence {
///     protocol: Protocol::Http10, framing: Framing::CloseDelimited, tls: false,
///     promised: None, received: 40, seen: Seen::Fin,
/// };
/// assert_eq!(verdict(&cut), Verdict::Undetermined);
/// ```
pub fn verdict(evidence: &Evidence) -> Verdict {
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

    #[test]
    fn only_an_end_mark_or_a_closure_alert_makes_a_body_complete() {
        for protocol in Protocol::ALL {
            for framing in Framing::ALL.into_iter().filter(|f| f.exists_in(protocol)) {
                for tls in [false, true] {
                    for seen in SEEN {
                        let evidence = Evidence {
                            protocol,
                            framing,
                            tls,
                            promised: None,
                            received: 9,
                            seen,
                        };
                        let complete = verdict(&evidence) == Verdict::Complete;
                        let allowed = seen == Seen::EndMark
                            || (framing == Framing::CloseDelimited && seen == Seen::CloseNotify)
                            || (framing == Framing::NoBody
                                && !matches!(seen, Seen::Left | Seen::Malformed));
                        assert_eq!(complete, allowed, "{evidence:?}");
                    }
                }
            }
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
        };
        assert_eq!(verdict(&evidence), Verdict::Malformed);
    }
}
