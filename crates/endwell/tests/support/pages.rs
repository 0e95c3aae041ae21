//! Pages whose parts do as they are told, and what a reader makes of what came out of order.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::io;
use std::time::Duration;

use endwell::Severity;
use endwell::page::{Fragment, Part, each, part};
use futures_util::StreamExt;

/// What a part does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    Well,
    Error,
    /// Never comes, and has a time-out.
    TimeOut,
    PanicInWork,
    PanicInThen,
    /// Gives an error, and its fallback panics.
    PanicInCatch,
    /// Gives an error, and has no fallback.
    NoCatch,
    /// Has two parts in it, the second of which gives an error; itself it goes well.
    Nested,
    /// Repeats twice, with a part in each item, of which the second gives an error.
    Repeats,
    /// Repeats once; then the stream gives an error.
    RepeatsBadly,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    pub name: &'static str,
    pub severity: Severity,
    pub does: Does,
}

pub const fn told(name: &'static str, severity: Severity, does: Does) -> Told {
    Told {
        name,
        severity,
        does,
    }
}

/// Comes back so many times before it goes on: not at once, and after what comes back less often.
async fn turns(turns: usize) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

/// Parts that fail do so after the others are done.
const LATER: usize = 40;

async fn bad(message: &'static str) -> io::Result<String> {
    turns(LATER).await;
    Err(io::Error::other(message))
}

fn usual<W>(part: Part<W>, name: &'static str, severity: Severity) -> Part<W> {
    part.severity(severity)
        .placeholder(format!("<i>wait for {name}</i>"))
        .catch(move |_| format!("<b>no {name}</b>"))
}

impl Told {
    pub fn add(self, to: Fragment) -> Fragment {
        let Self {
            name,
            severity,
            does,
        } = self;
        let good = move || async move {
            turns(3).await;
            Ok::<_, io::Error>(format!("<p>{name}</p>"))
        };
        match does {
            Does::Well => to.part(usual(part(name, good()), name, severity)),
            Does::Error => to.part(usual(part(name, bad("bad")), name, severity)),
            Does::TimeOut => {
                let never = part(name, std::future::pending::<io::Result<String>>());
                to.part(usual(
                    never.timeout(Duration::from_millis(20)),
                    name,
                    severity,
                ))
            }
            Does::Never => {
                let never = part(name, std::future::pending::<io::Result<String>>());
                to.part(usual(never, name, severity))
            }
            Does::PanicInWork => {
                let work = async {
                    turns(LATER).await;
                    panic!("the work panics")
                };
                let part: Part<_> = part(name, async {
                    let () = work.await;
                    Ok::<_, io::Error>("")
                });
                to.part(usual(part, name, severity))
            }
            Does::PanicInThen => {
                let work = async {
                    turns(LATER).await;
                    Ok::<_, io::Error>(())
                };
                let part = part(name, work).then(|()| -> String { panic!("then panics") });
                to.part(usual(part, name, severity))
            }
            Does::PanicInCatch => {
                let part = usual(part(name, bad("bad")), name, severity);
                to.part(part.catch(|_| -> String { panic!("catch panics") }))
            }
            Does::NoCatch => {
                let part = part(name, bad("bad")).severity(severity);
                to.part(part.placeholder("<i>wait</i>"))
            }
            Does::Nested => {
                let inner = Fragment::new().chunk("<div>");
                let inner = Told {
                    name: "first",
                    severity,
                    does: Does::Well,
                }
                .add(inner);
                let inner = Told {
                    name: "second",
                    severity,
                    does: Does::Error,
                }
                .add(inner)
                .chunk("</div>");
                let work = async {
                    turns(1).await;
                    Ok::<_, io::Error>(inner)
                };
                to.part(usual(part(name, work), name, severity))
            }
            Does::Repeats | Does::RepeatsBadly => {
                let bad = does == Does::RepeatsBadly;
                let last = match bad {
                    true => Err(io::Error::other("bad stream")),
                    false => Ok(2),
                };
                let items = futures_util::stream::iter([Ok(1), last]).then(|item| async {
                    if item.is_err() {
                        turns(LATER).await;
                    }
                    item
                });
                let each = each(name, items, move |item| {
                    let does = match item {
                        2 => Does::Error,
                        _ => Does::Well,
                    };
                    let inner = Told {
                        name: "inner",
                        severity,
                        does,
                    };
                    (
                        item,
                        inner.add(Fragment::new().chunk("<li>")).chunk("</li>"),
                    )
                });
                to.chunk("<ul>")
                    .part(usual(each, name, severity))
                    .chunk("</ul>")
            }
        }
    }

