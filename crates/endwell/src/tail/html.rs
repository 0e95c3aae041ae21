//! HTML: the reason as a comment, and for scripts as a call of `window.onending`.
//!
//! Reads: the octets of the page, as far as a tokenizer must to know whether they stop between tags
//! (WHATWG HTML, section 13.2.5). Gives: a comment and, if asked for, a script element. Never: ends a
//! tag, an attribute, a script or a style that was cut, because half of one would come to life: a
//! link that leads elsewhere, a script that runs as far as it came. Where the page was cut inside one, or
//! where what a browser makes of it is not certain, nothing is written.

use bytes::Bytes;

/// Longer than any name of an element whose content is not markup.
const LONGEST_NAME: usize = 12;

/// Elements whose content is text up to their end tag (section 13.2.6.2 and on), `noscript` among
/// them when scripts run.
const TEXT_ONLY: [&[u8]; 9] = [
    b"script",
    b"style",
    b"title",
    b"textarea",
    b"noscript",
    b"iframe",
    b"noframes",
    b"noembed",
    b"xmp",
];

/// Elements in which other rules hold (section 13.2.6.5).
const FOREIGN: [&[u8]; 2] = [b"svg", b"math"];

/// Where in a page the octets stopped.
#[derive(Debug, Default)]
pub(crate) struct Page {
    at: At,
    /// The name of the tag under way, in lower case, cut at [`LONGEST_NAME`].
    name: Vec<u8>,
    /// The tag under way is an end tag.
    end_tag: bool,
    /// The element whose content is text.
    text_of: &'static [u8],
    /// How deep in `svg` and in `math`, where those elements hold markup.
    foreign: [u32; FOREIGN.len()],
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    /// Between tags.
    #[default]
    Text,
    /// Behind `<`.
    Open,
    /// Behind `</`.
    OpenEnd,
    TagName,
    BeforeAttribute,
    Attribute,
    AfterAttribute,
    BeforeValue,
    Unquoted,
    Quoted(u8),
    /// Behind `/` in a tag.
    Slash,
    /// Behind `<!`, and so many dashes.
    Declaration(u8),
    /// Behind `<!--`, and so many dashes: `>` ends it at once.
    CommentStart(u8),
    /// In a comment, behind so many dashes: two of them and `>` end it.
    Comment(u8),
    /// In a comment, behind `--!`.
    CommentBang,
    /// Up to the next `>`: a doctype, `<?`, `</` and no letter.
    Bogus,
    /// In the content of `text_of`; so much of `</name`, or of `<!--`, was seen.
    Content(u8),
    /// A comment opens in a script: where that script ends depends on what it holds.
    Dashes(u8),
    /// What a browser makes of it is not known here: foreign content, plaintext and the like.
    Lost,
}

impl Page {
    pub(crate) fn watch(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while let Some((&octet, after)) = rest.split_first() {
            match self.at {
                At::Lost => return,
                At::Text if octet != b'<' => {
                    let next = rest.iter().position(|&octet| octet == b'<');
                    rest = next.map_or(&[], |next| &rest[next..]);
                    continue;
                }
                _ => self.at = self.step(octet),
            }
            rest = after;
        }
    }

    fn step(&mut self, octet: u8) -> At {
        let space = matches!(octet, b' ' | b'\t' | b'\n' | b'\r' | 0x0c);
        match (self.at, octet) {
            (At::Text, b'<') => At::Open,
            (At::Text, _) => At::Text,
            (At::Lost, _) => At::Lost,
            (At::Open | At::OpenEnd, letter) if letter.is_ascii_alphabetic() => {
                self.end_tag = self.at == At::OpenEnd;
                self.name.clear();
                self.name.push(letter.to_ascii_lowercase());
                At::TagName
            }
            (At::Open, b'/') => At::OpenEnd,
            (At::Open, b'!') => At::Declaration(0),
            (At::Open, b'?') => At::Bogus,
            (At::Open, b'<') => At::Open,
            (At::Open, _) | (At::OpenEnd | At::Bogus, b'>') => At::Text,
            (At::OpenEnd | At::Bogus, _) => At::Bogus,
            (At::Declaration(0), b'-') => At::Declaration(1),
            (At::Declaration(1), b'-') => At::CommentStart(0),
            (At::Declaration(0), b'[') => At::Lost,
            (At::Declaration(_), b'>') => At::Text,
            (At::Declaration(_), _) => At::Bogus,
            (At::CommentStart(_) | At::Comment(_) | At::CommentBang, _) => self.in_comment(octet),
            (At::Content(_) | At::Dashes(_), _) => self.in_content(octet),
            (At::Quoted(quote), _) if octet == quote => At::BeforeAttribute,
            (At::Quoted(_), _) => self.at,
            (_, b'>') => self.close_tag(self.at == At::Slash),
            (At::TagName, _) if !space && octet != b'/' => {
                if self.name.len() < LONGEST_NAME {
                    self.name.push(octet.to_ascii_lowercase());
                }
                At::TagName
            }
            (At::BeforeValue, _) if space => At::BeforeValue,
            (At::BeforeValue, b'"' | b'\'') => At::Quoted(octet),
            (At::BeforeValue, _) => At::Unquoted,
            (At::Unquoted, _) if !space => At::Unquoted,
            (At::Unquoted, _) => At::BeforeAttribute,
            (At::Attribute | At::AfterAttribute, b'=') => At::BeforeValue,
            (_, b'/') => At::Slash,
            (At::Attribute | At::AfterAttribute, _) if space => At::AfterAttribute,
            (_, _) if space => At::BeforeAttribute,
            (_, _) => At::Attribute,
        }
    }

