//! What the page writes by itself: the marks of a place, what fills it, the way to an error page.
//!
//! Reads: numbers of places, a nonce, a URL. Gives: markup in which nothing of another's can break out.
//!
//! A place is what stands between two empty `template` elements, which HTML lets stand in tables, lists
//! and selects too. What comes for it is the content of a third one; a script moves it. Nothing is parsed
//! by a script, so that Trusted Types have nothing to forbid.

use std::fmt::Write;

use bytes::Bytes;

use super::out::Out;

/// Moves what came for place `n` to where it belongs; `f`: it was the last.
///
/// Without the marks (scripts of the page may have taken them away) it changes nothing.
const FUNCTION: &str = "function endwell(n,f){var d=document,i='endwell-'+n,\
b=d.getElementById(i),e=d.getElementById(i+'-end'),t=d.getElementById(i+'-new'),s=d.currentScript,p=e&&e.parentNode,x;\
if(p){if(b&&b.parentNode===p&&b.compareDocumentPosition(e)&4)while(b!==e){x=b.nextSibling;p.removeChild(b);b=x}\
if(t)p.insertBefore(t.content,e);if(f)p.removeChild(e)}\
if(t)t.parentNode.removeChild(t);if(s)s.parentNode.removeChild(s)}";

/// Writes what is out of order.
#[derive(Debug, Default)]
pub(super) struct Scripts {
    /// As an attribute, with the space before it.
    nonce: String,
    /// The function is there.
    defined: bool,
    places: u64,
}

impl Scripts {
    pub(super) fn set_nonce(&mut self, nonce: &str) {
        self.nonce = format!(" nonce=\"{}\"", attribute(nonce));
    }

    /// Marks a place; gives its number.
    pub(super) fn place(&mut self, placeholder: &Bytes, out: &mut Out) -> u64 {
        self.places += 1;
        let place = self.places;
        out.text(format_args!("<template id=\"endwell-{place}\"></template>"));
        out.put(placeholder.clone());
        out.text(format_args!(
            "<template id=\"endwell-{place}-end\"></template>"
        ));
        place
    }

    /// What stands before the octets that come for a place.
    pub(super) fn open(&self, place: u64, out: &mut Out) {
        out.text(format_args!("<template id=\"endwell-{place}-new\">"));
    }

    /// What stands after them.
    pub(super) fn close(&mut self, place: u64, last: bool, out: &mut Out) {
        out.text(format_args!("</template>"));
        self.call(place, last, out);
    }

    /// Moves what came, or takes the marks away.
    pub(super) fn call(&mut self, place: u64, last: bool, out: &mut Out) {
        let function = match std::mem::replace(&mut self.defined, true) {
            false => FUNCTION,
            true => "",
        };
        let (nonce, last) = (&self.nonce, u8::from(last));
        out.text(format_args!(
            "<script{nonce}>{function}endwell({place},{last})</script>"
        ));
    }

    /// Leads to another page: by a script, and without scripts by a refresh.
    pub(super) fn redirect(&self, url: &str, out: &mut Out) {
        let nonce = &self.nonce;
        let (text, value) = (js_string(url), attribute(url));
        out.text(format_args!(
            "<script{nonce}>location.replace({text})</script>\
             <meta http-equiv=\"refresh\" content=\"0;url={value}\">"
        ));
    }
}

/// The value of a quoted attribute.
fn attribute(value: &str) -> String {
    value
        .replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A string in a script: everything that could end it, or the element around it, is escaped.
fn js_string(text: &str) -> String {
    let mut string = String::from("\"");
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(octet)
                if octet.is_ascii_alphanumeric() || b"/:.?=-_~%+#,;@!*()[]".contains(&octet) =>
            {
                string.push(char::from(octet));
            }
            Ok(_) | Err(_) => {
                let _ = write!(string, "\\u{unit:04x}");
            }
        }
    }
    string.push('"');
    string
}

/// Whether a URL may be led to: one of HTTP, or one of this site. A script's (`javascript:`) is not.
pub(super) fn may_lead_to(url: &str) -> bool {
    let plain = |c: char| !c.is_control() && !c.is_whitespace();
    let scheme = url
        .find([':', '/', '?', '#'])
        .filter(|at| url[*at..].starts_with(':'));
    let known = scheme.is_none_or(|at| {
        let scheme = &url[..at];
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
    });
    // A refresh takes a leading quote for its own, and `\` is `/` to a browser.
    !url.is_empty() && url.chars().all(plain) && known && !url.starts_with(['\'', '"', '\\'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_pages_are_led_to() {
        for url in [
            "/error",
            "error?a=b:c",
            "https://example.org/x",
            "HTTP://a/",
            "#a:b",
            "?u=javascript:",
        ] {
            assert!(may_lead_to(url), "{url}");
        }
        for url in [
            "javascript:alert(1)",
            "JavaScript:x",
            "java\nscript:x",
            " javascript:x",
            "data:text/html,x",
            "",
            "'/x",
            "x:y",
        ] {
            assert!(!may_lead_to(url), "{url:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_out(url in any::<String>(), more in "[<>&'\"\\\\/\u{2028}!-]{0,12}") {
            let url = format!("{url}{more}");
            let text = js_string(&url);
            let breaks_out = ['"', '<', '>', '&', '\'', '\n', '\u{2028}'];
            prop_assert!(!text[1..text.len() - 1].contains(breaks_out));
            let back: String = serde_json::from_str(&text).expect("it is a string of JSON, too");
            prop_assert_eq!(&back, &url);
            prop_assert!(!attribute(&url).contains(['"', '<', '>']));
        }
    }
}
