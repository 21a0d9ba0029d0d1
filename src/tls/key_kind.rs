//! Says of a private key that cannot be used what it is, so that whoever made it knows what to make instead.

use rustls::pki_types::PrivateKeyDer;

/// What stands in keys, DER with tag and length, and what it means (RFC 3279, 5480, 8032, 8410).
const KINDS: [(&[u8], &str); 8] = [
    (b"\x06\x05\x2b\x81\x04\x00\x23", "an ECDSA key on the curve P-521"),
    (b"\x06\x05\x2b\x81\x04\x00\x0a", "an ECDSA key on the curve secp256k1"),
    (b"\x06\x05\x2b\x81\x04\x00\x21", "an ECDSA key on the curve P-224"),
    (b"\x06\x03\x2b\x65\x71", "an Ed448 key"),
    (b"\x06\x07\x2a\x86\x48\xce\x38\x04\x01", "a DSA key"),
    (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", "an RSA key of another size, or a damaged one"),
    (b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", "an ECDSA key on the curve P-256, but a damaged one"),
    (b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01", "an ECDSA key on another curve"),
];

/// The algorithm stands before the key itself in PKCS#8; SEC1 has the curve behind a secret of 66 bytes at most.
const LOOKED_AT: usize = 96;

/// A password protects it: PKCS#8 (RFC 5958), or the older way of OpenSSL (RFC 1421) for PKCS#1 and SEC1.
pub(super) fn is_encrypted(pem: &[u8]) -> bool {
    [&b"-----BEGIN ENCRYPTED PRIVATE KEY-----"[..], b"Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| contains(pem, mark))
}

/// What kind of key it is that cannot be used. Says nothing about the key itself.
pub(super) fn describe(key: &PrivateKeyDer<'_>) -> &'static str {
    let der = key.secret_der();
    let start = &der[..der.len().min(LOOKED_AT)];
    let known = KINDS.iter().find(|(mark, _)| contains(start, mark)).map(|(_, kind)| *kind);
    known.unwrap_or(match key {
        PrivateKeyDer::Pkcs1(_) => "an RSA key of another size, or a damaged one",
        PrivateKeyDer::Sec1(_) => "an ECDSA key on another curve",
        _ => "of another kind",
    })
}

fn contains(text: &[u8], mark: &[u8]) -> bool {
    text.windows(mark.len()).any(|part| part == mark)
}
