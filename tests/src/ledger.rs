//! The other ledger of a simulated chain as it is: the checked-in program in a runtime, called by signed transactions.
//!
//! Every call is a transaction of its own: deposits are signed by their owners, signatures over batches go through the ed25519
//! precompile, claims bring their proofs. What a picture shows is read from the accounts.

use std::collections::BTreeMap;
use std::fmt;

use ed25519_dalek::SigningKey;
use io_bridge::relayer::init::facts;
use io_settlement::batch::SettleBody;
use io_settlement::{Asset, Bytes32, Error, precompile};
use io_sim::solana::{
    Accounts, Call, DEPOSIT_MIN, Holdings, Ledger, Outside, Picture, Refusal, Relayer, depositor_of,
};
use io_types::genesis::GenesisSpec;
use io_types::{AccountId, Hash, Signature};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

use crate::endpoints;
use crate::program::calls::{self, close_signatures, ed25519};
use crate::program::tokens;
use crate::program::world::{Plan, World, keypair};

/// The program in a runtime, seen through endpoints.
pub const PROGRAM: Outside = Outside {
    name: "program",
    ledger: |spec| Box::new(Program::new(spec)),
    sight: endpoints::eyes,
};

/// The model, seen through endpoints.
pub const MODEL: Outside = Outside {
    name: "model",
    sight: endpoints::eyes,
    ..Outside::MODEL
};

/// What each depositor has of each asset to begin with, base units.
const WALLET: u64 = 200_000_000_000_000;

/// The program and everybody's token accounts.
pub struct Program {
    world: World,
    /// By asset and depositor.
    wallets: BTreeMap<(u8, Bytes32), Pubkey>,
    /// Associated token accounts of those who were paid, by asset and account.
    payees: BTreeMap<(u8, Bytes32), Pubkey>,
    relayers: [Keypair; 2],
    /// Supply of IO before the first settlement.
    supply: u64,
}

impl fmt::Debug for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Program")
            .field("program", &self.world.program)
            .finish_non_exhaustive()
    }
}

impl Program {
    /// Initializes the bridge of a chain; the genesis gets its addresses.
    fn new(spec: &mut GenesisSpec) -> Self {
        let wanted = facts::initialize(spec, DEPOSIT_MIN, 0);
        let set = facts::member_set(spec).unwrap();
        let mut world = World::prepared(&Plan {
            set: Some(set),
            in_vaults: wanted.on_chain,
            ..Plan::default()
        });
        spec.bridge.program = AccountId(world.program.to_bytes());
        spec.bridge.io_mint = AccountId(world.mints[0].to_bytes());
        spec.bridge.usdc_mint = AccountId(world.mints[1].to_bytes());
        world.set_clock(wanted.time.genesis_time, 1000);
        let call = world.initialize_with(wanted);
        world.done(&[call]);
        let relayers = [71, 72].map(keypair);
        for relayer in &relayers {
            world
                .svm
                .airdrop(&relayer.pubkey(), 1_000_000_000_000)
                .unwrap();
        }
        Self {
            supply: world.io_supply(),
            world,
            wallets: BTreeMap::new(),
            payees: BTreeMap::new(),
            relayers,
        }
    }

    /// Sends a call. What no rule explains stops the test, unless it is what the precompile says to a false signature.
    fn send(&mut self, call: &calls::Call) -> Result<(), Refusal> {
        let Err(error) = self.world.try_run(std::slice::from_ref(call)) else {
            return Ok(());
        };
        let place = call.before.len();
        let code = error
            .strip_prefix(&format!("InstructionError({place}, Custom("))
            .and_then(|rest| rest.strip_suffix("))"));
        let rule = code
            .and_then(|code| code.parse().ok())
            .and_then(Error::from_code);
        match rule {
            Some(rule) => Err(Refusal::Rule(rule)),
            None if place > 0 && error.starts_with("InstructionError(0, ") => Err(Refusal::Runtime),
            None => panic!("Solana's runtime refuses a transaction: {error}"),
        }
    }

    fn deposit(
        &mut self,
        (asset, amount): (Asset, u64),
        account: Bytes32,
        depositor: &SigningKey,
    ) -> Result<(), Refusal> {
        let user = Keypair::new_from_array(depositor.to_bytes());
        let key = (asset.byte(), depositor_of(depositor));
        let world = &mut self.world;
        let source = *self.wallets.entry(key).or_insert_with(|| {
            let wallet = world.token_account(*asset.of(&world.mints), user.pubkey());
            world.fund(asset, wallet, WALLET);
            if world.svm.get_account(&user.pubkey()).is_none() {
                world.svm.airdrop(&user.pubkey(), 1_000_000_000).unwrap();
            }
            wallet
        });
        let call = world.deposit(asset, &user, source, amount, account);
        self.send(&call)
    }

