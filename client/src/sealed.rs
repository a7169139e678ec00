//! Text that only the owner of an account can read: libsodium's sealed box, with X25519 keys made from the ed25519 key.
//!
//! The supplier's worker seals connection details to the renter; the renter opens them with his wallet. It is the same as
//! `crypto_sign_ed25519_pk_to_curve25519` followed by `crypto_box_seal`.

use crypto_box::{PublicKey, SecretKey};
use ed25519_dalek::SigningKey;
use io_types::id::AccountId;
use rand::rngs::OsRng;

use crate::error::ClientError;

/// How much longer sealed bytes are than what they hold.
pub const OVERHEAD: usize = 48;
/// Most bytes that fit one delivery.
pub const DETAILS_BYTES_MAX: usize = 1024 - OVERHEAD;

/// Seals bytes to an account. Two calls never give the same bytes.
///
/// # Errors
/// [`ClientError::Invalid`] if the account is no valid key.
pub fn seal(to: &AccountId, plain: &[u8]) -> Result<Vec<u8>, ClientError> {
    let what = || format!("account {to}");
    let key = to
        .verifying_key()
        .ok_or_else(|| ClientError::invalid(what(), "it is no valid ed25519 key"))?;
    PublicKey::from(key.to_montgomery().to_bytes())
        .seal(&mut OsRng, plain)
        .map_err(|error| ClientError::invalid(what(), error.to_string()))
}

/// Opens what was sealed to the account of this key.
///
/// # Errors
/// [`ClientError::Invalid`] if it was sealed to another account or changed on the way.
pub fn unseal(key: &SigningKey, sealed: &[u8]) -> Result<Vec<u8>, ClientError> {
    SecretKey::from(key.to_scalar_bytes())
        .unseal(sealed)
        .map_err(|_error| {
            ClientError::invalid(
                "sealed bytes",
                "they were sealed to another account, or changed on the way; open them with the wallet that placed the order",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wallet::Wallet;

    #[test]
    fn only_the_owner_opens_what_was_sealed() {
        let wallet = Wallet::from_seed([3; 32]);
        let sealed = seal(&wallet.account(), b"ssh renter@10.0.0.1").unwrap();
        assert_eq!(sealed.len(), 19 + OVERHEAD);
        assert_eq!(
            unseal(wallet.key(), &sealed).unwrap(),
            b"ssh renter@10.0.0.1"
        );
        assert_ne!(
            seal(&wallet.account(), b"ssh renter@10.0.0.1").unwrap(),
            sealed
        );

        let other = Wallet::from_seed([4; 32]);
        let refused = unseal(other.key(), &sealed).unwrap_err();
        assert!(refused.to_string().contains("another account"), "{refused}");
    }

    #[test]
    fn no_changed_byte_is_opened() {
        let wallet = Wallet::from_seed([5; 32]);
        let sealed = seal(&wallet.account(), b"x").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(unseal(wallet.key(), &changed).is_err(), "byte {at}");
        }
        for len in 0..sealed.len() {
            assert!(unseal(wallet.key(), &sealed[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn nothing_is_sealed_to_what_is_no_key() {
        // 2 is no y coordinate of the curve, 1 is its neutral element.
        for first in [1, 2] {
            let mut bytes = [0; 32];
            bytes[0] = first;
            let refused = seal(&AccountId(bytes), b"x").unwrap_err();
            assert!(refused.to_string().contains("no valid ed25519 key"));
        }
    }

    #[test]
    fn the_curve_keys_are_those_of_libsodium() {
        // Key pair of the libsodium test suite (ed25519_convert).
        let seed = hex::decode("421151a459faeade3d247115f94aedae42318124095afabe4d1451a559faedee")
            .unwrap();
        let wallet = Wallet::from_seed(seed.try_into().unwrap());
        let public = wallet.account().verifying_key().unwrap();
        assert_eq!(
            hex::encode(public.to_montgomery().to_bytes()),
            "f1814f0e8ff1043d8a44d25babff3cedcae6c22c3edaa48f857ae70de2baae50"
        );
        let secret = SecretKey::from(wallet.key().to_scalar_bytes());
        assert_eq!(
            secret.public_key().to_bytes(),
            public.to_montgomery().to_bytes()
        );
    }
}
