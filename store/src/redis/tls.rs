//! A server reached over TLS: whom to trust, what to show, and why a handshake failed.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, RootCertStore, SignatureScheme};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::credentials::{ClientFiles, Tls};
use crate::error::{Cause, Outcome};
use crate::options::Stream;

/// What the client shows to a server that asks who it is.
#[derive(Debug)]
pub(super) struct Identity {
    shown: Option<(ClientFiles, Arc<CertifiedKey>)>,
    /// Whether the server asked. In TLS 1.3 its refusal comes after the handshake, as a connection that breaks.
    asked: AtomicBool,
}

/// Makes what goes through `way` secret, and sees that it leads to `host`, by `deadline`.
pub(super) async fn secure(
    way: Box<dyn Stream>,
    host: &str,
    files: &Tls,
    deadline: Instant,
) -> Outcome<(Box<dyn Stream>, Arc<Identity>)> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| Cause::Unreachable(format!("{host:?} is no name that a certificate could have: {error}")))?;
    let reading = {
        let files = files.clone();
        tokio::task::spawn_blocking(move || configure(&files))
    };
    let (config, identity) = reading.await.map_err(|error| Cause::Other(error.to_string()))??;
    match timeout_at(deadline, TlsConnector::from(config).connect(name, way)).await {
        Ok(Ok(stream)) => Ok((Box::new(stream), identity)),
        Ok(Err(error)) => Err(cause_of(&error, files, &identity)),
        // A Redis without TLS waits for the end of the line that the handshake seems to be.
        Err(_elapsed) => Err(no_tls("the server doesn't answer to a TLS handshake")),
    }
}

impl Identity {
    /// What it means that the connection broke before the login was done: `None` unless the server asked who we are.
    pub fn refused(&self, error: &dyn std::fmt::Display) -> Option<Cause> {
        self.asked.load(Ordering::Relaxed).then(|| match &self.shown {
            None => Cause::Denied(format!(
                "the server asks for a client certificate ({error}): name it in REDIS_CERT_FILE, and its key in \
                 REDIS_KEY_FILE"
            )),
            Some((files, _)) => Cause::Denied(format!(
                "the server doesn't take the client certificate {} ({error}): see whether it is of an authority that \
                 the server trusts, and of today",
                files.cert_file.display()
            )),
        })
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.shown.as_ref().map(|(_, key)| Arc::clone(key))
    }

    fn has_certs(&self) -> bool {
        self.shown.is_some()
    }
}

/// Reads the files as they are now. Blocks.
fn configure(files: &Tls) -> Outcome<(Arc<ClientConfig>, Arc<Identity>)> {
    let provider = Arc::new(ring::default_provider());
    let shown = match &files.client {
        None => None,
        Some(client) => Some((client.clone(), Arc::new(certified(client, &provider)?))),
    };
    let identity = Arc::new(Identity { shown, asked: AtomicBool::new(false) });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Cause::Other(error.to_string()))?
        .with_root_certificates(roots(files.ca_file.as_deref())?)
        .with_client_cert_resolver(Arc::clone(&identity) as Arc<dyn ResolvesClientCert>);
    // It serves one connection.
    config.resumption = Resumption::disabled();
    Ok((Arc::new(config), identity))
}

/// The authorities to trust: those of the file, or else the system's.
fn roots(ca_file: Option<&Path>) -> Outcome<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            for certificate in certificates(path, "REDIS_CA_FILE")? {
                roots.add(certificate).map_err(|error| unreadable(path, "REDIS_CA_FILE", &error))?;
            }
        }
        None => {
            // Old certificates among the system's that can't be read do no harm.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(Cause::Denied(
                    "this system trusts no authority: install its package ca-certificates, or name the authority's \
                     certificate in REDIS_CA_FILE"
                        .to_owned(),
                ));
            }
        }
    }
    Ok(roots)
}

fn certified(files: &ClientFiles, provider: &CryptoProvider) -> Outcome<CertifiedKey> {
    let ClientFiles { cert_file, key_file } = files;
    let chain = certificates(cert_file, "REDIS_CERT_FILE")?;
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| unreadable(key_file, "REDIS_KEY_FILE", &error))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        Cause::Denied(format!(
            "{} (REDIS_KEY_FILE) is not the key of {} (REDIS_CERT_FILE): {error}",
            key_file.display(),
            cert_file.display()
        ))
    })
}

/// At least one certificate.
fn certificates(path: &Path, variable: &str) -> Outcome<Vec<CertificateDer<'static>>> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    let found = read().map_err(|error| unreadable(path, variable, &error))?;
    if found.is_empty() {
        return Err(unreadable(path, variable, &"it holds no certificate in PEM"));
    }
    Ok(found)
}

fn unreadable(path: &Path, variable: &str, why: &dyn std::fmt::Display) -> Cause {
    Cause::Denied(format!("{} ({variable}) can't be read: {why}", path.display()))
}

/// Why a handshake failed: what is wrong with the server comes before what it thinks of the client.
fn cause_of(error: &io::Error, files: &Tls, identity: &Identity) -> Cause {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(certificate)) => untrusted(certificate, files),
        Some(rustls::Error::InvalidMessage(_)) => no_tls("the server doesn't answer in TLS"),
        Some(fault) => {
            identity.refused(fault).unwrap_or_else(|| Cause::Unreachable(format!("the TLS handshake failed: {fault}")))
        }
        None => identity
            .refused(error)
            .unwrap_or_else(|| no_tls(&format!("the connection broke in the TLS handshake ({error})"))),
    }
}

fn untrusted(certificate: &CertificateError, files: &Tls) -> Cause {
    let advice = match certificate {
        // Another authority of the same name gives a signature that doesn't fit.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => match &files.ca_file {
            None => "name the certificate of its authority in REDIS_CA_FILE".to_owned(),
            Some(path) => {
                format!("see whether {} (REDIS_CA_FILE) holds the certificate of its authority", path.display())
            }
        },
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "name the server as its certificate does".to_owned()
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "renew it, or see whether this machine's clock is right".to_owned()
        }
        _ => "give the server one that is signed by an authority, with its name in it".to_owned(),
    };
    Cause::Unreachable(format!("the server's certificate is not trusted ({certificate}): {advice}"))
}

fn no_tls(what: &str) -> Cause {
    Cause::Unreachable(format!("{what}: see whether that port speaks TLS (an address without is redis://)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_comes_with_what_to_do() {
        let own = Tls { ca_file: Some("/etc/ca.pem".into()), client: None };
        for (certificate, files, said) in [
            (CertificateError::UnknownIssuer, &Tls::default(), "in REDIS_CA_FILE"),
            (CertificateError::BadSignature, &own, "/etc/ca.pem (REDIS_CA_FILE)"),
            (CertificateError::NotValidForName, &own, "name the server as its certificate does"),
            (CertificateError::Expired, &own, "renew it"),
            (CertificateError::NotValidYet, &own, "clock"),
            (CertificateError::BadEncoding, &own, "signed by an authority"),
        ] {
            let cause = untrusted(&certificate, files);
            assert!(matches!(&cause, Cause::Unreachable(why) if why.contains(said)), "{certificate}: {cause}");
        }
    }
}
