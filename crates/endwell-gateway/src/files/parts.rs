//! Several ranges of a file as one body: `multipart/byteranges`, RFC 9110 section 14.6.
//!
//! Reads: parts that do not touch. Gives: a body with a promised length, complete only if the
//! file stayed what it was.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use bytes::Bytes;
use endwell::Body;
use http::HeaderValue;

use super::reading::Reading;
use crate::source::file::Opened;

/// Parts of a file, and what stands between them.
#[derive(Debug)]
pub(super) struct Multipart {
    parts: Vec<Range<u64>>,
    /// The size of the whole file.
    octets: u64,
    media_type: HeaderValue,
    boundary: String,
}

impl Multipart {
    pub(super) fn new(parts: Vec<Range<u64>>, octets: u64, media_type: HeaderValue) -> Self {
        Self {
            parts,
            octets,
            media_type,
            boundary: boundary(),
        }
    }

    /// The value of `Content-Type`.
    pub(super) fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// The octets of the body, heads of its parts included.
    pub(super) fn length(&self) -> u64 {
        let parts = self.parts.iter().enumerate();
        let parts =
            parts.map(|(at, part)| self.head(at, part).len() as u64 + part.end - part.start);
        parts.sum::<u64>() + self.tail().len() as u64
    }

    /// Makes the body; reads nothing yet.
    pub(super) fn body(self, opened: Opened) -> Body {
        let length = self.length();
        let body = endwell::stream(move |mut producer| async move {
            let mut reading = Reading::new(opened);
            for (at, part) in self.parts.iter().enumerate() {
                let head = self.head(at, part);
                reading = reading.send(&mut producer, head, part.clone()).await?;
            }
            producer.send(self.tail()).await?;
            // The wire still holds the octet that fulfils the promise.
            reading.prove().await?;
            Ok(producer.finish())
        });
        body.promise(length)
    }

    fn head(&self, at: usize, part: &Range<u64>) -> Bytes {
        let lines_before = if at == 0 { "" } else { "\r\n" };
        let mut head = format!("{lines_before}--{}\r\nContent-Type: ", self.boundary).into_bytes();
        head.extend_from_slice(self.media_type.as_bytes());
        let (first, last) = (part.start, part.end - 1);
        let range = format!(
            "\r\nContent-Range: bytes {first}-{last}/{}\r\n\r\n",
            self.octets
        );
        head.extend_from_slice(range.as_bytes());
        head.into()
    }

    fn tail(&self) -> Bytes {
        format!("\r\n--{}--\r\n", self.boundary).into()
    }
}

/// 128 bits that nobody who wrote the file could know: the keys of a [`RandomState`] come from
/// the operating system, and its hash does not tell them.
fn boundary() -> String {
    let random = RandomState::new();
    format!(
        "{:016x}{:016x}",
        random.hash_one(0_u8),
        random.hash_one(1_u8)
    )
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use http_body_util::BodyExt;

    use super::*;
    use crate::source::Disk;
    use crate::source::file::Growing;
    use crate::source::place::Place;

    #[test]
    fn parts_are_written_as_the_rfc_shows() {
        let text = HeaderValue::from_static("text/plain");
        let mut parts = Multipart::new(vec![0..5, 90..100], 100, text);
        parts.boundary = "B".to_owned();
        assert_eq!(parts.content_type(), "multipart/byteranges; boundary=B");
        assert_eq!(
            parts.head(0, &(0..5)),
            "--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-4/100\r\n\r\n"
        );
        assert_eq!(
            parts.head(1, &(90..100)),
            "\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 90-99/100\r\n\r\n"
        );
        assert_eq!(parts.tail(), "\r\n--B--\r\n");
        assert_eq!(parts.length(), 63 + 5 + 67 + 10 + 9);
    }

    #[tokio::test]
    async fn a_change_after_the_last_part_was_read_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        for changed in [false, true] {
            std::fs::write(&path, [b'x'; 2000]).expect("a folder to write to");
            let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
            let file = File::options().write(true).open(&path).expect("a file");
            file.set_modified(then).expect("a time");
            let place = Place::find(folder.path(), Path::new("file")).expect("a place");
            let opened = Opened::open(&place, Growing::Fail, Disk::Any).expect("a file");
            let text = HeaderValue::from_static("text/plain");
            let parts = Multipart::new(vec![0..5, 1000..1010], 2000, text);
            let (length, tail) = (parts.length(), parts.tail());
            let mut body = parts.body(opened);
            let (mut octets, mut failed) = (0, false);
            while let Some(frame) = body.frame().await {
                match frame.map(|frame| frame.into_data().expect("no trailers")) {
                    Ok(frame) => octets += frame.len() as u64,
                    Err(_) => failed = true,
                }
                // Both parts are read, and the tail waits for room.
                if changed && octets == length - tail.len() as u64 {
                    std::fs::write(&path, [b'y'; 2000]).expect("a change");
                }
            }
            assert_eq!((octets, failed), (length, changed));
        }
    }

    #[test]
    fn no_two_boundaries_are_alike() {
        let (one, other) = (boundary(), boundary());
        assert!(one != other && one.len() == 32);
    }
}
