//! Parses one field line of HTTP/1 strictly.

use super::seen::text_of;

/// Reads a field line without its CRLF, RFC 9112 section 5: no folding, no blank before the colon.
pub(super) fn field_of(line: &[u8]) -> Result<(String, String), String> {
    let bad = || format!("bad field line {:?}", String::from_utf8_lossy(line));
    let colon = line
        .iter()
        .position(|octet| *octet == b':')
        .ok_or_else(bad)?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let is_token = |octet: &u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(octet);
    if name.is_empty() || !name.iter().all(is_token) {
        return Err(bad());
    }
    if value.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
        return Err(bad());
    }
    Ok((text_of(name).to_ascii_lowercase(), text_of(value)))
}
