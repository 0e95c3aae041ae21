//! A source that is written against the trait alone.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use endwell::Cause;
use endwell_gateway::Validators;
use endwell_gateway::source::{About, Beginning, Content, Length, Opening, Refusal, Source};
use http::HeaderValue;

#[derive(Debug, Clone)]
pub enum Kind {
    Whole(Vec<u8>),
    Early,
    /// A promise that is broken after these octets.
    Late(Vec<u8>),
    Large(usize),
}

#[derive(Debug, Clone)]
pub struct Rows {
    kind: Kind,
    held: Arc<AtomicUsize>,
    begun: Arc<AtomicUsize>,
}

/// One body that is under way.
struct Held(Arc<AtomicUsize>);

impl Held {
    fn new(held: &Arc<AtomicUsize>) -> Self {
        held.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(held))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Rows {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            held: Arc::default(),
            begun: Arc::default(),
        }
    }

    pub fn are_held(&self) -> bool {
        self.held.load(Ordering::SeqCst) > 0
    }

    pub fn were_begun(&self) -> bool {
        self.begun.load(Ordering::SeqCst) > 0
    }

    fn length(&self) -> Length {
        match &self.kind {
            Kind::Whole(octets) => Length::Ranges(octets.len() as u64),
            Kind::Early => Length::Unknown,
            Kind::Late(octets) => Length::Promised(octets.len() as u64 + 1000),
            Kind::Large(octets) => Length::Promised(*octets as u64),
        }
    }
}

impl Source for Rows {
    fn open(&self) -> Opening<'_> {
        Box::pin(async {
            if let Kind::Early = self.kind {
                return Err(Refusal::Forbidden);
            }
            let mut about = About::new(HeaderValue::from_static("a/b"), self.length());
            let then = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
            let version = Validators::new("one", true, Some(then), SystemTime::now());
            about.version = Some(version);
            let rows = self.clone();
            Ok(Box::new(Opened { about, rows }) as Box<dyn Content>)
        })
    }
}

struct Opened {
    about: About,
    rows: Rows,
}

impl Content for Opened {
    fn about(&self) -> &About {
        &self.about
    }

    fn begin(self: Box<Self>, part: Option<Range<u64>>) -> Beginning {
        let Self { about, rows } = *self;
        let promised = about.length.promised().expect("a length");
        let length = part.as_ref().map_or(promised, |part| part.end - part.start);
        let body = endwell::stream(move |mut producer| async move {
            let _held = Held::new(&rows.held);
            rows.begun.fetch_add(1, Ordering::SeqCst);
            match rows.kind {
                Kind::Whole(octets) => {
                    let part = part.unwrap_or(0..promised);
                    let part = &octets[part.start as usize..part.end as usize];
                    for frame in part.chunks(10_000) {
                        producer.send(frame.to_vec()).await?;
                    }
                    Ok(producer.finish())
                }
                Kind::Late(octets) => {
                    for frame in octets.chunks(10_000) {
                        producer.send(frame.to_vec()).await?;
                    }
                    Ok(producer.fail(Cause::producer("the rows have gone away")))
                }
                Kind::Early | Kind::Large(_) => {
                    for _ in 0..promised / 4096 {
                        producer.send(vec![b'x'; 4096]).await?;
                    }
                    Ok(producer.finish())
                }
            }
        });
        let body = body.promise(length);
        Box::pin(async { Ok(body) })
    }
}
