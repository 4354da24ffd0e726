//! The certificates of a test: an authority, a server's and a client's.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::{ClientFiles, Tls};

/// The name that a server's certificate is for; not the address 127.0.0.1.
pub const SERVER_NAME: &str = "localhost";

/// Makes an authority and what it signs, and writes their files into `folder`, over those that are there.
///
/// # Panics
///
/// Where the files can't be written.
pub fn issue(folder: &Path) -> Tls {
    let mut params = parameters(&[], "Test Authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, key()).expect("an authority can be made");
    let write = |name: &str, text: String| fs::write(folder.join(name), text).expect("a certificate can be written");
    let sign = |name: &str, hosts: &[&str]| {
        let key = key();
        let signed = parameters(hosts, name).signed_by(&key, &authority).expect("a certificate can be signed");
        write(&format!("{name}.pem"), signed.pem());
        write(&format!("{name}.key"), key.serialize_pem());
    };
    write("ca.pem", authority.pem());
    sign("server", &[SERVER_NAME]);
    sign("client", &[]);
    files(folder)
}

/// What a client needs of those files.
pub(super) fn files(folder: &Path) -> Tls {
    let file = |name: &str| folder.join(name);
    let client = ClientFiles { cert_file: file("client.pem"), key_file: file("client.key") };
    Tls { ca_file: Some(file("ca.pem")), client: Some(client) }
}

fn parameters(hosts: &[&str], name: &str) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).expect("a host's name can stand in a certificate");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key can be made")
}
