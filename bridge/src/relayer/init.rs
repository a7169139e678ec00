//! Makes the bridge of a genesis on Solana: member set, queue, vaults, mint authority, `initialize`.
//!
//! Every account that needs a key has one that follows from the upgrade authority's key, so an attempt that was cut off is gone on with.

mod error;
pub mod facts;

use io_client::solana::program::{create_token_account, token_address};
use io_client::solana::{
    BridgeProgram, Commitment, SolanaRpc, address, bridge_address, program_instruction,
};
use io_settlement::account::Bridge;
use io_settlement::address::{SYSTEM_PROGRAM, TOKEN_PROGRAM, UPGRADEABLE_LOADER};
use io_settlement::deposit::{CAPACITY_MIN, queue_len};
use io_settlement::instruction::{INITIALIZE, Initialize, Instruction as ProgramInstruction};
use io_settlement::members::MemberSet;
use io_settlement::{Asset, PerAsset};
use io_types::genesis::GenesisSpec;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer as _;

pub use error::InitError;

use super::instructions::{
    TOKEN_ACCOUNT_LEN, create_account, initialize_token_account, set_mint_authority, transfer,
};
use super::members::{account_of, derived_key};
use super::send::{Points, Sender};

const POINTS: Points = ["relayer:before_init", "relayer:after_init"];

/// What to make.
#[derive(Debug)]
pub struct InitPlan {
    /// The genesis.
    pub spec: GenesisSpec,
    /// The program's upgrade authority; pays for everything.
    pub authority: Keypair,
    /// Smallest deposit per asset, base units.
    pub deposit_min: PerAsset<u64>,
    /// Flags of `initialize`.
    pub flags: u8,
    /// Vaults of IO and USDC; absent: the bridge's associated token accounts.
    pub vaults: PerAsset<Option<Pubkey>>,
    /// Vault of the staked IO; absent: one of its own, made now.
    pub stake_vault: Option<Pubkey>,
    /// Whether the authority's own token accounts fill the vaults.
    pub fund: bool,
    /// Micro-lamports per compute unit.
    pub price: u64,
}

/// A bridge as it was made or found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Made {
    /// The program.
    pub program: String,
    /// The bridge account.
    pub bridge: String,
    /// The deposit queue.
    pub queue: String,
    /// Vaults of IO and USDC.
    pub vaults: PerAsset<String>,
    /// Vault of the staked IO.
    pub stake_vault: String,
    /// The transaction of `initialize`; none if the bridge was there before.
    pub signature: Option<String>,
}

impl InitPlan {
    /// Makes the bridge, or checks the one that is there.
    ///
    /// # Errors
    /// [`InitError`]; what was made before stays and is used by the next attempt.
    pub async fn carry_out(&self, rpc: &SolanaRpc) -> Result<Made, InitError> {
        let wanted = self.spec.bridge.cluster.0;
        let found = rpc.genesis_hash().await?;
        if found != wanted {
            return Err(InitError::Cluster {
                found: hex::encode(found),
                wanted: hex::encode(wanted),
            });
        }
        let program = Pubkey::new_from_array(self.spec.bridge.program.0);
        let account = rpc.account(&program, Commitment::Confirmed).await?;
        if account.is_none_or(|account| !account.executable) {
            return Err(InitError::NoProgram(program));
        }
        let initialize = facts::initialize(&self.spec, self.deposit_min, self.flags);
        let set = facts::member_set(&self.spec).map_err(InitError::Genesis)?;
        let bridge = bridge_address(&program);
        let there = rpc.account(&bridge, Commitment::Confirmed).await?;
        if there.is_some_and(|account| account.owner == program) {
            let found = BridgeProgram::read(rpc, program, Commitment::Confirmed).await?;
            same(&program, &found.bridge, &initialize, &set)?;
            return Ok(made(&program, &found.bridge, None));
        }
        let signature = self.make(rpc, &program, &initialize, &set).await?;
        let found = BridgeProgram::read(rpc, program, Commitment::Confirmed).await?;
        Ok(made(&program, &found.bridge, Some(signature)))
    }

