//! TLS by rustls: the system's roots, a pinned certificate, or nothing at all where it is asked for by name.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use der::asn1::{AnyRef, BitStringRef};
use der::{Decode as _, Reader as _, SliceReader, Tagged as _};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{
    CertificateDer, ServerName, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Endpoint;

/// The log target of the warning of [`TlsPolicy::Insecure`], so that a program can always show it.
pub const INSECURE_LOG_TARGET: &str = "windlass::insecure";

/// Whom to believe on a `wss://` line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TlsPolicy {
    /// Certificates that chain to the system's roots.
    #[default]
    SystemRoots,
    /// The one certificate with this fingerprint, with any signer, name and dates.
    Pinned(Fingerprint),
    /// Any certificate. A line like this can be read and changed by any machine in between; a warning is logged at
    /// each connection.
    Insecure,
}

/// The SHA-256 of a certificate in DER, as browsers and `openssl x509 -fingerprint -sha256` show it.
///
/// ```
/// use windlass_line::{Fingerprint, TlsPolicy};
///
/// let pin: Fingerprint = "5F:EC:EB:66:FF:C8:6F:38:D9:52:78:6C:6D:69:6C:79:C2:DB:C2:39:DD:4E:91:B4:67:29:D7:3A:27:FB:57:E9".parse()?;
/// assert_eq!(pin, Fingerprint::of(b"0"));
/// let policy = TlsPolicy::Pinned(pin);
/// # let _ = policy;
/// # Ok::<_, windlass_line::transport::InvalidFingerprint>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// A text that is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a TLS fingerprint is the certificate's SHA-256: 64 hexadecimal digits, with or without colons")]
pub struct InvalidFingerprint;

impl Fingerprint {
    /// The fingerprint of a certificate in DER.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: Vec<u8> = text
            .trim()
            .chars()
            .filter(|character| *character != ':')
            .map(|character| character.to_digit(16).and_then(|digit| digit.try_into().ok()))
            .collect::<Option<_>>()
            .ok_or(InvalidFingerprint)?;
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        match bytes.try_into() {
            Ok(bytes) if digits.len() == 64 => Ok(Self(bytes)),
            _ => Err(InvalidFingerprint),
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if index == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why TLS failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// The certificate is not the pinned one.
    #[error("the gateway shows another certificate than the pinned one: {found}")]
    PinMismatch {
        /// The fingerprint that was shown.
        found: Fingerprint,
    },
    /// The certificate can't be trusted by the system's roots.
    #[error("the gateway's certificate is not trusted ({why}); its fingerprint is {found}")]
    Untrusted {
        /// Why not.
        why: String,
        /// The fingerprint that was shown.
        found: Fingerprint,
    },
    /// This shard has no root certificates.
    #[error("this machine has no readable root certificates")]
    NoRoots,
    /// The host can't be a name in a certificate.
    #[error("the host can't be checked against a certificate: it is no DNS name and no address")]
    Name,
    /// The two sides don't understand each other: often no TLS on that port.
    #[error("the TLS handshake failed: {0}")]
    Protocol(String),
    /// The connection broke.
    #[error("the connection broke during the TLS handshake: {0}")]
    Broken(io::ErrorKind),
}

/// Makes TLS connections. The system's roots are read once, at first use.
#[derive(Debug, Clone, Default)]
pub(super) struct TlsClient {
    system: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl TlsClient {
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        endpoint: &Endpoint,
        policy: &TlsPolicy,
    ) -> Result<TlsStream<TcpStream>, TlsFault> {
        let name = ServerName::try_from(endpoint.host()).map_err(|_| TlsFault::Name)?;
        let config = match policy {
            TlsPolicy::SystemRoots => self.system_config()?,
            TlsPolicy::Pinned(pin) => config_with(CertPolicy::Pinned(*pin)),
            TlsPolicy::Insecure => {
                tracing::warn!(target: INSECURE_LOG_TARGET, %endpoint, "TLS certificates are not checked: this line can be read and changed in between");
                config_with(CertPolicy::Anyone)
            }
        };
        TlsConnector::from(config).connect(name, stream).await.map_err(fault)
    }

    /// Kept once it could be made: a failure to make it, files that run out for example, passes.
    fn system_config(&self) -> Result<Arc<ClientConfig>, TlsFault> {
        if let Some(config) = self.system.get() {
            return Ok(Arc::clone(config));
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let roots = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|_| TlsFault::NoRoots)?;
        Ok(Arc::clone(
            self.system.get_or_init(|| config_with(CertPolicy::Roots(roots))),
        ))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring offers what TLS 1.2 and 1.3 need")
}

fn config_with(believe: CertPolicy) -> Arc<ClientConfig> {
    let verifier = Arc::new(Verifier {
        believe,
        provider: provider(),
    });
    Arc::new(
        builder()
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth(),
    )
}

fn fault(error: io::Error) -> TlsFault {
    let kind = error.kind();
    match error
        .into_inner()
        .and_then(|inner| inner.downcast::<rustls::Error>().ok())
        .map(|error| *error)
    {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other))) => {
            match other.0.downcast_ref::<CertRejection>() {
                Some(CertRejection { found, why: None }) => TlsFault::PinMismatch { found: *found },
                Some(CertRejection { found, why: Some(why) }) => TlsFault::Untrusted {
                    why: why.to_string(),
                    found: *found,
                },
                None => TlsFault::Protocol(other.to_string()),
            }
        }
        Some(other) => TlsFault::Protocol(other.to_string()),
        None => TlsFault::Broken(kind),
    }
}

/// Whom a [`Verifier`] believes.
#[derive(Debug, Clone)]
enum CertPolicy {
    Roots(Arc<WebPkiServerVerifier>),
    Pinned(Fingerprint),
    Anyone,
}