    fn in_comment(&self, octet: u8) -> At {
        match (self.at, octet) {
            (At::CommentStart(_) | At::Comment(2..) | At::CommentBang, b'>') => At::Text,
            (At::CommentStart(0), b'-') => At::CommentStart(1),
            (At::CommentStart(_), b'-') => At::Comment(2),
            (At::Comment(2..), b'!') => At::CommentBang,
            (At::Comment(dashes), b'-') => At::Comment(dashes.saturating_add(1)),
            (At::CommentBang, b'-') => At::Comment(1),
            (_, _) => At::Comment(0),
        }
    }

    /// Looks for the end tag; in a script, for a comment too.
    fn in_content(&mut self, octet: u8) -> At {
        let name = self.text_of;
        let seen = match self.at {
            At::Content(seen) => usize::from(seen),
            _ => 0,
        };
        match (self.at, octet) {
            (At::Content(1), b'!') if name == b"script" => At::Dashes(0),
            (At::Dashes(0), b'-') => At::Dashes(1),
            (At::Dashes(1), b'-') => At::Lost,
            (_, b'<') => At::Content(1),
            (At::Content(1), b'/') => At::Content(2),
            // In SVG it may be a tag.
            (At::Content(1), _) if self.foreign != [0; FOREIGN.len()] => At::Lost,
            (At::Content(2..), _) if seen - 2 < name.len() => {
                let fits = octet.to_ascii_lowercase() == name[seen - 2];
                match fits {
                    true => At::Content(seen as u8 + 1),
                    false if self.foreign != [0; FOREIGN.len()] => At::Lost,
                    false => At::Content(0),
                }
            }
            (At::Content(2..), b'>') => At::Text,
            (At::Content(2..), b' ' | b'\t' | b'\n' | b'\r' | 0x0c | b'/') => {
                self.end_tag = true;
                self.name.clear();
                At::BeforeAttribute
            }
            (_, _) => At::Content(0),
        }
    }

    /// A tag is whole: what follows it?
    fn close_tag(&mut self, slash: bool) -> At {
        if let Some(foreign) = FOREIGN.iter().position(|name| self.name == *name) {
            let depth = &mut self.foreign[foreign];
            match (self.end_tag, slash) {
                (true, _) => *depth = depth.saturating_sub(1),
                (false, true) => {}
                (false, false) => *depth = depth.saturating_add(1),
            }
        }
        if self.end_tag {
            return At::Text;
        }
        if self.name == b"plaintext" {
            return At::Lost;
        }
        match TEXT_ONLY.into_iter().find(|name| self.name == *name) {
            // In SVG the element ends here, in HTML it does not.
            Some(_) if slash => At::Lost,
            Some(name) => {
                self.text_of = name;
                At::Content(0)
            }
            None => At::Text,
        }
    }

    /// What must stand before an element that is written here; `None` where a browser would take it for
    /// something else.
    pub(crate) fn room(&self) -> Option<&'static str> {
        match self.at {
            At::Text => Some(""),
            At::CommentStart(_) | At::Comment(_) | At::CommentBang => Some("-->"),
            _ => None,
        }
    }

    /// The comment and the script, or nothing where a browser would take them for something else.
    pub(super) fn write(&self, problem: &str, script: Option<&Script>) -> Option<Bytes> {
        let end = self.room()?;
        let script = script.map_or(String::new(), |script| script.element(problem));
        Some(format!("{end}<!-- {problem} -->{script}").into())
    }
}

/// A script that tells the page itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    nonce: Option<String>,
}

impl Script {
    pub(super) fn new(nonce: Option<String>) -> Self {
        Self { nonce }
    }

    fn element(&self, problem: &str) -> String {
        let nonce = match &self.nonce {
            Some(nonce) => format!(" nonce=\"{}\"", attribute(nonce)),
            None => String::new(),
        };
        format!("<script{nonce}>window.onending&&window.onending({problem})</script>")
    }
}

/// The value of a quoted attribute.
fn attribute(value: &str) -> String {
    value.replace('&', "&amp;").replace('"', "&quot;")
}