    fn post(
        &mut self,
        relayer: Relayer,
        body: &SettleBody,
        signatures: &[(AccountId, Signature)],
    ) -> Result<(), Refusal> {
        let members = self.world.set.members();
        let index = |key: &AccountId| members.iter().position(|member| member.key == key.0);
        let indexes: Vec<u8> = signatures
            .iter()
            .map(|(key, _signature)| u8::try_from(index(key).unwrap()).unwrap())
            .collect();
        let signed: Vec<_> = signatures
            .iter()
            .map(|(key, signature)| (key.0, signature.0))
            .collect();
        let data = precompile::data(&body.message(), &signed).unwrap();
        let call = self.world.post_after(body, &indexes, ed25519(data));
        let payer = &self.relayers[usize::from(relayer.0)];
        let mut call = call.with("payer", payer.pubkey());
        call.signers.push(payer.insecure_clone());
        self.send(&call)
    }

    fn claim(
        &mut self,
        asset: Asset,
        (account, cumulative): (Bytes32, u64),
        (index, siblings): (u64, &[Bytes32]),
    ) -> Result<(), Refusal> {
        let to = Pubkey::from(account);
        let world = &mut self.world;
        self.payees
            .entry((asset.byte(), account))
            .or_insert_with(|| world.associated(asset, to));
        let call = world.claim_leaf(asset, (to, cumulative), (index, siblings));
        self.send(&call)
    }
}

impl Ledger for Program {
    fn set_time(&mut self, unix: u64, slot: u64) {
        self.world.set_clock(unix, slot);
    }

    fn call(&mut self, call: &Call) -> Result<(), Refusal> {
        match call {
            Call::Deposit {
                asset,
                amount,
                account,
                depositor,
            } => self.deposit((*asset, *amount), *account, depositor),
            Call::Post {
                relayer,
                body,
                signatures,
            } => self.post(*relayer, body, signatures),
            Call::Settle { relayer, body } => {
                let call = self.world.settle_for(body, relayer.account());
                self.send(&call)
            }
            Call::Claim {
                asset,
                account,
                cumulative,
                index,
                siblings,
            } => self.claim(*asset, (*account, *cumulative), (*index, siblings)),
            Call::Close { relayer, body_hash } => {
                let set_epoch = self.world.set.set_epoch();
                let signatures = self.world.signatures_address(set_epoch, body_hash);
                let payer = self.relayers[usize::from(relayer.0)].insecure_clone();
                self.send(&close_signatures(signatures, &payer))
            }
        }
    }

    fn picture(&self) -> Picture {
        let bridge = self.world.state();
        let state = &bridge.state;
        Picture {
            deposit_number: state.deposit_number,
            deposit_hash: state.deposit_hash,
            freed_number: state.freed_number,
            freed_hash: state.freed_hash,
            counters: state.counters,
            roots: [bridge.roots.io, bridge.roots.usdc],
            last: bridge.last,
            vaults: self.world.vaults.map(|vault| self.world.balance(vault)),
            stake_vault: self.world.balance(self.world.stake_vault),
        }
    }

    fn holdings(&self) -> Holdings {
        let balance = |account: &Pubkey| self.world.balance(*account);
        let received = self.payees.iter().map(|(key, to)| (*key, balance(to)));
        let sent = self
            .wallets
            .iter()
            .map(|(key, from)| (*key, WALLET - balance(from)));
        Holdings {
            io_made: i128::from(self.world.io_supply()) - i128::from(self.supply),
            received: received.filter(|(_key, sum)| *sum > 0).collect(),
            sent: sent.filter(|(_key, sum)| *sum > 0).collect(),
        }
    }

    fn leak(&mut self) {
        let vault = self.world.vaults[0];
        let mut account = self.world.svm.get_account(&vault).unwrap();
        let left = self.world.balance(vault) - 1;
        account.data[tokens::AMOUNT].copy_from_slice(&left.to_le_bytes());
        self.world.svm.set_account(vault, account).unwrap();
    }

    fn accounts(&self, bridge: &Bytes32) -> Accounts {
        let world = &self.world;
        assert_eq!(
            Hash(world.bridge.to_bytes()),
            Hash(*bridge),
            "the address of the bridge"
        );
        let [bridge, queue, program_data] = [world.bridge, world.queue, world.program_data()]
            .map(|address| world.svm.get_account(&address).unwrap().data);
        Accounts {
            bridge,
            queue,
            program_data,
        }
    }
}
