//! How the page of a folder looks, and the policy that lets nothing else in.
//!
//! Gives: constants.

/// The style, as it stands in every page.
pub(super) const STYLE: &str = include_str!("style.css");

/// The page needs its style, which is named by its hash (CSP level 3, section 6.7.3.3), and nothing else.
pub(super) const POLICY: &str = "default-src 'none'; \
     style-src 'sha256-FdlaH6BBNTMGSBbj1rUC3aLUVenOJp6ygnU4QvPx8Vc='; \
     base-uri 'none'; form-action 'none'";

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// RFC 4648 section 4.
    fn base64(octets: &[u8]) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for three in octets.chunks(3) {
            let padded = [0, 1, 2].map(|at| three.get(at).copied().unwrap_or(0));
            let bits = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
            for digit in 0..4 {
                let index = (bits >> (18 - 6 * digit)) & 63;
                let shown = digit <= three.len();
                text.push(if shown {
                    char::from(DIGITS[index as usize])
                } else {
                    '='
                });
            }
        }
        text
    }

    #[test]
    fn the_policy_names_the_style() {
        assert_eq!(base64(b"foobar"), "Zm9vYmFy");
        assert_eq!(base64(b"fo"), "Zm8=");
        let hash = base64(&Sha256::digest(STYLE));
        let named = format!("style-src 'sha256-{hash}';");
        assert!(POLICY.contains(&named), "style.rs must say {named}");
    }

    #[test]
    fn the_style_ends_nowhere_and_fetches_nothing() {
        for text in ["</", "url(", "@import", "\r"] {
            assert!(!STYLE.contains(text), "{text}");
        }
    }
}
