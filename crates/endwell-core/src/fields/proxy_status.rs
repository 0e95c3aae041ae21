//! `Proxy-Status` (RFC 9209): what the proxies on the way say of a response.
//!
//! Reads: the value of a field, its lines joined by commas. Gives: what each proxy said. An origin
//! must never send it (section 2), and a proxy may put it into a trailer only if it announced
//! itself in the header.

use sfv::{
    BareItem, Item, KeyRef, ListEntry, ListSerializer, Parameters, Parser, StringRef, TokenRef,
};

use crate::Kind;

/// What one proxy says: a member of `Proxy-Status`.
///
/// A proxy that adds its own member sends one more line of the field and leaves others' alone.
///
/// # Examples
/// ```
/// use endwell_core::Kind;
/// use endwell_core::fields::ProxyStatus;
/// let status = ProxyStatus::new("edge-7").expect("printable").failed(Kind::ReadTimeout);
/// assert_eq!(status.to_field(), "edge-7;error=connection_read_timeout");
/// assert_eq!(ProxyStatus::parse(status.to_field().as_bytes()), Some(vec![status]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyStatus {
    name: String,
    error: Option<String>,
    next_hop: Option<String>,
    received_status: Option<u16>,
    details: Option<String>,
}

impl ProxyStatus {
    /// Of the proxy with this name, which is that of a deployment and not of a product; `None` if
    /// it has a character that is not printable ASCII.
    pub fn new(name: impl Into<String>) -> Option<Self> {
        let name = name.into();
        StringRef::from_str(&name).ok()?;
        Some(Self {
            name,
            error: None,
            next_hop: None,
            received_status: None,
            details: None,
        })
    }

    /// With the proxy error type of this kind (section 2.3); `proxy_internal_error` for a kind that
    /// is ours alone.
    #[must_use]
    pub fn failed(mut self, kind: Kind) -> Self {
        let kind = match kind.is_proxy_error() {
            true => kind,
            false => Kind::InternalError,
        };
        self.error = Some(kind.as_str().to_owned());
        self
    }

    /// With the server it asked. Tells of the inside: leave it out where strangers ask.
    #[must_use]
    pub fn next_hop(mut self, name: &str) -> Self {
        self.next_hop = Some(printable(name));
        self
    }

    /// With the status that it received.
    #[must_use]
    pub fn received_status(mut self, status: u16) -> Self {
        self.received_status = Some(status);
        self
    }

    /// With a text for a person. Tells of the inside: leave it out where strangers ask.
    #[must_use]
    pub fn details(mut self, text: &str) -> Self {
        self.details = Some(printable(text));
        self
    }

    /// The name of the proxy.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The proxy error type, as it came.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The kind of the error, if it is known here.
    pub fn kind(&self) -> Option<Kind> {
        let kind = Kind::named(self.error()?)?;
        kind.is_proxy_error().then_some(kind)
    }

    /// The status that the proxy received.
    pub fn status(&self) -> Option<u16> {
        self.received_status
    }

    /// Reads the value of the field; the proxy nearest to the reader is last.
    ///
    /// `None` for what does not parse: it says nothing (RFC 9651 section 4.2). Parameters that are
    /// not known, or are of another type, are left out.
    pub fn parse(value: &[u8]) -> Option<Vec<Self>> {
        let list: Vec<ListEntry> = Parser::new(value).parse().ok()?;
        list.into_iter().map(Self::member).collect()
    }

    fn member(member: ListEntry) -> Option<Self> {
        let ListEntry::Item(Item { bare_item, params }) = member else {
            return None;
        };
        let status = match params.get("received-status") {
            Some(BareItem::Integer(status)) => u16::try_from(i64::from(*status)).ok(),
            _ => None,
        };
        Some(Self {
            name: text(&bare_item)?.to_owned(),
            error: of(&params, "error").filter(|name| TokenRef::from_str(name).is_ok()),
            next_hop: of(&params, "next-hop"),
            received_status: status,
            details: of(&params, "details"),
        })
    }