    async fn make(
        &self,
        rpc: &SolanaRpc,
        program: &Pubkey,
        initialize: &Initialize,
        set: &MemberSet,
    ) -> Result<String, InitError> {
        let bridge = bridge_address(program);
        let sender = Sender {
            rpc,
            payer: self.authority.insecure_clone(),
            price: self.price,
        };
        let mints = self.mints();
        let members = account_of(&sender, program, set, None).await?;
        let queue = self.queue(&sender, program).await?;
        let mut vaults = Vec::new();
        for (mint, named) in mints.iter().zip(self.vaults) {
            vaults.push(self.vault(&sender, &bridge, mint, named).await?);
        }
        let [io_mint, usdc_mint] = mints;
        let stake_vault = self.stake_vault(&sender, program, &io_mint).await?;
        self.mint_authority(&sender, &io_mint, &bridge).await?;
        for (asset, vault) in io_types::Asset::BRIDGED.into_iter().zip(&vaults) {
            self.fill(
                &sender,
                asset,
                vault,
                (asset == io_types::Asset::Io).then_some(&stake_vault),
            )
            .await?;
        }
        let loader = address(UPGRADEABLE_LOADER);
        let data = Pubkey::find_program_address(&[program.as_ref()], &loader).0;
        let mut accounts = vec![sender.address(), bridge, members, queue, io_mint, usdc_mint];
        accounts.extend(vaults);
        accounts.extend([stake_vault, *program, data, address(SYSTEM_PROGRAM)]);
        let data = ProgramInstruction::Initialize(*initialize).encode();
        let instruction = program_instruction(program, &INITIALIZE, &accounts, data)?;
        let landed = sender.send(&[instruction], &[], POINTS).await?;
        Ok(landed.signature.to_string())
    }

    fn mints(&self) -> PerAsset<Pubkey> {
        [self.spec.bridge.io_mint, self.spec.bridge.usdc_mint]
            .map(|mint| Pubkey::new_from_array(mint.0))
    }

    /// The program's own queue account of the least capacity.
    async fn queue(&self, sender: &Sender<'_>, program: &Pubkey) -> Result<Pubkey, InitError> {
        let key = derived_key(&self.authority, program, b"queue", &[0; 32]);
        let length = queue_len(CAPACITY_MIN)
            .ok_or(InitError::Genesis(io_settlement::Error::QueueTooSmall))?;
        create(sender, &key, length, program, None).await?;
        Ok(key.pubkey())
    }

    async fn vault(
        &self,
        sender: &Sender<'_>,
        bridge: &Pubkey,
        mint: &Pubkey,
        named: Option<Pubkey>,
    ) -> Result<Pubkey, InitError> {
        if let Some(named) = named {
            return Ok(named);
        }
        let vault = token_address(bridge, mint);
        if sender
            .rpc
            .account(&vault, Commitment::Confirmed)
            .await?
            .is_none()
        {
            let make = create_token_account(&sender.address(), bridge, mint);
            sender.send(&[make], &[], POINTS).await?;
        }
        Ok(vault)
    }

    async fn stake_vault(
        &self,
        sender: &Sender<'_>,
        program: &Pubkey,
        io_mint: &Pubkey,
    ) -> Result<Pubkey, InitError> {
        if let Some(named) = self.stake_vault {
            return Ok(named);
        }
        let key = derived_key(&self.authority, program, b"stake vault", &[0; 32]);
        let bridge = bridge_address(program);
        let then = initialize_token_account(&key.pubkey(), io_mint, &bridge);
        create(
            sender,
            &key,
            TOKEN_ACCOUNT_LEN,
            &address(TOKEN_PROGRAM),
            Some(then),
        )
        .await?;
        Ok(key.pubkey())
    }

