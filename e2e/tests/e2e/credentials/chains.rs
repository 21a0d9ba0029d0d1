//! Certificates that an intermediate authority issued.

use e2e::echo::{Echo, EchoOptions, Received};
use e2e::lab::{Identity, Registration};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::Bench;
use crate::identity::GATEWAYS;
use crate::operations::get;

fn authority(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    (params, KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap())
}

#[tokio::test]
async fn a_chain_is_shown_whole_to_a_cluster_that_knows_only_its_root() {
    let (root, root_key) = authority("t5-root");
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let (between, between_key) = authority("t5-between");
    let between_pem = between.signed_by(&between_key, &Issuer::new(root, root_key)).unwrap().pem();
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "t5-leaf");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = params.signed_by(&key, &Issuer::new(between, between_key)).unwrap().pem();

    let echo = Echo::start(EchoOptions::default().client_ca(&root_pem)).unwrap();
    let bench = Bench::start("t5-chains", &[]).await;
    let identity = |cert: String| Identity { cert, key: key.serialize_pem() };
    for (name, cert) in [("t5-whole", format!("{leaf}{between_pem}")), ("t5-leaf-only", leaf.clone())] {
        let cluster = Registration::x509("t5-chains", name, &echo.url(), echo.ca_pem(), &identity(cert));
        bench.register(&cluster).await;
    }
    let whole = get(&bench.caller, &format!("{GATEWAYS}/t5-whole/proxy/x")).await;
    assert_eq!(whole.status, 200, "{}", whole.text());
    assert_eq!(Received::parse(&whole.body).unwrap().client.as_deref(), Some("t5-leaf"));
    let part = get(&bench.caller, &format!("{GATEWAYS}/t5-leaf-only/proxy/x")).await;
    assert_eq!(part.status, 502, "{}", part.text());
    assert!(part.text().contains("refused the gateway's credential"), "{}", part.text());
}
