//! Tokens and quoted strings (RFC 9110 section 5.6), for fields that are not structured.

/// Whether these octets are a token.
pub(super) fn is_token(octets: &[u8]) -> bool {
    !octets.is_empty() && octets.iter().copied().all(is_tchar)
}

fn is_tchar(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet)
}

/// Adds a text as a quoted string.
pub(super) fn quoted(text: &str, to: &mut String) {
    to.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            to.push('\\');
        }
        to.push(c);
    }
    to.push('"');
}

/// Goes over the value of a field from its beginning to its end.
pub(super) struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    /// The token that is next, if one is.
    pub(super) fn token(&mut self) -> Option<&'a [u8]> {
        self.space();
        let end = self.rest.iter().position(|octet| !is_tchar(*octet));
        let (token, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    /// Goes over this octet, if it is next.
    pub(super) fn take(&mut self, octet: u8) -> bool {
        self.space();
        let rest = self.rest.strip_prefix(&[octet]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// The octets of the token or quoted string that is next; one that is not closed goes to the end.
    pub(super) fn value(&mut self) -> Vec<u8> {
        if !self.take(b'"') {
            return self.token().unwrap_or_default().to_vec();
        }
        let mut value = Vec::new();
        while let Some((octet, rest)) = self.rest.split_first() {
            self.rest = rest;
            match octet {
                b'"' => break,
                b'\\' => {
                    if let Some((escaped, rest)) = rest.split_first() {
                        value.push(*escaped);
                        self.rest = rest;
                    }
                }
                octet => value.push(*octet),
            }
        }
        value
    }

    /// Goes behind the next `;` of this member, or the `,` that ends it; `false` if that does not come.
    ///
    /// A quoted string on the way is gone over.
    pub(super) fn skip_to(&mut self, octet: u8) -> bool {
        loop {
            match self.rest.first() {
                None => return false,
                Some(next) if *next == octet => {
                    self.rest = &self.rest[1..];
                    return true;
                }
                Some(b',') => return false,
                Some(b'"') => {
                    self.value();
                }
                Some(_) => self.rest = &self.rest[1..],
            }
        }
    }
}
