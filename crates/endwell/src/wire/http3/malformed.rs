//! Requests whose fields are malformed (RFC 9114 sections 4.1.2, 4.2 and 4.3).
//!
//! Reads: the lines of a field section. Gives: whether the application may see it. h3 keeps the last of
//! several pseudo-headers and forgets their order: two proxies could read two requests out of one.

use std::borrow::Cow;

use http::header::{CONNECTION, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};

use super::section::{Line, Lines, Name, Text, Undecodable};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
/// Fields of HTTP/1's connections.
pub(super) const CONNECTION_SPECIFIC: [HeaderName; 5] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Whether the head of a request is malformed, as far as names and order tell.
pub(super) fn is_malformed_head(frame: &[u8]) -> Result<bool, Undecodable> {
    let mut pseudo = Pseudo::default();
    let mut regular = false;
    for line in Lines::of(frame)? {
        let Line { name, value } = line?;
        let well_formed = match &name {
            Name::Said(name) if name.starts_with(b":") => !regular && pseudo.take(name, value)?,
            name => {
                regular = true;
                is_field(name)
            }
        };
        if !well_formed {
            return Ok(true);
        }
    }
    Ok(!pseudo.is_whole())
}

/// Whether the trailers of a request are malformed.
pub(super) fn are_malformed_trailers(frame: &[u8]) -> Result<bool, Undecodable> {
    for line in Lines::of(frame)? {
        let name = line?.name;
        // TE is a field of connections, too, and may be in a head only.
        let te = matches!(&name, Name::Said(name) if **name == *TE.as_str().as_bytes());
        if te || !is_field(&name) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a field of this name may be: no pseudo-header, none of a connection, no upper case.
fn is_field(name: &Name<'_>) -> bool {
    let Name::Said(name) = name else { return true };
    let known = |it: &HeaderName| it.as_str().as_bytes() == &**name;
    !name.starts_with(b":")
        && !name.iter().any(u8::is_ascii_uppercase)
        && !CONNECTION_SPECIFIC.iter().any(known)
}

/// The pseudo-headers of a request.
#[derive(Default)]
struct Pseudo<'a> {
    method: Option<Cow<'a, [u8]>>,
    scheme: Option<Cow<'a, [u8]>>,
    authority: Option<Cow<'a, [u8]>>,
    path: Option<Cow<'a, [u8]>>,
}

impl<'a> Pseudo<'a> {
    /// Takes one; `false` if there is none of that name, or a second one.
    fn take(&mut self, name: &[u8], value: Text<'a>) -> Result<bool, Undecodable> {
        let place = match name {
            b":method" => &mut self.method,
            b":scheme" => &mut self.scheme,
            b":authority" => &mut self.authority,
            b":path" => &mut self.path,
            // `:status` is of responses; `:protocol` (RFC 9220) was not offered.
            _ => return Ok(false),
        };
        Ok(place.replace(value.octets()?).is_none())
    }

    /// Whether they are what a request has (section 4.3.1; section 4.4 for CONNECT).
    fn is_whole(&self) -> bool {
        let Some(method) = &self.method else {
            return false;
        };
        let target = (&self.scheme, &self.path);
        if **method == *b"CONNECT" {
            return matches!(target, (None, None)) && self.authority.is_some();
        }
        let (Some(scheme), Some(path)) = target else {
            return false;
        };
        let http = scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https");
        !http || path.starts_with(b"/") || (**method == *b"OPTIONS" && **path == *b"*")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A HEADERS frame of literals.
    fn frame(fields: &[(&str, &str)]) -> Vec<u8> {
        let mut section = vec![0, 0];
        for (name, value) in fields {
            match name.len() {
                short @ 0..7 => section.push(0x20 | short as u8),
                long => section.extend([0x27, long as u8 - 7]),
            }
            section.extend(name.as_bytes());
            section.push(value.len() as u8);
            section.extend(value.as_bytes());
        }
        framed(&section)
    }

    fn framed(section: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x01, 0x40 | (section.len() >> 8) as u8, section.len() as u8];
        frame.extend(section);
        frame
    }

    const HEAD: [(&str, &str); 4] = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/"),
    ];

    /// The head with these in the place of its own, and without those of no value.
    fn head(with: &[(&'static str, &'static str)]) -> Vec<u8> {
        let mut fields = HEAD.to_vec();
        for (name, value) in with {
            match fields.iter_mut().find(|it| it.0 == *name) {
                Some(it) => it.1 = value,
                None => fields.push((name, value)),
            }
        }
        fields.retain(|(_, value)| *value != "-");
        frame(&fields)
    }

    #[test]
    fn heads_of_requests() {
        for with in [
            &[][..],
            &[("te", "trailers"), ("x-a", ""), ("x-a", "")],
            &[(":authority", "-"), ("host", "localhost")],
            &[(":method", "OPTIONS"), (":path", "*")],
            &[(":method", "CONNECT"), (":scheme", "-"), (":path", "-")],
            &[(":scheme", "urn"), (":path", "x:y")],
        ] {
            assert_eq!(is_malformed_head(&head(with)), Ok(false), "{with:?}");
        }
        for with in [
            &[(":method", "-")][..],
            &[(":scheme", "-")],
            &[(":path", "-")],
            &[(":path", "")],
            &[(":path", "*")],
            &[(":path", "x")],
            &[(":status", "200")],
            &[(":protocol", "websocket")],
            &[(":x", "")],
            &[(":", "")],
            &[(":Path", "/")],
            &[("X-a", "")],
            &[("connection", "close")],
            &[("proxy-connection", "close")],
            &[("keep-alive", "")],
            &[("transfer-encoding", "chunked")],
            &[("upgrade", "x")],
            &[(":method", "CONNECT")],
            &[(":method", "CONNECT"), (":scheme", "-")],
            &[
                (":method", "CONNECT"),
                (":scheme", "-"),
                (":path", "-"),
                (":authority", "-"),
            ],
        ] {
            assert_eq!(is_malformed_head(&head(with)), Ok(true), "{with:?}");
        }
        assert_eq!(is_malformed_head(&frame(&[])), Ok(true), "no field at all");
    }

    #[test]
    fn pseudo_headers_come_once_and_first() {
        for (at, it) in HEAD.into_iter().enumerate() {
            let mut twice = HEAD.to_vec();
            twice.push(it);
            assert_eq!(is_malformed_head(&frame(&twice)), Ok(true), "{at}");
            let mut late = HEAD.to_vec();
            late.remove(at);
            late.extend([("x-a", "b"), it]);
            assert_eq!(is_malformed_head(&frame(&late)), Ok(true), "{at}");
            // `cookie` of the static table stands before it, too.
            late.truncate(3);
            let mut octets = frame(&late);
            octets.push(0xc5);
            octets.extend(&frame(&[it])[5..]);
            assert_eq!(is_malformed_head(&octets), Ok(true), "{at}");
        }
    }

    #[test]
    fn entries_of_the_static_table_and_names_in_huffmans_code() {
        // GET, https, /, and :authority by its index with a literal value.
        let section = b"\x00\x00\xd1\xd7\xc1\x50\x01a";
        assert_eq!(is_malformed_head(&framed(section)), Ok(false));
        for index in 0_u8..=99 {
            let mut octets = section.to_vec();
            match index {
                0..63 => octets.push(0xc0 | index),
                _ => octets.extend([0xff, index - 63]),
            }
            let pseudo = matches!(index, 0 | 1 | 15..=28 | 63..=71);
            let expected = match index {
                99 => Err(Undecodable("no such entry in the static table")),
                _ => Ok(pseudo),
            };
            assert_eq!(is_malformed_head(&framed(&octets)), expected, "{index}");
        }
        // `:path` in Huffman's code, a second one: 0x5c.7 p a t h.
        let mut octets = section.to_vec();
        octets.extend([0x2c, 0xb9, 0x58, 0xd3, 0x3f, 0x01, b'/']);
        assert_eq!(is_malformed_head(&framed(&octets)), Ok(true));
        octets.truncate(octets.len() - 3);
        assert!(is_malformed_head(&framed(&octets)).is_err());
    }

    #[test]
    fn trailers_have_no_pseudo_headers_and_no_fields_of_connections() {
        let malformed = |name| are_malformed_trailers(&frame(&[("x-a", "b"), (name, "x")]));
        assert_eq!(malformed("x-digest"), Ok(false));
        assert_eq!(are_malformed_trailers(&frame(&[])), Ok(false));
        for name in [
            ":path",
            ":status",
            ":x",
            "te",
            "connection",
            "transfer-encoding",
            "X-a",
        ] {
            assert_eq!(malformed(name), Ok(true), "{name}");
        }
        assert_eq!(are_malformed_trailers(&framed(&[0, 0, 0xc1])), Ok(true));
    }

    #[test]
    fn what_needs_a_dynamic_table_is_undecodable() {
        for section in [
            &[][..],
            &[0],
            &[1, 0],
            &[
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0,
            ],
            &[0, 0, 0x80],
            &[0, 0, 0x10],
            &[0, 0, 0x40, 0],
            &[0, 0, 0x00, 0],
            &[
                0, 0, 0x27, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
            ],
            &[0, 0, 0x21],
        ] {
            assert!(is_malformed_head(&framed(section)).is_err(), "{section:x?}");
            assert!(are_malformed_trailers(&framed(section)).is_err());
        }
        assert!(is_malformed_head(&[]).is_err());
    }

    proptest! {
        #[test]
        fn no_octets_panic(octets: Vec<u8>, section: Vec<u8>) {
            let _ = is_malformed_head(&octets);
            let section: Vec<u8> = [0, 0].into_iter().chain(section.into_iter().take(0x3ff0)).collect();
            let _ = is_malformed_head(&framed(&section));
            let _ = are_malformed_trailers(&framed(&section));
        }

        #[test]
        fn no_change_of_a_head_panics(at: prop::sample::Index, octet: u8, cut: prop::sample::Index) {
            let mut octets = head(&[("x-a", "b")]);
            let len = octets.len();
            octets[at.index(len)] = octet;
            octets.truncate(cut.index(len) + 1);
            let _ = is_malformed_head(&octets);
            let _ = are_malformed_trailers(&octets);
        }
    }
}
