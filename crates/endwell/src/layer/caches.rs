//! What a cache may do with a response.
//!
//! Reads: its header. Gives: whether any cache may store it, or use it again without asking.

use http::HeaderMap;
use http::header::CACHE_CONTROL;

use super::lists::{lists, members};

/// Whether a cache may store the response.
pub(super) fn may_store(headers: &HeaderMap) -> bool {
    is_told_apart(headers) || !lists(headers, &CACHE_CONTROL, "no-store")
}

/// Whether a cache may use the response again without asking.
pub(super) fn may_reuse(headers: &HeaderMap) -> bool {
    let has = |directive| lists(headers, &CACHE_CONTROL, directive);
    // RFC 5861: it may be used although it is stale.
    let stale = || members(headers, &CACHE_CONTROL).any(|it| begins(it, "stale-"));
    let asks = has("no-cache") || (has("max-age=0") && !stale());
    may_store(headers) && (is_told_apart(headers) || !(has("private") && asks))
}

/// Whether a field tells some caches otherwise: they follow it and not `Cache-Control` (RFC 9213
/// section 2.2; before it `Surrogate-Control`, and nginx's `X-Accel-Expires`).
fn is_told_apart(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        name.ends_with("-cache-control") || name == "surrogate-control" || name == "x-accel-expires"
    })
}

fn begins(member: &str, start: &str) -> bool {
    let begin = member.as_bytes().get(..start.len());
    begin.is_some_and(|begin| begin.eq_ignore_ascii_case(start.as_bytes()))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn asked(fields: &[(&'static str, &'static str)]) -> (bool, bool) {
        let field = |(name, value): &(&'static str, &'static str)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        };
        let headers: HeaderMap = fields.iter().map(field).collect();
        (may_store(&headers), may_reuse(&headers))
    }

    #[test]
    fn a_cache_that_is_told_nothing_may_do_all() {
        for fields in [
            &[][..],
            &[("cache-control", "private")],
            &[("cache-control", "no-cache")],
            &[("cache-control", "private, max-age=10")],
            &[(
                "cache-control",
                "private, max-age=0, Stale-While-Revalidate=60",
            )],
            &[("cache-control", "private, max-age=0, stale-if-error=60")],
            // What others are told counts more to some.
            &[
                ("cache-control", "no-store"),
                ("cdn-cache-control", "max-age=9"),
            ],
            &[
                ("cache-control", "no-store"),
                ("surrogate-control", "max-age=9"),
            ],
            &[("cache-control", "no-store"), ("x-accel-expires", "9")],
            &[
                ("cache-control", "private, no-cache"),
                ("cdn-cache-control", "max-age=9"),
            ],
        ] {
            assert_eq!(asked(fields), (true, true), "{fields:?}");
        }
    }

    #[test]
    fn a_cache_that_must_ask_or_must_not_store_cannot_mislead() {
        for (value, store) in [
            ("no-store", false),
            ("max-age=60, No-Store", false),
            ("private, no-cache", true),
            ("private, max-age=0", true),
            ("private, no-cache, stale-while-revalidate=60", true),
        ] {
            assert_eq!(
                asked(&[("cache-control", value)]),
                (store, false),
                "{value}"
            );
        }
    }
}
