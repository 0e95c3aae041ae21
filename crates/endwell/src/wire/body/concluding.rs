//! How a body comes to its end: what it promised, who says it, what may still go.
//!
//! Reads: octets and the ending of the application. Gives: the octets that may go before the end is proven, and the wire
//! ending that [`plan`] decides.

use bytes::Bytes;
use endwell_core::{Asked, Cause, Ending, Framing, Kind, SaidBy, WireEnding, plan};
use http::HeaderMap;
use http_body::Body as HttpBody;

use super::{Step, WireBody};
use crate::producer::BoxError;
use crate::wire::trailing::SourceSays;

impl<B> WireBody<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    /// Counts octets of the application and decides how many may go before the end is proven.
    pub(super) fn take(&mut self, octets: Bytes) -> Option<Bytes> {
        if octets.is_empty() {
            return None;
        }
        let proven = self.last_word.is_none() && self.intake.is_over();
        let before = self.tally;
        self.tally.produced += octets.len() as u64;
        let Some(promised) = self.tally.promised else {
            if proven {
                self.complete();
            }
            return Some(octets);
        };
        if self.held.is_some() || self.tally.produced > promised {
            let message = format!("more octets than the {promised} promised");
            let end = match self.keeps_length {
                true => before.unproven(octets.len()),
                false => octets.len().min((promised - before.produced) as usize),
            };
            self.end(
                Ending::Failed(Cause::new(Kind::LengthExceeded, message)),
                SaidBy::Server,
            );
            return Some(octets.slice(..end)).filter(|octets| !octets.is_empty());
        }
        if self.tally.produced < promised {
            return Some(octets);
        }
        if proven {
            self.complete();
            return Some(octets);
        }
        self.held = Some(octets);
        None
    }

    /// The body is whole and has no trailers of its own.
    pub(super) fn complete(&mut self) {
        self.end(Ending::Complete, self.who_completes());
    }

    /// The body has ended with a trailer section, which says "complete" by its position unless it
    /// says otherwise.
    pub(super) fn trailers(&mut self, fields: HeaderMap) {
        let said_by = self.who_completes();
        let (ending, said) = match self.trailing.source_says(&fields, self.tally.produced) {
            SourceSays::Nothing => (Ending::Complete, said_by != SaidBy::Source),
            SourceSays::Complete => (Ending::Complete, true),
            SourceSays::Otherwise(ending) => (ending, true),
            SourceSays::GrpcFailed(cause) => {
                self.exchange.say(Ending::Failed(cause), said_by);
                (Ending::Complete, false)
            }
        };
        self.conclude(ending, said_by, said, Some(fields));
    }

    /// Who says that the body is whole.
    ///
    /// One that others made of a producer's body may stop before the producer has finished: an
    /// error that they swallow, a part that they take. That end nobody said.
    fn who_completes(&self) -> SaidBy {
        let taken = self.situation.framing != Framing::NoBody
            && matches!(&self.producer, Some(producer) if !producer.slot().is_whole());
        match taken {
            true => SaidBy::Source,
            false => self.intake.said_by(),
        }
    }

    /// The body has ended.
    pub(super) fn end(&mut self, ending: Ending, said_by: SaidBy) {
        let said = said_by != SaidBy::Source || !ending.is_complete();
        self.conclude(ending, said_by, said, None);
    }

    /// The body has ended: what of the held frame may go, and what comes then.
    ///
    /// Shapes: `said`, whether anybody said it; `fields`, the trailer section of the body.
    fn conclude(&mut self, ending: Ending, said_by: SaidBy, said: bool, fields: Option<HeaderMap>) {
        let ending = self.kept_promise(ending);
        let mut situation = self.situation;
        if !said {
            // A source that stops has said nothing that could be told in its name.
            situation.asked = Asked::No;
        }
        let held = self.held.take();
        let wire = plan(&ending, &situation);
        if matches!(wire, WireEnding::EndMark | WireEnding::Declared) {
            self.rest = held.unwrap_or_default();
            let fields = match (&ending, &self.producer) {
                (Ending::Degraded(_), Some(producer)) => {
                    fields.or_else(|| producer.slot().take_trailers())
                }
                _ => fields,
            };
            self.trail(&ending, wire, fields);
            self.exchange.say_and_plan(ending, said_by, wire);
            self.intake.close();
            if self.situation.framing == Framing::CloseDelimited
                && let Some(conn) = self.conn()
            {
                conn.close_delimited_whole();
            }
            self.step = Step::Over;
            return;
        }
        self.exchange.say_and_plan(ending, said_by, wire);
        self.intake.close();
        if let Some(mut held) = held {
            // The octet that would fulfil the promise.
            held.truncate(held.len() - usize::from(self.keeps_length));
            self.rest = held;
        }
        self.step = Step::Breaking(wire, None);
    }

    /// The ending, or that of a body that is shorter than it promised.
    fn kept_promise(&self, ending: Ending) -> Ending {
        let produced = self.tally.produced;
        match (ending, self.tally.promised) {
            (Ending::Complete | Ending::Degraded(_), Some(promised))
                if produced < promised && self.situation.framing != Framing::NoBody =>
            {
                let message = format!("the body ended at octet {produced} of {promised} promised");
                Ending::Failed(Cause::new(Kind::LengthShort, message))
            }
            (ending, _) => ending,
        }
    }

    /// Makes the trailer section.
    fn trail(&mut self, ending: &Ending, wire: WireEnding, fields: Option<HeaderMap>) {
        // What was produced beyond a promise is not sent.
        let octets = self
            .tally
            .produced
            .min(self.tally.promised.unwrap_or(u64::MAX));
        let declared = (wire == WireEnding::Declared).then_some((ending, octets));
        if fields.is_none() && declared.is_none() {
            return;
        }
        let section = self.trailing.section(fields, declared);
        let sent = section.fields.keys().map(ToString::to_string).collect();
        self.exchange.trailers(sent, section.dropped);
        self.section = Some(Box::new(section.fields)).filter(|fields| !fields.is_empty());
    }
}
