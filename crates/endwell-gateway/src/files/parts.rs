//! Several ranges of a file as one body.
//!
//! Reads: parts, and an open file. Gives: a body with a promised length, complete only if the file
//! stayed what it was.

use endwell::Body;

use super::reading::Reading;
use crate::multipart::Multipart;
use crate::source::file::Opened;

/// Makes the body; reads nothing yet.
pub(super) fn body(parts: Multipart, opened: Opened) -> Body {
    let length = parts.length();
    let body = endwell::stream(move |mut producer| async move {
        let mut reading = Reading::new(opened);
        for (at, part) in parts.parts().iter().enumerate() {
            let head = parts.head(at, part);
            reading = reading.send(&mut producer, head, part.clone()).await?;
        }
        producer.send(parts.tail()).await?;
        // The wire still holds the octet that fulfils the promise.
        reading.prove().await?;
        Ok(producer.finish())
    });
    body.promise(length)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use http::HeaderValue;
    use http_body_util::BodyExt;

    use super::*;
    use crate::source::Disk;
    use crate::source::file::Growing;
    use crate::source::place::Place;

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
            let mut body = body(parts, opened);
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
}
