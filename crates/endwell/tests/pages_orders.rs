//! Any page, in both orders: what came out of order reads as the same page, and its markup is balanced.

#[path = "support/pages.rs"]
mod pages;

use std::io;

use endwell::page::{Fragment, Page, each, part};
use endwell::{Body, Severity};
use html5gum::emitters::default::DefaultEmitter;
use html5gum::{Token, Tokenizer};
use http_body_util::BodyExt;
use proptest::prelude::*;

/// Content that may have parts.
#[derive(Debug, Clone)]
enum Piece {
    Text(u8),
    Part(Box<Inner>),
    List(Box<Inner>, u8),
}

/// What is in a part, or in each item of a list.
#[derive(Debug, Clone)]
struct Inner {
    /// How often it comes back before it is there.
    turns: u8,
    placeholder: bool,
    fails: bool,
    pieces: Vec<Piece>,
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let leaf = any::<u8>().prop_map(Piece::Text);
    let piece = leaf.prop_recursive(4, 40, 4, |piece| {
        let inner = (
            0..6_u8,
            any::<bool>(),
            any::<bool>(),
            prop::collection::vec(piece, 0..4),
        );
        let inner = inner.prop_map(|(turns, placeholder, fails, pieces)| {
            Box::new(Inner {
                turns,
                placeholder,
                fails: fails && turns % 3 == 0,
                pieces,
            })
        });
        prop_oneof![
            inner.clone().prop_map(Piece::Part),
            (inner, 0..4_u8).prop_map(|(inner, items)| Piece::List(inner, items)),
        ]
    });
    prop::collection::vec(piece, 0..6)
}

fn content(pieces: &[Piece]) -> Fragment {
    let opened = Fragment::new().chunk("<div>");
    let filled = pieces.iter().fold(opened, |to, piece| match piece {
        Piece::Text(text) => to.chunk(format!("<p>{text}</p>")),
        Piece::Part(inner) => {
            let Inner {
                turns,
                placeholder,
                fails,
                ..
            } = **inner;
            let inside = content(&inner.pieces);
            let work = async move {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                match fails {
                    true => Err(io::Error::other("bad")),
                    false => Ok(inside),
                }
            };
            let part = part("part", work)
                .severity(Severity::Note)
                .catch(|_| "<b>none</b>");
            to.part(match placeholder {
                true => part.placeholder("<i>wait</i>"),
                false => part,
            })
        }
        Piece::List(inner, items) => {
            let Inner {
                turns,
                placeholder,
                fails,
                ref pieces,
            } = **inner;
            let pieces = pieces.clone();
            let items = (0..*items)
                .map(Ok)
                .chain(fails.then(|| Err(io::Error::other("bad"))));
            let items = futures_util::StreamExt::then(
                futures_util::stream::iter(items.collect::<Vec<_>>()),
                move |item| async move {
                    for _ in 0..turns {
                        tokio::task::yield_now().await;
                    }
                    item
                },
            );
            let list = each("list", items, move |item| (item, content(&pieces)));
            let list = list.severity(Severity::Note).catch(|_| "<b>none</b>");
            to.part(match placeholder {
                true => list.placeholder("<i>wait</i>"),
                false => list,
            })
        }
    });
    filled.chunk("</div>")
}

async fn octets(body: Body) -> String {
    let collected = body.collect().await.expect("a page with notes is complete");
    String::from_utf8(collected.to_bytes().to_vec()).expect("a page is text")
}

fn both(pieces: &[Piece]) -> (String, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        let page = || Page::new().content(content(pieces)).foot("<p>end</p>");
        let late = page().respond().await.into_body();
        let (in_order, _) = page().write_string().await.expect("a string takes all");
        (in_order, octets(late).await)
    })
}

/// The open elements must close in order, also inside what waits in a template.
fn is_balanced(html: &str) -> bool {
    let mut open = Vec::new();
    for token in Tokenizer::new_with_emitter(html, DefaultEmitter::<()>::new_with_span()) {
        match token.expect("a string can be read") {
            Token::StartTag(tag) => open.push(tag.name),
            Token::EndTag(tag) => {
                if open.pop() != Some(tag.name) {
                    return false;
                }
            }
            _ => {}
        }
    }
    open.is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_page_reads_the_same_in_both_orders(pieces in pieces()) {
        let (in_order, late) = both(&pieces);
        prop_assert!(is_balanced(&in_order), "{}", in_order);
        prop_assert!(is_balanced(&late), "{}", late);
        prop_assert!(!pages::read(&late).contains("<i>wait"), "{}", late);
        prop_assert_eq!(pages::read(&late), in_order, "{}", late);
    }
}
