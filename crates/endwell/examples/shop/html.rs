//! The markup of the shop.

use std::fmt::Write;

use endwell::Severity;
use endwell::page::PartError;

use super::asked::{Asked, Does, PARTS, TIMES};

const STYLE: &str = ":root{color-scheme:light dark;--box:#8881;--edge:#8886;--bad:#c33}\
*{box-sizing:border-box}body{font:1rem/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:68rem}\
@media(min-width:60rem){.page{display:grid;grid-template-columns:1fr 27rem;gap:2rem;align-items:start}.page aside{order:2}}\
aside{border:1px solid var(--edge);border-radius:.5rem;padding:.75rem 1rem;font-size:.875rem;background:var(--box)}\
summary{font-weight:600;cursor:pointer}fieldset{border:0;margin:.5rem 0;padding:0}legend{padding:0;font-weight:600}\
legend small{font-weight:400}select,button{font:inherit;max-width:100%;margin:.1rem .25rem .1rem 0}\
.price{font-size:1.75rem;font-weight:600;margin:.5rem 0}.wait{opacity:.6;font-style:italic}\
.none{border-left:.25rem solid var(--bad);padding:.25rem .75rem;background:var(--box)}.none small{display:block;opacity:.7}\
.reviews{padding-left:1.25rem}pre{overflow-x:auto;background:var(--box);padding:.75rem;border-radius:.5rem}\
footer{margin-top:2rem;border-top:1px solid var(--edge);font-size:.875rem}";

pub(crate) const SORRY: &str = "<!DOCTYPE html><html lang=en><meta charset=utf-8>\
<meta name=viewport content=\"width=device-width\"><meta name=color-scheme content=\"light dark\"><title>Sorry</title>\
<h1>Sorry, not now</h1><p>Something without which we show nothing is not there. <a href=\"/\">Back to the shop</a>\n";

pub(crate) const NO_PRODUCT: &str = "<!DOCTYPE html><html lang=en><meta charset=utf-8>\
<meta name=viewport content=\"width=device-width\"><meta name=color-scheme content=\"light dark\"><title>Not here</title>\
<h1>No such product</h1><p><a href=\"/\">Back to the shop</a>\n";

/// For text that is not ours.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Who runs no scripts is led to the page in order.
pub(crate) fn top(nonce: &str, asked: &Asked) -> String {
    let in_order = match asked.in_order {
        true => String::new(),
        false => format!(
            "<noscript><meta http-equiv=refresh content=\"0;url=/?{}\"></noscript>",
            escaped(&asked.query_in_order())
        ),
    };
    format!(
        "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\"><title>Bolts</title>{in_order}\
         <style nonce=\"{nonce}\">{STYLE}</style></head>\n<body>\n<div class=page>\n"
    )
}

/// The form that says what each part does.
pub(crate) fn panel(asked: &Asked) -> String {
    let mut form = String::from(
        "<aside><details open><summary>What each part does</summary><form action=\"/\">\n",
    );
    for known in &PARTS {
        let (name, part) = (known.name, asked.part(known.name));
        let does = Does::ALL
            .into_iter()
            .filter(|does| *does != Does::Missing || name == "product");
        let does = does.map(|does| (does.value(), does.name().to_owned(), does == part.does));
        let times = TIMES.map(|time| {
            (
                time.to_string(),
                format!("after {time} ms"),
                time == part.after,
            )
        });
        let times = times
            .iter()
            .map(|(value, text, chosen)| (value.as_str(), text.clone(), *chosen));
        let severity = Severity::ALL.map(|it| {
            (
                it.as_str(),
                format!("which is {}", is(it)),
                it == part.severity,
            )
        });
        let _ = write!(
            form,
            "<fieldset><legend>{name} <small>({})</small></legend>",
            known.is
        );
        select(&mut form, &format!("{name}.does"), does);
        select(&mut form, &format!("{name}.after"), times);
        select(&mut form, &format!("{name}.is"), severity.into_iter());
        form += "</fieldset>\n";
    }
    form += "<fieldset><legend>page</legend>";
    let order = [
        ("out", "as the parts come", !asked.in_order),
        ("in", "in order", asked.in_order),
    ];
    select(
        &mut form,
        "order",
        order
            .map(|(value, text, it)| (value, text.to_owned(), it))
            .into_iter(),
    );
    let cache = [
        ("private", "for this reader alone", !asked.public),
        ("public", "for caches, too", asked.public),
    ];
    select(
        &mut form,
        "cache",
        cache
            .map(|(value, text, it)| (value, text.to_owned(), it))
            .into_iter(),
    );
    form + "</fieldset><button>Show it</button> <a href=\"/\">As at first</a></form></details></aside>\n"
}

fn is(severity: Severity) -> &'static str {
    match severity {
        Severity::Fatal => "fatal",
        Severity::Degrading => "degrading",
        Severity::Note => "only noted",
    }
}

fn select<'a>(
    form: &mut String,
    name: &str,
    options: impl Iterator<Item = (&'a str, String, bool)>,
) {
    let _ = write!(form, "<select name=\"{name}\" aria-label=\"{name}\">");
    for (value, text, chosen) in options {
        let chosen = if chosen { " selected" } else { "" };
        let _ = write!(form, "<option value=\"{value}\"{chosen}>{text}</option>");
    }
    *form += "</select>";
}

/// What stands where a part is awaited.
pub(crate) fn waits(what: &str) -> String {
    format!("<p class=wait>{what} is on its way …</p>")
}

/// What stands where a part failed. What went wrong is told here because this is a demonstration.
pub(crate) fn fallback(text: &str, error: &PartError) -> String {
    match text {
        "" => String::new(),
        text => format!(
            "<p class=none>{text} <small>({})</small></p>",
            escaped(&error.cause().to_string())
        ),
    }
}

/// What comes last: how a program sees the page.
pub(crate) fn foot(nonce: &str) -> String {
    format!(
        "</div><footer><p>What a program is told of this page: <output id=told>ask <code>curl -v</code></output> \
         <button id=ask hidden>ask with fetch()</button></footer>\
         <script nonce=\"{nonce}\">{SCRIPT}</script></body></html>\n"
    )
}

/// Inline, so that it runs although the page is aborted: scripts with `defer` or `type=module` would not.
const SCRIPT: &str = "(function(){var ask=document.getElementById('ask'),told=document.getElementById('told');\
ask.hidden=false;ask.onclick=function(){told.textContent='…';\
fetch(location.href).then(function(r){return r.text().then(function(t){\
return r.status+', '+t.length+' characters, whole'})}).catch(function(e){return 'broken: '+e})\
.then(function(t){told.textContent=t})}})()";