    /// The value of a field with this member alone.
    pub fn to_field(&self) -> String {
        let mut list = ListSerializer::new();
        let mut item = match TokenRef::from_str(&self.name) {
            Ok(token) => list.bare_item(token),
            Err(_) => list.bare_item(string(&self.name)),
        };
        if let Some(error) = &self.error {
            let error = TokenRef::from_str(error).expect("it was read or made as a token");
            item = item.parameter(key("error"), error);
        }
        if let Some(next) = &self.next_hop {
            item = item.parameter(key("next-hop"), string(next));
        }
        if let Some(status) = self.received_status {
            item = item.parameter(key("received-status"), sfv::Integer::from(status));
        }
        if let Some(text) = &self.details {
            item = item.parameter(key("details"), string(text));
        }
        let _ = item;
        list.finish().expect("it has a member")
    }
}

fn key(name: &str) -> &KeyRef {
    KeyRef::from_str(name).expect("its letters are a key's")
}

fn string(text: &str) -> &StringRef {
    StringRef::from_str(text).expect("every text in it is printable ASCII")
}

/// A text as a structured field can have it.
fn printable(text: &str) -> String {
    let safe = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
    text.chars().map(safe).collect()
}

fn text(item: &BareItem) -> Option<&str> {
    match item {
        BareItem::Token(token) => Some(token.as_str()),
        BareItem::String(text) => Some(text.as_str()),
        _ => None,
    }
}

fn of(params: &Parameters, name: &str) -> Option<String> {
    params.get(name).and_then(text).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_are_read() {
        // After the examples of RFC 9209 section 2.
        let field = b"revproxy1.example.net, \"CDN A\";error=http_response_incomplete;\
            next-hop=\"backend:8001\";received-status=200;details=\"it broke\";next-protocol=h2";
        let proxies = ProxyStatus::parse(field).expect("it parses");
        assert_eq!(proxies[0].name(), "revproxy1.example.net");
        assert_eq!((proxies[0].error(), proxies[0].status()), (None, None));
        assert_eq!(proxies[1].name(), "CDN A");
        assert_eq!(proxies[1].kind(), Some(Kind::ResponseIncomplete));
        assert_eq!(proxies[1].status(), Some(200));
        for (value, members) in [
            ("a;error=new_type;received-status=99999", Some(1)),
            ("", Some(0)),
            ("?1", None),
            ("(a b)", None),
            ("a,", None),
        ] {
            let read = ProxyStatus::parse(value.as_bytes()).map(|proxies| proxies.len());
            assert_eq!(read, members, "{value}");
        }
    }

    #[test]
    fn a_kind_of_ours_is_told_by_its_nearest_name() {
        let status = ProxyStatus::new("a b")
            .expect("printable")
            .failed(Kind::SourceChanged);
        assert_eq!(status.to_field(), "\"a b\";error=proxy_internal_error");
        assert_eq!(ProxyStatus::new("a\r\nb"), None);
        let told = status.details("é\n");
        assert_eq!(
            told.to_field(),
            "\"a b\";error=proxy_internal_error;details=\"??\""
        );
    }

    proptest! {
        #[test]
        fn no_octets_break_a_parser(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            for member in ProxyStatus::parse(&value).unwrap_or_default() {
                prop_assert_eq!(ProxyStatus::parse(member.to_field().as_bytes()), Some(vec![member]));
            }
        }

        #[test]
        fn every_member_is_read_as_it_was_written(
            name in "[ -~]{1,12}", error in proptest::option::of(proptest::sample::select(Kind::ALL)),
            status in proptest::option::of(any::<u16>()), text in "\\PC{0,12}",
        ) {
            let mut member = ProxyStatus::new(name).expect("printable").next_hop(&text).details(&text);
            member.received_status = status;
            if let Some(kind) = error {
                member = member.failed(kind);
            }
            prop_assert_eq!(ProxyStatus::parse(member.to_field().as_bytes()), Some(vec![member]));
        }
    }
}