    /// What a reader finds in its place in the end.
    pub fn shows(self) -> String {
        let name = self.name;
        match self.does {
            Does::Well => format!("<p>{name}</p>"),
            Does::Error | Does::TimeOut | Does::PanicInWork | Does::PanicInThen => {
                format!("<b>no {name}</b>")
            }
            Does::PanicInCatch | Does::NoCatch | Does::Never => String::new(),
            Does::Nested => "<div><p>first</p><b>no second</b></div>".to_owned(),
            Does::Repeats => "<ul><li><p>inner</p></li><li><b>no inner</b></li></ul>".to_owned(),
            Does::RepeatsBadly => format!("<ul><li><p>inner</p></li><b>no {name}</b></ul>"),
        }
    }

    /// What is recorded of it: name, severity, kind.
    pub fn recorded(self) -> Vec<(String, Severity, &'static str)> {
        let Self { name, severity, .. } = self;
        let one = |name: String, kind| vec![(name, severity, kind)];
        match self.does {
            Does::Well | Does::Never => vec![],
            Does::Error | Does::NoCatch | Does::RepeatsBadly => {
                one(name.to_owned(), "producer_error")
            }
            Does::TimeOut => one(name.to_owned(), "part_timeout"),
            Does::PanicInWork | Does::PanicInThen => one(name.to_owned(), "producer_panicked"),
            Does::PanicInCatch => vec![
                (name.to_owned(), severity, "producer_error"),
                (
                    name.to_owned(),
                    severity.max(Severity::Degrading),
                    "producer_panicked",
                ),
            ],
            Does::Nested => one(format!("{name}/second"), "producer_error"),
            Does::Repeats => one(format!("{name}[2]/inner"), "producer_error"),
        }
    }

    /// How bad it was.
    pub fn worst(self) -> Option<Severity> {
        self.recorded().iter().map(|part| part.1).max()
    }
}

/// What stands between two marks.
fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let (before, rest) = text.split_once(from)?;
    let (inner, after) = rest.split_once(to)?;
    Some((before, inner, after))
}

/// What a reader sees after all scripts ran that came: each content in its place.
///
/// It knows the marks as text, and nothing of how they were made.
pub fn read(octets: &str) -> String {
    let mut page = octets.to_owned();
    while let Some((before, rest)) = page.split_once("<script") {
        let (script, after) = rest.split_once("</script>").expect("a script ends");
        let call = script.rsplit_once("endwell(").map(|(_, call)| call);
        let Some((place, last)) = call.and_then(|call| call.strip_suffix(')')?.split_once(','))
        else {
            let (before, after) = (before.to_owned(), after.to_owned());
            page = before + &after;
            continue;
        };
        let (before, after) = (before.to_owned(), after.to_owned());
        page = fill(&before, place, last == "1") + &after;
    }
    page
}

/// What one script does to what came before it.
fn fill(page: &str, place: &str, last: bool) -> String {
    let open = format!("<template id=\"endwell-{place}-new\">");
    let (page, new) = match page.rsplit_once(&open) {
        Some((before, new)) => {
            let new = new
                .strip_suffix("</template>")
                .expect("it ends before its script");
            (before, new)
        }
        None => (page, ""),
    };
    let begin = format!("<template id=\"endwell-{place}\"></template>");
    let end = format!("<template id=\"endwell-{place}-end\"></template>");
    assert_eq!(page.matches(&end).count(), 1, "the place is marked once");
    let page = match between(page, &begin, &end) {
        Some((before, _, after)) => format!("{before}{end}{after}"),
        None => page.to_owned(),
    };
    let marks = if last { "" } else { end.as_str() };
    page.replace(&end, &format!("{new}{marks}"))
}
