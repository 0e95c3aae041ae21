//! Sends an archive.
//!
//! Reads: a [`Packer`], on tokio's blocking pool; what is in the middle of a large file, and in the
//! page cache, at once. Gives: a body that ends as its archive does. While a frame is sent the next
//! one is packed.

use bytes::Bytes;
use endwell::{Abort, Body, Cause, Finished, Producer};

use super::encode::{Coding, Encoder};
use super::format::Format;
use super::pack::{Filled, Packer, Then};
use crate::source::blocking::blocking;

/// So much is packed at once for a frame of what it is compressed to: a client that leaves stops
/// the work after it.
const AT_ONCE: usize = 4 * 1024 * 1024;
/// A compressed frame has at least so many octets, if there are so many.
const LEAST: usize = 16 * 1024;

/// The body of an archive, or of a part of it.
pub(super) fn body<F: Format>(packer: Packer<F>) -> Body {
    endwell::stream(move |producer| send(producer, packer))
}

/// The body of a compressed archive.
pub(super) fn compressed<F: Format>(packer: Packer<F>, coding: Coding) -> Body {
    endwell::stream(move |producer| send_compressed(producer, packer, coding))
}

async fn send<F: Format>(mut producer: Producer, packer: Packer<F>) -> Result<Finished, Abort> {
    let mut sent = false;
    let ended = pass(&mut producer, packer, Bytes::new(), &mut sent).await?;
    Ok(say(producer, ended))
}

/// How an archive ended.
#[derive(Debug)]
pub(super) enum Ended {
    Complete,
    Degraded(Cause),
    Failed(Cause),
}

/// Says how an archive ended.
pub(super) fn say(mut producer: Producer, ended: Ended) -> Finished {
    match ended {
        Ended::Complete => producer.finish(),
        Ended::Degraded(cause) => {
            producer.degrade(cause);
            producer.finish()
        }
        Ended::Failed(cause) => producer.fail(cause),
    }
}

/// Passes on what a packer packs, after `before`. `sent` tells whether anything was sent, here or before: until
/// then a failure sends nothing, so that the response can be a real error.
pub(super) async fn pass<F: Format>(
    producer: &mut Producer,
    mut packer: Packer<F>,
    before: Bytes,
    sent: &mut bool,
) -> Result<Ended, Abort> {
    let mut before = Some(before).filter(|before| !before.is_empty());
    loop {
        let most = producer.frame_size();
        let filled = match packer.fill_cached(most) {
            Some(filled) => filled,
            None => {
                let work = blocking(move || {
                    let filled = packer.fill(most);
                    Ok((packer, filled))
                });
                let filled;
                (packer, filled) = work.await?;
                filled
            }
        };
        let is_failed = matches!(filled.then, Then::Failed(_));
        if let Some(before) = before.take_if(|_| !is_failed) {
            *sent = true;
            producer.send(before).await?;
        }
        if let Some(ended) = pass_on(producer, filled, sent).await? {
            return Ok(ended);
        }
    }
}

async fn pass_on(
    producer: &mut Producer,
    filled: Filled,
    sent: &mut bool,
) -> Result<Option<Ended>, Abort> {
    let Filled { octets, then } = filled;
    let ended = match then {
        Then::More => None,
        Then::End(None) => Some(Ended::Complete),
        Then::End(Some(cause)) => Some(Ended::Degraded(cause)),
        Then::Failed(cause) if !*sent => return Ok(Some(Ended::Failed(cause))),
        Then::Failed(cause) => Some(Ended::Failed(cause)),
    };
    if !octets.is_empty() {
        *sent = true;
        producer.send(octets).await?;
    }
    Ok(ended)
}

async fn send_compressed<F: Format>(
    mut producer: Producer,
    packer: Packer<F>,
    coding: Coding,
) -> Result<Finished, Abort> {
    let mut work = Work {
        packer,
        encoder: Some(Encoder::new(coding)?),
    };
    let mut sent = false;
    loop {
        let most = producer.frame_size().max(LEAST);
        let filled;
        (work, filled) = blocking(move || {
            let filled = work.fill(most)?;
            Ok((work, filled))
        })
        .await?;
        if let Some(ended) = pass_on(&mut producer, filled, &mut sent).await? {
            return Ok(say(producer, ended));
        }
    }
}

/// A packer and what compresses its octets.
struct Work<F> {
    packer: Packer<F>,
    /// Gone when it has said its end.
    encoder: Option<Encoder>,
}

impl<F: Format> Work<F> {
    /// Packs and compresses until there are so many octets. Blocks.
    fn fill(&mut self, most: usize) -> Result<Filled, Cause> {
        let mut octets = Vec::with_capacity(most + LEAST);
        let mut packed = 0;
        let mut then = Then::More;
        while let Some(encoder) = &mut self.encoder
            && octets.len() < most
            && packed < AT_ONCE
        {
            let filled = self.packer.fill(most);
            packed += filled.octets.len();
            encoder.encode(&filled.octets, &mut octets)?;
            match &filled.then {
                Then::More => {}
                Then::End(_) => {
                    if let Some(encoder) = self.encoder.take() {
                        encoder.finish(&mut octets)?;
                    }
                }
                // All that was packed arrives, and no end mark.
                Then::Failed(_) => {
                    encoder.flush(&mut octets)?;
                    self.encoder = None;
                }
            }
            then = filled.then;
        }
        Ok(Filled {
            octets: Bytes::from(octets),
            then,
        })
    }
}
