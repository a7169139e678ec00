//! The bridge program as its users call it: addresses, the bridge account, deposits and claims.

use io_settlement::account::{Bridge, Claim};
use io_settlement::address::{
    ASSOCIATED_TOKEN_PROGRAM, BRIDGE_SEED, CLAIM_SEED, SYSTEM_PROGRAM, TOKEN_PROGRAM,
};
use io_settlement::instruction::{CLAIM, DEPOSIT, Instruction as ProgramInstruction, Role};
use io_settlement::payout::{self, Tree};
use io_settlement::{Asset, Bytes32};
use io_types::api::{PayoutFile, PayoutProof};
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;

use super::error::SolanaError;
use super::rpc::{Commitment, SolanaRpc};

/// An address of `io_settlement` as Solana's libraries take it.
pub const fn address(bytes: Bytes32) -> Pubkey {
    Pubkey::new_from_array(bytes)
}

/// The bridge account of a program. It is also the authority of the vaults.
pub fn bridge_address(program: &Pubkey) -> Pubkey {
    Pubkey::find_program_address(&[BRIDGE_SEED], program).0
}

/// The claim account of an account and an asset.
pub fn claim_address(program: &Pubkey, asset: Asset, account: &Bytes32) -> Pubkey {
    Pubkey::find_program_address(&[CLAIM_SEED, &[asset.byte()], account], program).0
}

/// A wallet's associated token account of a mint.
pub fn token_address(wallet: &Pubkey, mint: &Pubkey) -> Pubkey {
    let seeds = [wallet.as_ref(), &TOKEN_PROGRAM, mint.as_ref()];
    Pubkey::find_program_address(&seeds, &address(ASSOCIATED_TOKEN_PROGRAM)).0
}

/// Makes a wallet's associated token account if it does not exist; `payer` pays its rent.
pub fn create_token_account(payer: &Pubkey, wallet: &Pubkey, mint: &Pubkey) -> Instruction {
    const CREATE_IDEMPOTENT: u8 = 1;
    Instruction {
        program_id: address(ASSOCIATED_TOKEN_PROGRAM),
        accounts: vec![
            AccountMeta::new(*payer, true),
            AccountMeta::new(token_address(wallet, mint), false),
            AccountMeta::new_readonly(*wallet, false),
            AccountMeta::new_readonly(*mint, false),
            AccountMeta::new_readonly(address(SYSTEM_PROGRAM), false),
            AccountMeta::new_readonly(address(TOKEN_PROGRAM), false),
        ],
        data: vec![CREATE_IDEMPOTENT],
    }
}

/// An instruction of the bridge program: the accounts in the order of its roles.
///
/// # Errors
/// [`SolanaError::Invalid`] if there are fewer accounts than roles. Further accounts are added as read-only.
pub fn program_instruction(
    program: &Pubkey,
    roles: &[Role],
    accounts: &[Pubkey],
    data: Vec<u8>,
) -> Result<Instruction, SolanaError> {
    if accounts.len() < roles.len() {
        let missing = roles.get(accounts.len()).map_or("", |role| role.name);
        return Err(SolanaError::invalid(
            "bridge instruction",
            format!("the account of the role {missing:?} is missing"),
        ));
    }
    let metas = accounts
        .iter()
        .enumerate()
        .map(|(at, key)| match roles.get(at) {
            Some(role) if role.writable => AccountMeta::new(*key, role.signer),
            Some(role) => AccountMeta::new_readonly(*key, role.signer),
            None => AccountMeta::new_readonly(*key, false),
        });
    Ok(Instruction {
        program_id: *program,
        accounts: metas.collect(),
        data,
    })
}

