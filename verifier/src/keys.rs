//! The verifier's key.

use std::path::Path;

use io_client::{ClientError, Wallet};
use io_types::AccountId;

/// Makes a key file; gives its account.
///
/// # Errors
/// A file that is there already, or cannot be written.
pub fn create(path: &Path) -> Result<AccountId, ClientError> {
    let wallet = Wallet::generate();
    wallet.save(path)?;
    Ok(wallet.account())
}

/// The account of a key file.
///
/// # Errors
/// A file that is no key, or that others may read.
pub fn show(path: &Path) -> Result<AccountId, ClientError> {
    Ok(Wallet::load(path)?.account())
}
