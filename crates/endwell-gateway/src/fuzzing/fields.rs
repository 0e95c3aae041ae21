//! Fields of the core that peers send beside digests: `Ending`, `Proxy-Status`, `Server-Timing`.

use endwell_core::fields::{
    Declared, EndingField, Metric, ProxyStatus, may_be_trailer, wants_ending,
};

/// `Ending`, `Want-Ending`, `Proxy-Status`, `Server-Timing`: what is read is written and read
/// again as the same, and "complete" comes only of a field that names nothing worse.
///
/// The input: the value of a field; also the name of one.
pub fn fields(input: &[u8]) {
    if let Some(field) = EndingField::parse(input) {
        let worst = field.worst().ending;
        assert!(field.members().iter().all(|member| member.ending <= worst));
        if worst == Declared::Complete {
            for bad in ["degraded", "cancelled", "failed"] {
                let named = input.windows(bad.len()).any(|part| part == bad.as_bytes());
                // In the text of a parameter that is not known it says nothing.
                assert!(!named || input.contains(&b';'), "{bad} is named");
            }
        }
        let written = field.to_field();
        assert_eq!(EndingField::parse(written.as_bytes()), Some(field));
        let more = [input, b", failed"].concat();
        let more = EndingField::parse(&more).expect("one member more");
        assert_eq!(more.worst().ending, Declared::Failed);
    }
    if wants_ending(input) {
        assert!(input.trim_ascii_start().starts_with(b"?1"));
    }
    for member in ProxyStatus::parse(input).unwrap_or_default() {
        let written = member.to_field();
        assert_eq!(ProxyStatus::parse(written.as_bytes()), Some(vec![member]));
    }
    for metric in Metric::parse(input) {
        let written = metric.to_field();
        assert!(
            written
                .bytes()
                .all(|octet| matches!(octet, b' '..=b'~' | b'\t'))
        );
        assert_eq!(Metric::parse(written.as_bytes()), [metric]);
    }
    if let Ok(name) = std::str::from_utf8(input)
        && may_be_trailer(name)
    {
        assert!(!["content-length", "transfer-encoding", "set-cookie"].contains(&name));
    }
}