/// The asset as the program numbers it.
///
/// # Errors
/// [`SolanaError::Invalid`] for an asset that never leaves the chain.
pub fn bridge_asset(asset: io_types::Asset) -> Result<Asset, SolanaError> {
    match asset {
        io_types::Asset::Io => Ok(Asset::Io),
        io_types::Asset::Usdc => Ok(Asset::Usdc),
        io_types::Asset::Credit => Err(SolanaError::invalid(
            "asset credit",
            "it does not exist on Solana; use io or usdc",
        )),
    }
}

/// What a payout proof says, as the program takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimProof {
    /// What is claimed.
    pub asset: Asset,
    /// The account that was paid out.
    pub account: Bytes32,
    /// All that was ever paid out to it, base units.
    pub cumulative: u64,
    /// Index of the leaf.
    pub index: u64,
    /// Siblings from the bottom up.
    pub siblings: Vec<Bytes32>,
}

/// A bridge as it stands on Solana.
#[derive(Clone, Copy, Debug)]
pub struct BridgeProgram {
    /// The program.
    pub program: Pubkey,
    /// Its bridge account's address.
    pub address: Pubkey,
    /// Its bridge account.
    pub bridge: Bridge,
    /// The slot at which it was read.
    pub slot: u64,
}

impl ClaimProof {
    /// The proof as a node gives it.
    ///
    /// # Errors
    /// [`SolanaError::Invalid`] for an asset that never leaves the chain.
    pub fn from_api(proof: &PayoutProof) -> Result<Self, SolanaError> {
        Ok(Self {
            asset: bridge_asset(proof.asset)?,
            account: proof.account.0,
            cumulative: proof.cumulative.get(),
            index: proof.index,
            siblings: proof.siblings.iter().map(|hash| hash.0).collect(),
        })
    }

    /// Makes the proof from the leaf set of a batch: this needs no node. None if the account is not in it.
    ///
    /// # Errors
    /// [`SolanaError::Invalid`] if the leaves are not numbered 0, 1, 2 and so on.
    pub fn from_file(
        file: &PayoutFile,
        chain_id: &Bytes32,
        asset: Asset,
        account: &Bytes32,
    ) -> Result<Option<Self>, SolanaError> {
        let leaves = file.assets.get(usize::from(asset.byte()));
        let leaves = leaves.map(Vec::as_slice).unwrap_or_default();
        let invalid =
            |why: &str| SolanaError::invalid(format!("leaf set of batch {}", file.number), why);
        let mut hashes = Vec::with_capacity(leaves.len());
        let mut own = None;
        for (leaf, index) in leaves.iter().zip(0_u64..) {
            if leaf.index != index {
                return Err(invalid(
                    "its leaves are not in order of index; fetch it again",
                ));
            }
            let cumulative = leaf.cumulative.get();
            hashes.push(payout::leaf(chain_id, asset, &leaf.account.0, cumulative));
            if leaf.account.0 == *account {
                own = Some((index, cumulative));
            }
        }
        let Some((index, cumulative)) = own else {
            return Ok(None);
        };
        let siblings = Tree::new(hashes).proof(index);
        Ok(Some(Self {
            asset,
            account: *account,
            cumulative,
            index,
            siblings: siblings.ok_or_else(|| invalid("its leaf is not in its tree"))?,
        }))
    }

    /// The root that the proof leads to; none if its index does not fit its length.
    pub fn root(&self, chain_id: &Bytes32) -> Option<Bytes32> {
        let leaf = payout::leaf(chain_id, self.asset, &self.account, self.cumulative);
        payout::root_of(leaf, self.index, &self.siblings)
    }
}

impl BridgeProgram {
    /// Whether a claim with this proof is accepted: it leads to one of the last settled roots.
    pub fn accepts(&self, proof: &ClaimProof) -> bool {
        let roots = match proof.asset {
            Asset::Io => &self.bridge.roots.io,
            Asset::Usdc => &self.bridge.roots.usdc,
        };
        proof
            .root(&self.bridge.config.chain_id)
            .is_some_and(|root| root != payout::EMPTY && roots.contains(&root))
    }

