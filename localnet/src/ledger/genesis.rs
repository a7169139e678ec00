//! What a ledger holds when it starts for the first time.
//!
//! A TOML file names mints, programs, SOL and token balances. All of it is written before the ledger listens; afterwards only
//! transactions change state.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use solana_pubkey::Pubkey;
use surfpool_core::{solana_account::Account, surfnet::svm::SurfnetSvm};

/// The SPL token program.
pub const TOKEN_PROGRAM: Pubkey =
    Pubkey::from_str_const("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
/// The program that owns canonical token accounts.
pub const ASSOCIATED_TOKEN_PROGRAM: Pubkey =
    Pubkey::from_str_const("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
/// The loader of upgradeable programs.
pub const UPGRADEABLE_LOADER: Pubkey =
    Pubkey::from_str_const("BPFLoaderUpgradeab1e11111111111111111111111");

/// Rent epoch of an account that pays no rent.
const RENT_EXEMPT: u64 = u64::MAX;

/// The content of a ledger genesis file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerGenesis {
    /// Token mints.
    #[serde(default, rename = "mint")]
    pub mints: Vec<GenesisMint>,
    /// Programs under the upgradeable loader.
    #[serde(default, rename = "program")]
    pub programs: Vec<GenesisProgram>,
    /// Accounts that hold SOL.
    #[serde(default, rename = "account")]
    pub accounts: Vec<GenesisAccount>,
    /// Token accounts.
    #[serde(default, rename = "token")]
    pub tokens: Vec<GenesisToken>,
}

/// A token mint. Its supply is the sum of the token accounts in the same file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisMint {
    /// Its address, base58.
    pub address: String,
    /// Digits after the point.
    pub decimals: u8,
    /// Who may mint, base58; nobody if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// Who may freeze, base58; nobody if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze_authority: Option<String>,
}

/// A program.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisProgram {
    /// Its address, base58.
    pub address: String,
    /// The ELF file; a relative path starts at the genesis file's folder.
    pub elf: PathBuf,
    /// Who may upgrade it, base58; nobody if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade_authority: Option<String>,
}

/// A balance in SOL.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisAccount {
    /// Whose, base58.
    pub address: String,
    /// How much, in lamports.
    pub lamports: u64,
}

/// A balance of a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisToken {
    /// The mint, base58; must be in the same file.
    pub mint: String,
    /// Whose, base58.
    pub owner: String,
    /// How much, in base units.
    pub amount: u64,
    /// Address of the token account, base58; the owner's canonical one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