/// A certificate that was not believed; without a reason it is only not the pinned one.
#[derive(Debug, thiserror::Error)]
#[error("certificate {found} is not believed")]
struct CertRejection {
    found: Fingerprint,
    why: Option<rustls::Error>,
}

/// Checks the certificate by our own rule, and always that the other side holds its key.
///
/// A certificate that need not chain to a root may be of any version of X.509: old appliances have ones of version 1, which the
/// library that checks signatures does not read. There the signature is checked by the certificate's key alone.
#[derive(Debug)]
struct Verifier {
    believe: CertPolicy,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// The key of a certificate that could not be read, where it need not be read.
    fn key_alone<'a>(
        &self,
        certificate: &'a CertificateDer<'_>,
        error: rustls::Error,
    ) -> Result<PublicKey<'a>, rustls::Error> {
        let unreadable = !matches!(error, rustls::Error::InvalidCertificate(CertificateError::BadSignature));
        if matches!(self.believe, CertPolicy::Pinned(_) | CertPolicy::Anyone) && unreadable {
            PublicKey::of_certificate(certificate).map_err(|_| error)
        } else {
            Err(error)
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = Fingerprint::of(end_entity);
        let verdict = match &self.believe {
            CertPolicy::Roots(roots) => {
                let checked = roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
                checked.map_err(|why| CertRejection { found, why: Some(why) })
            }
            CertPolicy::Pinned(pin) if *pin != found => Err(CertRejection { found, why: None }),
            CertPolicy::Pinned(_) | CertPolicy::Anyone => Ok(ServerCertVerified::assertion()),
        };
        verdict.map_err(|disbelief| CertificateError::Other(rustls::OtherError(Arc::new(disbelief))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms).or_else(|error| {
            let key = self.key_alone(cert, error)?;
            let known = algorithms.mapping.iter().find(|(scheme, _)| *scheme == dss.scheme);
            let holds = known.is_some_and(|(_, algorithms)| key.verifies(algorithms, message, dss.signature()));
            holds
                .then(HandshakeSignatureValid::assertion)
                .ok_or_else(|| CertificateError::BadSignature.into())
        })
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms).or_else(|error| {
            let key = self.key_alone(cert, error)?;
            verify_tls13_signature_with_raw_key(message, &key.info(), dss, algorithms)
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Fields of a certificate between its serial number and its key: signature, issuer, validity, subject.
const FIELDS_BEFORE_KEY: usize = 4;

/// A public key, and its algorithm.
struct PublicKey<'a> {
    /// `SubjectPublicKeyInfo`, whole.
    info: &'a [u8],
    /// The contents of its `AlgorithmIdentifier`.
    algorithm: &'a [u8],
    key: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// Reads nothing of a certificate but its key (RFC 5280, 4.1).
    fn of_certificate(certificate: &'a [u8]) -> der::Result<Self> {
        let mut whole = SliceReader::new(AnyRef::from_der(certificate)?.value())?;
        let mut fields = SliceReader::new(AnyRef::decode(&mut whole)?.value())?;
        // From version 2 on the version stands before the serial number.
        if AnyRef::decode(&mut fields)?.tag().is_context_specific() {
            AnyRef::decode(&mut fields)?;
        }
        for _ in 0..FIELDS_BEFORE_KEY {
            AnyRef::decode(&mut fields)?;
        }
        Self::of_info(fields.tlv_bytes()?)
    }

    fn of_info(info: &'a [u8]) -> der::Result<Self> {
        let mut parts = SliceReader::new(AnyRef::from_der(info)?.value())?;
        let algorithm = AnyRef::decode(&mut parts)?.value();
        let key = BitStringRef::decode(&mut parts)?.raw_bytes();
        Ok(Self { info, algorithm, key })
    }

    fn info(&self) -> SubjectPublicKeyInfoDer<'a> {
        self.info.into()
    }

    /// Whether a message was signed with the key, by one of these algorithms.
    fn verifies(&self, by: &[&dyn SignatureVerificationAlgorithm], message: &[u8], signature: &[u8]) -> bool {
        by.iter()
            .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == self.algorithm)
            .any(|algorithm| algorithm.verify_signature(self.key, message, signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_with_and_without_colons() {
        let shown = Fingerprint::of(b"certificate").to_string();
        let plain = shown.replace(':', "").to_lowercase();
        assert_eq!(shown.parse::<Fingerprint>(), plain.parse::<Fingerprint>());
        assert_eq!(shown.parse::<Fingerprint>().unwrap().to_string(), shown);
        for text in [
            "",
            "ab",
            &plain[1..],
            &format!("{plain}00"),
            &plain.replace('a', "g"),
            "é",
        ] {
            if text != plain {
                assert!(text.parse::<Fingerprint>().is_err(), "{text}");
            }
        }
    }
}

#[cfg(test)]
mod public_key_tests {
    use super::*;

    #[test]
    fn the_key_of_a_certificate_is_found() {
        let certified = rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).unwrap();
        let key = PublicKey::of_certificate(certified.cert.der()).unwrap();
        assert_eq!(
            key.info,
            rcgen::PublicKeyData::subject_public_key_info(&certified.signing_key)
        );
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        assert!(
            algorithms
                .all
                .iter()
                .any(|one| one.public_key_alg_id().as_ref() == key.algorithm)
        );
    }

    #[test]
    fn what_is_no_certificate_has_no_key() {
        let certified = rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).unwrap();
        let whole = certified.cert.der();
        for cut in 0..whole.len() {
            assert!(PublicKey::of_certificate(&whole[..cut]).is_err(), "{cut}");
        }
        assert!(PublicKey::of_certificate(&[0x30, 0x80, 0, 0]).is_err());
    }
}