    /// Reads the bridge account of a program.
    ///
    /// # Errors
    /// [`SolanaError::Invalid`] if there is none, or it belongs to another program; those of the request.
    pub async fn read(
        rpc: &SolanaRpc,
        program: Pubkey,
        commitment: Commitment,
    ) -> Result<Self, SolanaError> {
        let address = bridge_address(&program);
        let invalid = |why: String| {
            SolanaError::invalid(
                format!("bridge account {address} of program {program}"),
                why,
            )
        };
        let mut accounts = rpc.accounts(&[address], commitment, None).await?;
        let account = accounts.value.pop().flatten().ok_or_else(|| {
            invalid("it does not exist; check the program's address and the Solana URL".to_owned())
        })?;
        if account.owner != program {
            return Err(invalid(format!("it belongs to {}", account.owner)));
        }
        let bridge = Bridge::read(&account.data).map_err(|error| invalid(error.to_string()))?;
        Ok(Self {
            program,
            address,
            bridge,
            slot: accounts.slot,
        })
    }

    /// The mint of an asset.
    pub fn mint(&self, asset: Asset) -> Pubkey {
        address(*asset.of(&self.bridge.config.mints))
    }

    /// Moves tokens of `depositor` from `source` into the vault, to be credited to `account`.
    ///
    /// # Errors
    /// [`SolanaError::Invalid`]: never for accounts of this program's own role list.
    pub fn deposit(
        &self,
        depositor: &Pubkey,
        source: &Pubkey,
        asset: Asset,
        amount: u64,
        account: Bytes32,
    ) -> Result<Instruction, SolanaError> {
        let config = &self.bridge.config;
        let accounts = [
            *depositor,
            *source,
            address(*asset.of(&config.vaults)),
            self.address,
            address(config.queue),
            address(TOKEN_PROGRAM),
            address(SYSTEM_PROGRAM),
        ];
        let data = ProgramInstruction::Deposit {
            asset,
            amount,
            account,
        };
        program_instruction(&self.program, &DEPOSIT, &accounts, data.encode())
    }

    /// Pays what the proof allows to the account's associated token account, or to `destination`; then the account itself
    /// must sign, as `payer`.
    ///
    /// # Errors
    /// As [`BridgeProgram::deposit`].
    pub fn claim(
        &self,
        payer: &Pubkey,
        proof: &ClaimProof,
        destination: Option<Pubkey>,
    ) -> Result<Instruction, SolanaError> {
        let account = address(proof.account);
        let canonical = token_address(&account, &self.mint(proof.asset));
        let accounts = [
            *payer,
            account,
            self.address,
            claim_address(&self.program, proof.asset, &proof.account),
            address(*proof.asset.of(&self.bridge.config.vaults)),
            destination.unwrap_or(canonical),
            address(TOKEN_PROGRAM),
            address(SYSTEM_PROGRAM),
        ];
        let data = ProgramInstruction::Claim {
            asset: proof.asset,
            cumulative: proof.cumulative,
            index: proof.index,
            proof: &proof.siblings,
        };
        program_instruction(&self.program, &CLAIM, &accounts, data.encode())
    }

    /// What was paid to an account so far, base units.
    ///
    /// # Errors
    /// Those of the request; [`SolanaError::Invalid`] if the claim account is none.
    pub async fn paid(
        &self,
        rpc: &SolanaRpc,
        asset: Asset,
        account: &Bytes32,
        commitment: Commitment,
    ) -> Result<u64, SolanaError> {
        let address = claim_address(&self.program, asset, account);
        match rpc.account(&address, commitment).await? {
            // Lamports sent ahead make an account that is not the program's yet: nothing was paid.
            Some(found) if found.owner == self.program => Claim::read(&found.data)
                .map(|claim| claim.paid)
                .map_err(|error| {
                    SolanaError::invalid(format!("claim account {address}"), error.to_string())
                }),
            Some(_) | None => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests;