    /// Hands the right to mint IO to the bridge, if the authority has it.
    async fn mint_authority(
        &self,
        sender: &Sender<'_>,
        mint: &Pubkey,
        bridge: &Pubkey,
    ) -> Result<(), InitError> {
        let account = sender.rpc.account(mint, Commitment::Confirmed).await?;
        let broken = InitError::Token {
            what: "IO mint",
            key: *mint,
            why: "there is no mint of the token program",
        };
        let data = account
            .filter(|account| account.owner == address(TOKEN_PROGRAM))
            .map(|account| account.data);
        let Some(data) = data else {
            return Err(broken);
        };
        // A mint begins with whether there is an authority, and which.
        let (Some(is_some), Some(key)) = (data.get(..4), data.get(4..36)) else {
            return Err(broken);
        };
        let found = (is_some == [1, 0, 0, 0]).then(|| Pubkey::try_from(key).unwrap_or_default());
        if found == Some(*bridge) {
            return Ok(());
        }
        if found != Some(sender.address()) {
            return Err(InitError::MintAuthority {
                mint: *mint,
                found: found.map_or_else(|| "nobody".to_owned(), |key| key.to_string()),
                bridge: *bridge,
            });
        }
        let hand_over = set_mint_authority(mint, &sender.address(), bridge);
        sender.send(&[hand_over], &[], POINTS).await?;
        Ok(())
    }

    /// Checks that a vault holds what the genesis puts on the chain; sends what is missing if it may.
    async fn fill(
        &self,
        sender: &Sender<'_>,
        asset: io_types::Asset,
        vault: &Pubkey,
        second: Option<&Pubkey>,
    ) -> Result<(), InitError> {
        let wanted = facts::initialize(&self.spec, self.deposit_min, self.flags).on_chain;
        let bridge_asset = match asset {
            io_types::Asset::Io => Asset::Io,
            _ => Asset::Usdc,
        };
        let mut held = sender
            .rpc
            .token_balance(vault, Commitment::Confirmed)
            .await?
            .amount;
        if let Some(second) = second {
            let more = sender
                .rpc
                .token_balance(second, Commitment::Confirmed)
                .await?
                .amount;
            held = held.saturating_add(more);
        }
        let missing = bridge_asset.of(&wanted).saturating_sub(held);
        if missing == 0 {
            return Ok(());
        }
        if !self.fund {
            return Err(InitError::VaultShort {
                vault: *vault,
                asset,
                missing,
            });
        }
        let mint = *bridge_asset.of(&self.mints());
        let source = token_address(&sender.address(), &mint);
        let route = [&source, &mint, vault];
        let send = transfer(route, &sender.address(), missing, bridge_asset.decimals());
        sender.send(&[send], &[], POINTS).await?;
        Ok(())
    }
}

/// Makes an account unless it is there, and initializes it in the same transaction.
async fn create(
    sender: &Sender<'_>,
    key: &Keypair,
    length: usize,
    owner: &Pubkey,
    then: Option<solana_instruction::Instruction>,
) -> Result<(), InitError> {
    if sender
        .rpc
        .account(&key.pubkey(), Commitment::Confirmed)
        .await?
        .is_some()
    {
        return Ok(());
    }
    let lamports = sender.rpc.rent(length).await?;
    let mut instructions = vec![create_account(
        &sender.address(),
        &key.pubkey(),
        lamports,
        length,
        owner,
    )];
    instructions.extend(then);
    sender.send(&instructions, &[key], POINTS).await?;
    Ok(())
}

/// Refuses a bridge of another genesis.
fn same(
    program: &Pubkey,
    bridge: &Bridge,
    wanted: &Initialize,
    set: &MemberSet,
) -> Result<(), InitError> {
    let config = &bridge.config;
    let is_first_set =
        bridge.state.set_epoch != set.set_epoch() || bridge.state.set_hash == set.hash();
    let facts = [
        ("cluster", config.cluster_genesis == wanted.cluster_genesis),
        ("chain id", config.chain_id == wanted.chain_id),
        ("time", config.time == wanted.time),
        ("member set", is_first_set),
    ];
    match facts.iter().find(|(_field, same)| !same) {
        Some((field, _same)) => Err(InitError::OtherBridge {
            program: *program,
            field,
        }),
        None => Ok(()),
    }
}

fn made(program: &Pubkey, bridge: &Bridge, signature: Option<String>) -> Made {
    let text = |bytes: [u8; 32]| Pubkey::new_from_array(bytes).to_string();
    let config = &bridge.config;
    Made {
        program: program.to_string(),
        bridge: bridge_address(program).to_string(),
        queue: text(config.queue),
        vaults: config.vaults.map(text),
        stake_vault: text(config.stake_vault),
        signature,
    }
}
