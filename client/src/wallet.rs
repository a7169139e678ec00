//! Key files: a JSON list of 64 bytes, secret seed then public key, the same as Solana's.

use std::io::Write as _;
use std::path::Path;

use ed25519_dalek::SigningKey;
use io_types::id::AccountId;
use rand::rngs::OsRng;

use crate::error::ClientError;

/// One key. Its public half is an account here and a wallet on Solana.
#[derive(Clone)]
pub struct Wallet {
    key: SigningKey,
}

impl std::fmt::Debug for Wallet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wallet")
            .field("account", &self.account())
            .finish_non_exhaustive()
    }
}

impl Wallet {
    /// A new key from the system's randomness. It is in memory only: see [`Wallet::save`].
    pub fn generate() -> Self {
        Self {
            key: SigningKey::generate(&mut OsRng),
        }
    }

    /// The key of a seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self {
            key: SigningKey::from_bytes(&seed),
        }
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] that names the file: it cannot be read, others than its owner may read it, it is no list of 64
    /// bytes, or its two halves do not belong together. The file's content is never shown.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ClientError> {
        let path = path.as_ref();
        let invalid = |why: String| ClientError::invalid(format!("wallet {}", path.display()), why);
        let text = std::fs::read_to_string(path).map_err(|error| {
            let hint = if error.kind() == std::io::ErrorKind::NotFound {
                "; make one with `io keys new`, or name another with --wallet"
            } else {
                ""
            };
            invalid(format!("{error}{hint}"))
        })?;
        check_permissions(path)?;
        let not_a_key = |_error| invalid("it is no JSON list of 64 bytes".to_owned());
        let bytes: Vec<u8> = serde_json::from_str(&text).map_err(not_a_key)?;
        let bytes: [u8; 64] = bytes
            .try_into()
            .map_err(|_bytes| invalid("it is no JSON list of 64 bytes".to_owned()))?;
        let key = SigningKey::from_keypair_bytes(&bytes).map_err(|_error| {
            invalid("its public half does not belong to its secret half".to_owned())
        })?;
        Ok(Self { key })
    }

    /// Writes a new key file that only its owner may read. Folders above it are made.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] that names the file: it exists already (a key is never overwritten), or cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), ClientError> {
        let path = path.as_ref();
        let write = || {
            if let Some(folder) = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty())
            {
                std::fs::create_dir_all(folder)?;
            }
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            {
                use std::os::unix::fs::OpenOptionsExt as _;
                options.mode(0o600);
            }
            let mut file = options.open(path)?;
            let bytes = self.key.to_keypair_bytes().to_vec();
            file.write_all(serde_json::to_string(&bytes)?.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error: std::io::Error| {
            let why = if error.kind() == std::io::ErrorKind::AlreadyExists {
                "it exists already and a key is never overwritten; name another file".to_owned()
            } else {
                error.to_string()
            };
            ClientError::invalid(format!("wallet {}", path.display()), why)
        })
    }

    /// The account, and Solana wallet, of this key.
    pub fn account(&self) -> AccountId {
        AccountId(self.key.verifying_key().to_bytes())
    }

    /// The key itself.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// The key as Solana's libraries take it.
    pub fn keypair(&self) -> solana_keypair::Keypair {
        solana_keypair::Keypair::new_from_array(self.key.to_bytes())
    }
}

#[cfg(unix)]
fn check_permissions(path: &Path) -> Result<(), ClientError> {
    use std::os::unix::fs::PermissionsExt as _;
    let what = || format!("wallet {}", path.display());
    let mode = std::fs::metadata(path)
        .map_err(|error| ClientError::invalid(what(), error.to_string()))?
        .permissions()
        .mode();
    let others = mode & 0o077;
    if others == 0 {
        return Ok(());
    }
    Err(ClientError::invalid(
        what(),
        format!(
            "others may use it (mode {:03o}); run: chmod 600 {}",
            mode & 0o777,
            path.display()
        ),
    ))
}

#[cfg(not(unix))]
fn check_permissions(_path: &Path) -> Result<(), ClientError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn why(result: Result<impl std::fmt::Debug, ClientError>) -> String {
        match result {
            Err(ClientError::Invalid { what, why }) => format!("{what}: {why}"),
            other => panic!("not refused: {other:?}"),
        }
    }

    fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id.json");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_wallet_survives_its_file_and_is_solanas_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/id.json");
        let wallet = Wallet::generate();
        wallet.save(&path).unwrap();
        assert_eq!(Wallet::load(&path).unwrap().account(), wallet.account());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let solana = solana_keypair::read_keypair_file(&path).unwrap();
        let address = solana_signer::Signer::pubkey(&solana);
        assert_eq!(address.to_bytes(), wallet.account().0);
        assert_eq!(address.to_string(), wallet.account().to_string());
    }

    #[test]
    fn a_key_is_never_overwritten() {
        let (_folder, path) = file("[]");
        assert!(why(Wallet::generate().save(&path)).contains("never overwritten"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[]");
    }

    #[test]
    fn a_wallet_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id.json");
        Wallet::generate().save(&path).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o777] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let why = why(Wallet::load(&path));
            assert!(why.contains("chmod 600"), "{why}");
            assert!(why.contains(&format!("{mode:o}")), "{why}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        Wallet::load(&path).unwrap();
    }

    #[test]
    fn a_broken_wallet_is_refused_without_showing_it() {
        let missing = why(Wallet::load("no/such/file.json"));
        assert!(missing.contains("no/such/file.json") && missing.contains("io keys new"));

        for text in ["", "\"a secret\"", "[1,2,3]", "[256]", "{\"key\":[7]}"] {
            let (_folder, path) = file(text);
            let why = why(Wallet::load(&path));
            assert!(why.ends_with("it is no JSON list of 64 bytes"), "{why}");
        }

        let mut bytes = Wallet::from_seed([7; 32]).key().to_keypair_bytes();
        bytes[40] ^= 1;
        let (_folder, path) = file(&serde_json::to_string(&bytes.to_vec()).unwrap());
        let why = why(Wallet::load(&path));
        assert!(why.contains("does not belong"), "{why}");
    }
}