impl LedgerGenesis {
    /// Reads a genesis file. Errors name the file, and the line where TOML itself is wrong.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the ledger genesis {}", path.display()))?;
        let mut genesis: Self = toml::from_str(&text)
            .with_context(|| format!("{} is no ledger genesis", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        for program in &mut genesis.programs {
            program.elf = folder.join(&program.elf);
        }
        Ok(genesis)
    }

    /// Writes everything into a machine that does not run yet.
    ///
    /// Errors: an address that is no key, named twice, a token without its mint, a supply above 2^64, an ELF that the machine refuses.
    pub fn apply(&self, svm: &mut SurfnetSvm) -> anyhow::Result<()> {
        for (key, account) in
            self.build(&|length| svm.inner.minimum_balance_for_rent_exemption(length))?
        {
            svm.set_account(&key, account)
                .map_err(|error| anyhow::anyhow!("the machine refuses account {key}: {error}"))?;
        }
        Ok(())
    }

    /// The accounts in an order in which they can be set; `rent` gives the lamports that an account of a length needs.
    fn build(&self, rent: &dyn Fn(usize) -> u64) -> anyhow::Result<Vec<(Pubkey, Account)>> {
        let mut supplies = BTreeMap::new();
        for mint in &self.mints {
            supplies.insert(key("mint.address", &mint.address)?, 0_u64);
        }
        let mut all = Vec::new();
        for token in &self.tokens {
            let mint = key("token.mint", &token.mint)?;
            let owner = key("token.owner", &token.owner)?;
            let address = match &token.address {
                Some(address) => key("token.address", address)?,
                None => associated_token_address(&owner, &mint),
            };
            let supply = supplies.get_mut(&mint).with_context(|| {
                format!(
                    "token account {address} is of mint {mint}, which the genesis does not make"
                )
            })?;
            *supply = supply
                .checked_add(token.amount)
                .with_context(|| format!("mint {mint} has a supply above 2^64"))?;
            all.push((
                address,
                owned(TOKEN_PROGRAM, token_data(&mint, &owner, token.amount), rent),
            ));
        }
        for mint in &self.mints {
            let address = key("mint.address", &mint.address)?;
            let supply = supplies.get(&address).copied().unwrap_or(0);
            all.push((
                address,
                owned(TOKEN_PROGRAM, mint_data(mint, supply)?, rent),
            ));
        }
        for account in &self.accounts {
            let address = key("account.address", &account.address)?;
            all.push((
                address,
                Account {
                    lamports: account.lamports,
                    rent_epoch: RENT_EXEMPT,
                    ..Account::default()
                },
            ));
        }
        for program in &self.programs {
            all.extend(program_accounts(program, rent)?);
        }
        let mut seen = std::collections::BTreeSet::new();
        for (address, _) in &all {
            ensure!(
                seen.insert(*address),
                "the ledger genesis makes account {address} twice"
            );
        }
        Ok(all)
    }
}

/// The canonical token account of an owner.
pub fn associated_token_address(owner: &Pubkey, mint: &Pubkey) -> Pubkey {
    Pubkey::find_program_address(
        &[owner.as_ref(), TOKEN_PROGRAM.as_ref(), mint.as_ref()],
        &ASSOCIATED_TOKEN_PROGRAM,
    )
    .0
}

/// The account that holds a program's code and its upgrade authority.
pub fn program_data_address(program: &Pubkey) -> Pubkey {
    Pubkey::find_program_address(&[program.as_ref()], &UPGRADEABLE_LOADER).0
}

fn key(field: &str, text: &str) -> anyhow::Result<Pubkey> {
    match Pubkey::from_str(text) {
        Ok(key) => Ok(key),
        Err(error) => {
            bail!("{field} = \"{text}\" is no public key ({error}); write 32 bytes in base58")
        }
    }
}

fn optional_key(field: &str, text: Option<&str>) -> anyhow::Result<Option<Pubkey>> {
    text.map(|text| key(field, text)).transpose()
}

fn owned(owner: Pubkey, data: Vec<u8>, rent: &dyn Fn(usize) -> u64) -> Account {
    Account {
        lamports: rent(data.len()),
        data,
        owner,
        executable: false,
        rent_epoch: RENT_EXEMPT,
    }
}

/// The token program's option: a tag of four bytes and the key.
fn put_option(data: &mut Vec<u8>, key: Option<Pubkey>) {
    data.extend_from_slice(&u32::from(key.is_some()).to_le_bytes());
    data.extend_from_slice(key.unwrap_or_default().as_ref());
}

fn mint_data(mint: &GenesisMint, supply: u64) -> anyhow::Result<Vec<u8>> {
    let mut data = Vec::with_capacity(82);
    put_option(
        &mut data,
        optional_key("mint.authority", mint.authority.as_deref())?,
    );
    data.extend_from_slice(&supply.to_le_bytes());
    data.push(mint.decimals);
    data.push(1);
    put_option(
        &mut data,
        optional_key("mint.freeze_authority", mint.freeze_authority.as_deref())?,
    );
    Ok(data)
}

fn token_data(mint: &Pubkey, owner: &Pubkey, amount: u64) -> Vec<u8> {
    let mut data = Vec::with_capacity(165);
    data.extend_from_slice(mint.as_ref());
    data.extend_from_slice(owner.as_ref());
    data.extend_from_slice(&amount.to_le_bytes());
    put_option(&mut data, None);
    data.push(1);
    // Not native, nothing delegated, no close authority.
    data.extend_from_slice(&[0; 4 + 8 + 8]);
    put_option(&mut data, None);
    data
}

/// The code account first: the loader looks for it when the program account appears.
fn program_accounts(
    program: &GenesisProgram,
    rent: &dyn Fn(usize) -> u64,
) -> anyhow::Result<[(Pubkey, Account); 2]> {
    let address = key("program.address", &program.address)?;
    let authority = optional_key(
        "program.upgrade_authority",
        program.upgrade_authority.as_deref(),
    )?;
    let elf = std::fs::read(&program.elf)
        .with_context(|| format!("cannot read the program {}", program.elf.display()))?;
    ensure!(
        elf.starts_with(b"\x7fELF"),
        "{} is no ELF file; build the program first",
        program.elf.display()
    );
    let code_address = program_data_address(&address);
    let mut code = Vec::with_capacity(elf.len().saturating_add(45));
    code.extend_from_slice(&3_u32.to_le_bytes());
    code.extend_from_slice(&0_u64.to_le_bytes());
    code.push(u8::from(authority.is_some()));
    code.extend_from_slice(authority.unwrap_or_default().as_ref());
    code.extend_from_slice(&elf);
    let mut entry = 2_u32.to_le_bytes().to_vec();
    entry.extend_from_slice(code_address.as_ref());
    let entry = Account {
        executable: true,
        ..owned(UPGRADEABLE_LOADER, entry, rent)
    };
    Ok([
        (code_address, owned(UPGRADEABLE_LOADER, code, rent)),
        (address, entry),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINT: &str = "So11111111111111111111111111111111111111112";
    const OWNER: &str = "SysvarC1ock11111111111111111111111111111111";

    fn genesis(text: &str) -> anyhow::Result<Vec<(Pubkey, Account)>> {
        toml::from_str::<LedgerGenesis>(text)?.build(&|length| u64::try_from(length).unwrap())
    }

    fn refusal(text: &str) -> String {
        format!("{:#}", genesis(text).unwrap_err())
    }

    #[test]
    fn the_supply_of_a_mint_is_the_sum_of_its_accounts() {
        let accounts = genesis(&format!(
            "[[mint]]\naddress = \"{MINT}\"\ndecimals = 8\n\
             [[token]]\nmint = \"{MINT}\"\nowner = \"{OWNER}\"\namount = 5\n\
             [[token]]\nmint = \"{MINT}\"\nowner = \"{MINT}\"\naddress = \"{OWNER}\"\namount = 7\n"
        ))
        .unwrap();
        let lengths: Vec<usize> = accounts
            .iter()
            .map(|(_, account)| account.data.len())
            .collect();
        assert_eq!(lengths, [165, 165, 82]);
        assert_eq!(accounts[2].1.data[36..44], 12_u64.to_le_bytes());
        assert_eq!(accounts[2].1.data[44..46], [8, 1]);
        assert_eq!(accounts[0].1.data[64..72], 5_u64.to_le_bytes());
        assert_eq!(accounts[0].1.data[108], 1, "initialised");
    }

    #[test]
    fn a_genesis_that_cannot_be_is_refused_with_its_reason() {
        assert_eq!(
            refusal("[[account]]\naddress = \"x0\"\nlamports = 1\n"),
            "account.address = \"x0\" is no public key (Invalid Base58 string); write 32 bytes in base58"
        );
        let account = format!("[[account]]\naddress = \"{OWNER}\"\nlamports = 1\n");
        assert_eq!(
            refusal(&format!("{account}{account}")),
            format!("the ledger genesis makes account {OWNER} twice")
        );
        assert!(
            refusal("[[account]]\naddress = \"x\"\nlamports = 1\nlamport = 1\n")
                .contains("unknown field `lamport`")
        );
        assert!(
            refusal(&format!(
                "[[token]]\nmint = \"{MINT}\"\nowner = \"{OWNER}\"\namount = 5\n"
            ))
            .ends_with(&format!(
                "is of mint {MINT}, which the genesis does not make"
            ))
        );
        assert_eq!(
            refusal(&format!(
                "[[program]]\naddress = \"{OWNER}\"\nelf = \"/dev/null\"\n"
            )),
            "/dev/null is no ELF file; build the program first"
        );
    }
}
