//! Bytes as lower-case hex digits.

use std::fmt::Write as _;

/// `bytes` as lower-case hex, two digits for each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_bytes_keep_their_leading_zero() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }
}
