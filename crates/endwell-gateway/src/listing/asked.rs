//! What a request wants of a listing.
//!
//! Reads: the query and `Accept`. Gives: a form and an order. Never: keeps text of the request;
//! what it does not know means nothing.

use http::HeaderMap;
use http::header::ACCEPT;

use super::order::{By, Order};

/// How a listing is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Form {
    /// HTML, for people.
    #[default]
    Page,
    /// For programs.
    Json,
}

/// What a request wants of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Asked {
    pub(super) form: Form,
    pub(super) order: Order,
}

impl Asked {
    /// Reads `sort=name|size|time`, `order=asc|desc` and `list=json|html`, the first of each.
    /// Without a `list`, `Accept` decides.
    pub(super) fn of(query: Option<&str>, headers: &HeaderMap) -> Self {
        let value = |name| {
            let pairs = query.unwrap_or_default().split('&');
            let mut pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            pairs.find(|pair| pair.0 == name).map(|pair| pair.1)
        };
        let by = match value("sort") {
            Some("size") => By::Size,
            Some("time") => By::Time,
            Some(_) | None => By::Name,
        };
        let descending = value("order") == Some("desc");
        let form = match value("list") {
            Some("json") => Form::Json,
            Some("html") => Form::Page,
            Some(_) | None if prefers_json(headers) => Form::Json,
            Some(_) | None => Form::Page,
        };
        Self {
            form,
            order: Order { by, descending },
        }
    }
}

/// Whether `Accept` names JSON, and names HTML only with a lower weight (RFC 9110 section 12.5.1).
///
/// `*/*` names nothing: programs add it to what they want, and what asks for nothing else is as
/// often a person with curl.
fn prefers_json(headers: &HeaderMap) -> bool {
    let (mut json, mut page) = (0, 0);
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
            let weight = weight(parameters);
            match name.trim().to_ascii_lowercase().as_str() {
                "application/json" => json = weight.max(json),
                "text/html" | "text/*" | "application/xhtml+xml" => page = weight.max(page),
                _ => {}
            }
        }
    }
    json > page
}

/// A weight in thousandths; one that cannot be read counts in full, as one that is not there.
fn weight(parameters: &str) -> u16 {
    let mut parameters = parameters
        .split(';')
        .filter_map(|pair| pair.split_once('='));
    let q = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    let Some(q) = q.and_then(|(_, value)| value.trim().parse::<f32>().ok()) else {
        return 1000;
    };
    // A float becomes the nearest that an integer holds; NaN becomes 0.
    (q.clamp(0.0, 1.0) * 1000.0) as u16
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn asked(query: &str, accept: &str) -> Asked {
        let mut headers = HeaderMap::new();
        headers.insert(
            ACCEPT,
            HeaderValue::from_str(accept).expect("a field value"),
        );
        Asked::of(Some(query), &headers)
    }

    #[test]
    fn what_is_not_known_means_nothing() {
        for query in [
            "",
            "sort",
            "sort=",
            "sort=SIZE",
            "sort=%73ize",
            "sort=none&sort=size",
            "order=up",
            "&&=&list=xml",
            "list=%22",
        ] {
            assert_eq!(asked(query, "*/*"), Asked::default(), "{query}");
        }
        assert_eq!(Asked::of(None, &HeaderMap::new()), Asked::default());
    }

    #[test]
    fn orders_and_forms_are_asked_for_by_name() {
        for by in [By::Name, By::Size, By::Time] {
            for descending in [false, true] {
                let order = Order { by, descending };
                let query = order.query().trim_start_matches('?');
                assert_eq!(asked(query, "*/*").order, order, "{query}");
            }
        }
        let json = asked("x=1&list=json&sort=time", "text/html");
        assert_eq!((json.form, json.order.by), (Form::Json, By::Time));
        assert_eq!(asked("list=html", "application/json").form, Form::Page);
    }

    #[test]
    fn accept_decides_when_the_query_does_not() {
        for (accept, form) in [
            ("*/*", Form::Page),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Form::Page,
            ),
            ("application/json", Form::Json),
            ("Application/JSON;charset=utf-8", Form::Json),
            ("application/json, text/plain, */*", Form::Json),
            ("application/json, text/html", Form::Page),
            ("application/json, text/html;q=0.5", Form::Json),
            ("application/json;q=0.4, text/*;q=0.5", Form::Page),
            ("application/json;q=0", Form::Page),
            ("application/json;q=NaN", Form::Page),
            ("application/*", Form::Page),
            (",;=,", Form::Page),
        ] {
            assert_eq!(asked("", accept).form, form, "{accept}");
        }
    }
}
