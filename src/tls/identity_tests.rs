use super::*;

fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["test".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn a_key_that_does_not_fit_its_certificate_is_named_as_such() {
    let ((certificate, key), (_, other)) = (pair(), pair());
    assert!(Identity::from_pem(certificate.as_bytes(), key.as_bytes()).is_ok());
    let mismatch = Identity::from_pem(certificate.as_bytes(), other.as_bytes()).unwrap_err();
    assert_eq!(mismatch, InvalidIdentity::Mismatch);
}

#[test]
fn texts_that_are_no_pem_are_told_apart() {
    let (certificate, key) = pair();
    assert_eq!(Identity::from_pem(b"", key.as_bytes()).unwrap_err(), InvalidIdentity::NoCertificate);
    assert_eq!(Identity::from_pem(certificate.as_bytes(), b"nonsense").unwrap_err(), InvalidIdentity::KeyPem);
    assert!(matches!(
        Identity::from_pem(b"-----BEGIN CERTIFICATE-----\n!!\n", key.as_bytes()),
        Err(InvalidIdentity::CertificatePem(_))
    ));
}

#[test]
fn debug_shows_no_key() {
    let (certificate, key) = pair();
    let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    assert_eq!(format!("{identity:?}"), "Identity { certificates: 1, .. }");
}

/// A file of `testdata`.
macro_rules! text {
    ($name:literal) => {
        include_bytes!(concat!("testdata/", $name)).as_slice()
    };
}

#[test]
fn every_kind_of_key_is_taken_in_every_encoding_that_it_has() {
    for (name, chain, key) in [
        ("RSA, PKCS#1", text!("rsa.crt"), text!("rsa.pkcs1.key")),
        ("RSA, PKCS#8", text!("rsa.crt"), text!("rsa.pkcs8.key")),
        ("P-256, SEC1 after its parameters", text!("p256.crt"), text!("p256.sec1.key")),
        ("P-256, PKCS#8", text!("p256.crt"), text!("p256.pkcs8.key")),
        ("P-384, SEC1", text!("p384.crt"), text!("p384.sec1.key")),
        ("P-384, PKCS#8", text!("p384.crt"), text!("p384.pkcs8.key")),
        ("Ed25519, PKCS#8", text!("ed25519.crt"), text!("ed25519.pkcs8.key")),
    ] {
        let made = Identity::from_pem(chain, key);
        assert!(made.is_ok(), "{name}: {made:?}");
        let other = if name.starts_with("RSA") { text!("p256.crt") } else { text!("rsa.crt") };
        assert_eq!(Identity::from_pem(other, key).unwrap_err(), InvalidIdentity::Mismatch, "{name}");
    }
}

#[test]
fn a_key_that_cannot_be_used_is_called_by_its_kind() {
    for (key, kind) in [
        (text!("p521.sec1.key"), "an ECDSA key on the curve P-521"),
        (text!("p521.pkcs8.key"), "an ECDSA key on the curve P-521"),
        (text!("secp256k1.sec1.key"), "an ECDSA key on the curve secp256k1"),
        (text!("secp256k1.pkcs8.key"), "an ECDSA key on the curve secp256k1"),
        (text!("ed448.pkcs8.key"), "an Ed448 key"),
        (text!("rsa1024.pkcs1.key"), "an RSA key of another size, or a damaged one"),
    ] {
        let error = Identity::from_pem(text!("rsa.crt"), key).unwrap_err();
        assert_eq!(error, InvalidIdentity::KeyKind(kind));
        assert!(error.to_string().contains("P-256 or P-384, and Ed25519 can"), "{error}");
    }
    for key in [text!("rsa.encrypted-pkcs1.key"), text!("rsa.encrypted-pkcs8.key")] {
        let error = Identity::from_pem(text!("rsa.crt"), key).unwrap_err();
        assert_eq!(error, InvalidIdentity::KeyEncrypted);
    }
}

#[test]
fn a_chain_is_kept_whole_and_its_first_certificate_is_the_keys() {
    let leaf = text!("p256.crt");
    let chain = [leaf, b"an intermediate:\n", text!("rsa.crt")].concat();
    let identity = Identity::from_pem(&chain, text!("p256.sec1.key")).unwrap();
    assert_eq!(identity.chain().len(), 2);
    let wrong_order = [text!("rsa.crt"), leaf].concat();
    assert_eq!(
        Identity::from_pem(&wrong_order, text!("p256.sec1.key")).unwrap_err(),
        InvalidIdentity::Mismatch
    );
}
