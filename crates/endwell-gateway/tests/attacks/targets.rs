//! Targets that lead out of the folder, in every spelling.

use crate::attacked::Attacked;

/// A target as it stands in the request line, and what must come.
const TARGETS: [(&str, &str); 51] = [
    // The good ones, so that the others are not refused for another reason.
    ("/file.txt", "200 keep"),
    ("/sub/file.txt", "200 keep"),
    ("/%66ile.txt", "200 keep"),
    ("/file.txt?../../secret.txt", "200 keep"),
    // Plain.
    ("/../secret.txt", "404 keep"),
    ("/../../../../../../etc/passwd", "404 keep"),
    ("/sub/../../secret.txt", "404 keep"),
    ("/sub/../file.txt", "404 keep"),
    ("/./file.txt", "404 keep"),
    ("/sub/./file.txt", "404 keep"),
    ("/..", "404 keep"),
    ("/../public-not/secret.txt", "404 keep"),
    ("../secret.txt", "400 close"),
    // Percent.
    ("/%2e%2e/secret.txt", "404 keep"),
    ("/%2E%2e/secret.txt", "404 keep"),
    ("/.%2e/secret.txt", "404 keep"),
    ("/%2e%2e%2fsecret.txt", "404 keep"),
    ("/..%2fsecret.txt", "404 keep"),
    ("/sub%2f..%2f..%2fsecret.txt", "404 keep"),
    ("/%2fetc%2fpasswd", "404 keep"),
    // Percent twice: decoded once, a name that does not exist.
    ("/%252e%252e/secret.txt", "404 keep"),
    ("/%252e%252e%252fsecret.txt", "404 keep"),
    ("/%25%32%65%25%32%65/secret.txt", "404 keep"),
    // Overlong UTF-8 of `.` and `/`, and octets that are none.
    ("/%c0%ae%c0%ae/secret.txt", "404 keep"),
    ("/%c0%ae%c0%ae%c0%afsecret.txt", "404 keep"),
    ("/%e0%80%ae%e0%80%ae/secret.txt", "404 keep"),
    ("/%ff%fe/secret.txt", "404 keep"),
    ("/%u002e%u002e/secret.txt", "404 keep"),
    // Backslashes.
    ("/..\\secret.txt", "404 keep"),
    ("/..%5csecret.txt", "404 keep"),
    ("/sub\\..\\..\\secret.txt", "404 keep"),
    // NUL, and other control characters.
    ("/%00", "404 keep"),
    ("/file.txt%00.html", "404 keep"),
    ("/..%00/secret.txt", "404 keep"),
    ("/file.txt%0d%0aSet-Cookie:%20a=b", "404 keep"),
    ("/sub%0d%0aX:%20y", "404 keep"),
    // Slashes.
    ("//secret.txt", "404 keep"),
    ("//sub/file.txt", "404 keep"),
    ("/sub//file.txt", "404 keep"),
    ("/file.txt/", "404 keep"),
    ("/file.txt/..", "404 keep"),
    // Hidden names, and links that lead out.
    ("/.hidden", "404 keep"),
    ("/%2ehidden", "404 keep"),
    ("/.git/config", "404 keep"),
    ("/link.txt", "404 keep"),
    ("/link-to-link.txt", "404 keep"),
    ("/up/secret.txt", "404 keep"),
    // Another form of target: the path counts, whoever's it is (RFC 9112 section 3.2.2).
    ("http://evil.test/file.txt", "200 keep"),
    ("http://evil.test/../secret.txt", "404 keep"),
    ("http://user@evil.test/file.txt", "400 close"),
    ("file:///etc/passwd", "400 close"),
];

#[test]
fn no_target_leads_out_of_the_folder() {
    let server = Attacked::new();
    let mut wrong = Vec::new();
    for (target, expected) in TARGETS {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let outcome = server.connect().attack(request.as_bytes());
        if outcome.to_string() != expected {
            wrong.push(format!("{target}: {outcome}, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    server.serves();
}
