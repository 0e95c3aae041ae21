//! HTML, read with a tokenizer that others wrote.

use html5gum::emitters::default::DefaultEmitter;
use html5gum::{Token, Tokenizer};
use proptest::prelude::*;

use super::*;

/// Tags, comments and text of a page, as text.
fn read(octets: &[u8]) -> Vec<String> {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut tokens: Vec<String> = Vec::new();
    for token in Tokenizer::new_with_emitter(octets, emitter) {
        let token = match token.expect("no I/O") {
            Token::Error(_) => continue,
            Token::String(text) => {
                let text = String::from_utf8_lossy(&text).into_owned();
                // Text may come in pieces.
                match tokens.last_mut() {
                    Some(last) if last.starts_with("text ") => {
                        last.push_str(&text);
                        continue;
                    }
                    _ => format!("text {text}"),
                }
            }
            Token::Comment(text) => format!("comment {}", String::from_utf8_lossy(&text.value)),
            Token::StartTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                let attributes = tag.attributes.iter().map(|(name, value)| {
                    let name = String::from_utf8_lossy(name);
                    format!(" {name}={}", String::from_utf8_lossy(value))
                });
                format!("<{name}{}>", attributes.collect::<String>())
            }
            Token::EndTag(tag) => format!("</{}>", String::from_utf8_lossy(&tag.name)),
            Token::Doctype(_) => "doctype".to_owned(),
        };
        tokens.push(token);
    }
    tokens
}

const PIECES: &[&str] = &[
    "<!DOCTYPE html>",
    "<p class=a>text",
    "a < b & c <3 </ p>",
    "<a href='/x>y?a=\"1\"' b=c/>link</a>",
    "<a\thref = \"it's > here\"\n>",
    "<a b\"c='>' =d>",
    "<br/><img src=x/>",
    "<!-- a - b -- c --!x > d -->",
    "<!--> text <!---> more <!--!> still --!> out",
    "<!- not a comment -><?php echo 1 ?></ 1>",
    "<script>if (a < b && c > d) { x('</p>') } </scripty></script >",
    "<script nonce=\"1\">1</script\n><style>a > b { c: '<p>' }</style/>",
    "<title>a <b> & c</title>",
    "<textarea><!-- <p></textarea>",
    "<SCRIPT>x</SCRIPT><Title>y</tItLe>",
    "é\u{2028}<b>ü</b>",
    "<table><tr><td>1",
    "<<<p>>></p>",
];

fn page() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(PIECES), 0..6)
        .prop_map(|pieces| pieces.concat())
}

fn tail() -> Tail {
    Tail::html().script(Some("n\"o&nce"))
}

/// What a browser reads of the tail.
fn due() -> [String; 4] {
    [
        format!("comment  {PROBLEM} "),
        "<script nonce=n\"o&nce>".to_owned(),
        format!("text window.onending&&window.onending({PROBLEM})"),
        "</script>".to_owned(),
    ]
}

/// A comment that was cut behind dashes keeps them once something ends it; at the end of input it loses them.
fn without_dashes(tokens: &[String]) -> Vec<String> {
    let mut tokens = tokens.to_vec();
    if let Some(last) = tokens
        .last_mut()
        .filter(|last| last.starts_with("comment "))
    {
        *last = last.trim_end_matches(['-', '!']).to_owned();
    }
    tokens
}

proptest! {
    #[test]
    fn where_it_is_written_it_is_read_and_brings_nothing_else_to_life(
        page in page(), share: u16, ends in proptest::collection::vec(0..400_usize, 0..4),
    ) {
        let cut = &page.as_bytes()[..cut_at(share, 0..page.len())];
        let Some(tail) = tail_of(tail(), cut, &ends) else { return Ok(()) };
        let tokens = read(&[cut, &tail].concat());
        let (before, own) = tokens.split_at(tokens.len().saturating_sub(4));
        prop_assert_eq!(own, &due()[..]);
        prop_assert_eq!(without_dashes(before), without_dashes(&read(cut)));
    }

    #[test]
    fn any_octets_are_survived(octets in "[<>!/'\"= a-s-]{0,40}", ends in proptest::collection::vec(0..40_usize, 0..4)) {
        let Some(tail) = tail_of(tail(), octets.as_bytes(), &ends) else { return Ok(()) };
        let tokens = read(&[octets.as_bytes(), &tail].concat());
        let (before, own) = tokens.split_at(tokens.len().saturating_sub(4));
        prop_assert_eq!(own, &due()[..]);
        prop_assert_eq!(without_dashes(before), without_dashes(&read(octets.as_bytes())));
    }
}

fn written(page: &str) -> Option<String> {
    let tail = tail_of(Tail::html(), page.as_bytes(), &[])?;
    Some(String::from_utf8(tail).expect("text"))
}

#[test]
fn between_tags_and_in_a_comment_it_is_written() {
    let comment = format!("<!-- {PROBLEM} -->");
    for page in PIECES.iter().filter(|page| !page.starts_with("<!- ")) {
        assert_eq!(written(page), Some(comment.clone()), "{page}");
    }
    assert_eq!(written(""), Some(comment.clone()));
    assert_eq!(written("<p>a <!-- cut"), Some(format!("-->{comment}")));
    assert_eq!(written("<svg><path/></svg>a"), Some(comment.clone()));
    assert_eq!(written("<svg><title>a</title>"), Some(comment));
}

#[test]
fn inside_a_tag_a_script_or_a_style_nothing_is_written() {
    for page in [
        "<p>a <",
        "<p>a </",
        "<p>a <a href=\"/delete?id=1",
        "<p>a <a href=/delete?id=1",
        "<p>a <a title='it",
        "<p>a <a ",
        "<p>a </a",
        "<script>deleteAll();",
        "<script>deleteAll();</scrip",
        "<style>a {",
        "<title>cut",
        "<textarea>cut",
        "<noscript><p>a</p>",
        "<!DOCTYPE ht",
        "<plaintext>a",
        // Where these end depends on more than is looked at.
        "<script><!-- <script> </script> a",
        "<svg><style>a<b</style></svg>a",
        "<svg><title/>a</svg>",
        "<math><![CDATA[ <p> ]]></math>",
    ] {
        assert_eq!(written(page), None, "{page}");
    }
}
