//! Reads an open file in frames, and computes its digest on the way if one is wanted.
//!
//! Reads: an open file, on tokio's blocking pool. Gives: frames, then the digest of them all, only
//! once it is proven that the file stayed what it was.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use endwell::{Abort, Cause, Producer};
use endwell_core::fields::{Digest, DigestAlgorithm};
use sha2::{Digest as _, Sha256, Sha512};

use super::known::{Key, Known};
use crate::source::blocking::blocking;
use crate::source::file::Opened;
use crate::validators::Validators;

/// Octets of a frame that is sent: a stalled peer costs that much, and the hop to the blocking
/// pool is a small part of the time that hashing them takes.
const FRAME: u64 = 64 * 1024;

/// Octets that are read at once only to be hashed: a client that leaves stops the work after them.
const HASHED_AT_ONCE: u64 = 256 * 1024;

/// A digest that grows.
#[derive(Debug)]
enum Hasher {
    Sha256(Box<Sha256>),
    Sha512(Box<Sha512>),
}

impl Hasher {
    fn new(algorithm: DigestAlgorithm) -> Self {
        match algorithm {
            DigestAlgorithm::Sha256 => Self::Sha256(Box::default()),
            DigestAlgorithm::Sha512 => Self::Sha512(Box::default()),
        }
    }

    fn update(&mut self, octets: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(octets),
            Self::Sha512(hasher) => hasher.update(octets),
        }
    }

    fn finish(self) -> Digest {
        let digest = match self {
            Self::Sha256(hasher) => {
                Digest::new(DigestAlgorithm::Sha256, hasher.finalize().as_slice())
            }
            Self::Sha512(hasher) => {
                Digest::new(DigestAlgorithm::Sha512, hasher.finalize().as_slice())
            }
        };
        digest.expect("a hasher gives as many octets as its algorithm has")
    }
}

/// An open file, read a frame at a time.
#[derive(Debug)]
pub(super) struct Reading {
    opened: Opened,
}

impl Reading {
    pub(super) fn new(opened: Opened) -> Self {
        Self { opened }
    }

    /// Sends a range of the file after `before`, which waits for the first octets of it: so a
    /// failure that comes first can still be a 5xx.
    pub(super) async fn send(
        mut self,
        producer: &mut Producer,
        before: Bytes,
        mut octets: Range<u64>,
    ) -> Result<Self, Abort> {
        let mut before = Some(before);
        while !octets.is_empty() {
            let part = frame(&mut octets, FRAME);
            let read;
            (self, read) = blocking(move || {
                let read = self.opened.read(part.start, length(&part))?;
                Ok((self, read))
            })
            .await?;
            if let Some(before) = before.take() {
                producer.send(before).await?;
            }
            producer.send(read).await?;
        }
        Ok(self)
    }

    /// The last look at the file: an error if it is another one now.
    pub(super) async fn prove(mut self) -> Result<(), Cause> {
        blocking(move || self.opened.prove_the_end()).await
    }
}

/// An open file whose digest is wanted.
#[derive(Debug)]
pub(super) struct Hashing {
    opened: Opened,
    algorithm: DigestAlgorithm,
    key: Option<Key>,
    version: Validators,
    known: Arc<Known>,
}

impl Hashing {
    pub(super) fn new(
        opened: Opened,
        algorithm: DigestAlgorithm,
        version: &Validators,
        known: &Arc<Known>,
    ) -> Self {
        Self {
            key: Key::of(&opened, version),
            opened,
            algorithm,
            version: version.clone(),
            known: Arc::clone(known),
        }
    }

    /// The digest, if it was computed before.
    pub(super) fn known(&self) -> Option<Digest> {
        self.known.get(self.key.as_ref()?, self.algorithm)
    }

    /// Gives the file back.
    pub(super) fn into_opened(self) -> Opened {
        self.opened
    }

    /// All octets of a small file, and their digest. Blocks.
    pub(super) fn at_once(mut self) -> Result<(Bytes, Digest), Cause> {
        let all = 0..self.opened.octets();
        let octets = self.opened.read(0, length(&all))?;
        let mut hasher = Hasher::new(self.algorithm);
        hasher.update(&octets);
        Ok((octets, self.proven(hasher)?))
    }

    /// The digest, once it is this file's turn. Stops when its future is dropped.
    pub(super) async fn digest(mut self) -> Result<Digest, Cause> {
        let known = Arc::clone(&self.known);
        // Nobody closes the semaphore.
        let _turn = known.computing.acquire().await;
        if let Some(digest) = self.known() {
            return Ok(digest);
        }
        let mut hasher = Hasher::new(self.algorithm);
        let mut octets = 0..self.opened.octets();
        while !octets.is_empty() {
            let part = frame(&mut octets, HASHED_AT_ONCE);
            (self, hasher) = blocking(move || {
                hasher.update(&self.opened.read(part.start, length(&part))?);
                Ok((self, hasher))
            })
            .await?;
        }
        blocking(move || self.proven(hasher)).await
    }

