//! The public key in a certificate, of whichever version of X.509.

use der::asn1::{AnyRef, BitStringRef};
use der::{Decode as _, Reader as _, SliceReader, Tagged as _};
use rustls::pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};

/// Fields of a certificate between its serial number and its key: signature, issuer, validity, subject.
const FIELDS_BEFORE_KEY: usize = 4;

/// A public key, and its algorithm.
pub(super) struct PublicKey<'a> {
    /// `SubjectPublicKeyInfo`, whole.
    info: &'a [u8],
    /// The contents of its `AlgorithmIdentifier`.
    algorithm: &'a [u8],
    key: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// Reads nothing of a certificate but its key (RFC 5280, 4.1).
    pub(super) fn of_certificate(certificate: &'a [u8]) -> der::Result<Self> {
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

    pub(super) fn info(&self) -> SubjectPublicKeyInfoDer<'a> {
        self.info.into()
    }

    /// Whether a message was signed with the key, by one of these algorithms.
    pub(super) fn verifies(
        &self,
        by: &[&dyn SignatureVerificationAlgorithm],
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        by.iter()
            .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == self.algorithm)
            .any(|algorithm| algorithm.verify_signature(self.key, message, signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
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
