//! Multipart bodies, read with a parser that others wrote.

use futures_util::FutureExt;
use proptest::prelude::*;

use super::*;

const BOUNDARY: &str = "end of a part";

/// The parts of a body as (type, content), and whether the parser found its end.
fn read(octets: &[u8]) -> (Vec<(String, Vec<u8>)>, bool) {
    let stream = futures_util::stream::iter([Ok::<_, std::io::Error>(octets.to_vec())]);
    let mut multipart = multer::Multipart::new(stream, BOUNDARY);
    let mut parts = Vec::new();
    let read = async {
        while let Some(field) = multipart.next_field().await? {
            let kind = field.headers().get("content-type").cloned();
            let kind = kind.map_or(String::new(), |kind| kind.to_str().unwrap_or("").to_owned());
            parts.push((kind, field.bytes().await?.to_vec()));
        }
        Ok::<_, multer::Error>(())
    };
    let end = read.now_or_never().expect("it is all there");
    (parts, end.is_ok())
}

fn tail() -> Tail {
    Tail::multipart(BOUNDARY).expect("a good boundary")
}

fn part(content: &str) -> String {
    format!("Content-Type: text/x-own\r\n\r\n{content}\r\n--{BOUNDARY}\r\n")
}

proptest! {
    #[test]
    fn only_behind_a_delimiter_a_part_is_added(
        contents in proptest::collection::vec("[a-z\r\n-]{0,12}", 0..4),
        share: u16, ends in proptest::collection::vec(0..300_usize, 0..4),
    ) {
        let mut body = format!("--{BOUNDARY}\r\n");
        let mut starts = vec![0, body.len()];
        for content in &contents {
            body.push_str(&part(content));
            starts.push(body.len());
        }
        // Mostly where a part begins, sometimes anywhere.
        let cut = match share % 4 {
            0 => cut_at(share, 0..body.len()),
            _ => starts[usize::from(share) % starts.len()],
        };
        let Some(tail) = tail_of(tail(), &body.as_bytes()[..cut], &ends) else {
            prop_assert!(!starts.contains(&cut), "cut at {cut}");
            return Ok(());
        };
        let (mut parts, whole) = read(&[&body.as_bytes()[..cut], &tail].concat());
        prop_assert!(!whole, "the close delimiter is missing");
        let problem = ("application/problem+json".to_owned(), PROBLEM.as_bytes().to_vec());
        prop_assert_eq!(parts.pop(), Some(problem));
        let due = starts.iter().skip(2).filter(|start| **start <= cut).count();
        prop_assert_eq!(parts.len(), due);
        for ((_, got), content) in parts.iter().zip(&contents) {
            prop_assert_eq!(got, content.as_bytes());
        }
    }
}

#[test]
fn inside_a_part_and_behind_the_close_delimiter_nothing_is_written() {
    let start = format!("--{BOUNDARY}\r\n");
    for body in [
        format!("{start}Content-Type: text/plain\r\n\r\nwhole or cut"),
        format!("{start}Content-Type: text/plain\r\n\r\nx\r\n--{BOUNDARY}"),
        format!("{start}Content-Type: text/plain\r\n"),
        format!("{start}\r\nx\r\n--{BOUNDARY}--\r\n"),
    ] {
        assert_eq!(tail_of(tail(), body.as_bytes(), &[]), None, "{body}");
    }
}

#[test]
fn a_boundary_is_checked() {
    assert!(Tail::multipart(&"a".repeat(70)).is_ok());
    for bad in ["", "a ", "a\r\nb", "a\"b", "é", &"a".repeat(71)] {
        let error = Tail::multipart(bad).expect_err(bad);
        assert_eq!(error.len, bad.len());
        assert!(error.to_string().contains("1 to 70"));
    }
}