    /// Sends the whole file; gives its digest when nothing more can go wrong with it.
    pub(super) async fn send(mut self, producer: &mut Producer) -> Result<Digest, Abort> {
        let mut hasher = Hasher::new(self.algorithm);
        let mut octets = 0..self.opened.octets();
        while !octets.is_empty() {
            let part = frame(&mut octets, FRAME);
            let read;
            (self, hasher, read) = blocking(move || {
                let read = self.opened.read(part.start, length(&part))?;
                hasher.update(&read);
                Ok((self, hasher, read))
            })
            .await?;
            producer.send(read).await?;
        }
        Ok(blocking(move || self.proven(hasher)).await?)
    }

    /// Takes the last look, remembers the digest and gives it. Blocks.
    fn proven(mut self, hasher: Hasher) -> Result<Digest, Cause> {
        self.opened.prove_the_end()?;
        let digest = hasher.finish();
        // A file that may grow, or was renamed meanwhile, has another key by now.
        if let Some(key) = self.key.take()
            && Key::of(&self.opened, &self.version).as_ref() == Some(&key)
        {
            self.known.insert(key, digest.clone());
        }
        Ok(digest)
    }
}

/// Takes up to so many octets from the front.
fn frame(octets: &mut Range<u64>, most: u64) -> Range<u64> {
    let end = octets.end.min(octets.start.saturating_add(most));
    let frame = octets.start..end;
    octets.start = end;
    frame
}

/// The length of a range that was cut to one frame.
fn length(part: &Range<u64>) -> usize {
    usize::try_from(part.end - part.start).unwrap_or(usize::MAX)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::File;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::source::Disk;
    use crate::source::file::Growing;
    use crate::source::place::Place;

    #[test]
    fn digests_are_those_of_the_standard() {
        // FIPS 180-4, examples: the digests of "abc".
        for (algorithm, start, end) in [
            (DigestAlgorithm::Sha256, "ba7816bf", "f20015ad"),
            (DigestAlgorithm::Sha512, "ddaf35a1", "a54ca49f"),
        ] {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(b"a");
            hasher.update(b"bc");
            let hex = hasher.finish().to_hex();
            assert!(hex.starts_with(start) && hex.ends_with(end), "{hex}");
        }
    }

    /// A file of five octets that was last written in 2023.
    fn hashing(folder: &Path) -> Hashing {
        let path = folder.join("file");
        std::fs::write(&path, "12345").expect("a folder to write to");
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let file = File::options().write(true).open(path).expect("a file");
        file.set_modified(then).expect("a time");
        let place = Place::find(folder, Path::new("file")).expect("a place");
        let opened = Opened::open(&place, Growing::Fail, Disk::Any).expect("a file");
        let version = Validators::of(5, opened.modified(), SystemTime::now());
        Hashing::new(opened, DigestAlgorithm::Sha256, &version, &Arc::default())
    }

    #[test]
    fn a_change_after_the_last_read_leaves_no_digest() {
        let folder = tempfile::tempdir().expect("a folder");
        for changed in [false, true] {
            let mut hashing = hashing(folder.path());
            let (known, key) = (Arc::clone(&hashing.known), hashing.key.clone());
            let mut hasher = Hasher::new(hashing.algorithm);
            hasher.update(&hashing.opened.read(0, 5).expect("octets"));
            if changed {
                std::fs::write(folder.path().join("file"), "54321").expect("a change");
            }
            assert_eq!(hashing.proven(hasher).is_err(), changed);
            let known = key.and_then(|key| known.get(&key, DigestAlgorithm::Sha256));
            assert_eq!(known.is_none(), changed);
        }
    }

    #[tokio::test]
    async fn parts_are_proven_at_their_end() {
        let folder = tempfile::tempdir().expect("a folder");
        for changed in [false, true] {
            let reading = Reading::new(hashing(folder.path()).into_opened());
            let (mut producer, _body) = endwell::channel();
            let sent = reading.send(&mut producer, Bytes::new(), 1..1).await;
            let reading = sent.expect("nothing was read");
            if changed {
                std::fs::write(folder.path().join("file"), "54321").expect("a change");
            }
            assert_eq!(reading.prove().await.is_err(), changed);
        }
    }

    #[test]
    fn frames_are_cut_from_the_front() {
        let mut octets = 5..12;
        assert_eq!(frame(&mut octets, 4), 5..9);
        assert_eq!(frame(&mut octets, 4), 9..12);
        assert!(octets.is_empty());
    }
}
