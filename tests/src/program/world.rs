//! A runtime with the program, two mints, vaults, a queue and a member set, up to the point where the bridge may be initialized.

use std::collections::BTreeMap;
use std::fmt;

use ed25519_dalek::SigningKey;
use io_settlement::account::Bridge;
use io_settlement::address::{BRIDGE_SEED, CLOCK_SYSVAR, UPGRADEABLE_LOADER};
use io_settlement::deposit::{CAPACITY_MIN, queue_len};
use io_settlement::emission::{Schedule, TimeParams};
use io_settlement::members::{Member, MemberSet, members_len};
use io_settlement::{Asset, Bytes32, sha256};
use litesvm::LiteSVM;
use litesvm::types::TransactionMetadata;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;

use super::calls::stage;
use super::tokens::{self, Authority};

/// The program as it is checked in.
pub const PROGRAM: &[u8] = include_bytes!("../../../bridge/program/settlement.so");

/// The program under test: the one that is checked in, or the file that `IO_PROGRAM` names, by which `tests/mutate-program` tries others.
fn program() -> Vec<u8> {
    match std::env::var_os("IO_PROGRAM") {
        Some(path) => std::fs::read(&path).unwrap(),
        None => PROGRAM.to_vec(),
    }
}

/// 2024-07-01T00:00:00Z.
pub const SCHEDULE_START: u64 = 1_719_792_000;
/// When the chain begins, Unix seconds.
pub const GENESIS_TIME: u64 = 1_800_000_000;
/// The cluster's genesis hash.
pub const CLUSTER: Bytes32 = [0xc1; 32];
/// The chain's id.
pub const CHAIN: &str = "io-test-1";
/// What lies in the treasuries that fund depositors, base units.
const TREASURY: u64 = 1_000_000_000_000_000;

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Power of each member.
    pub powers: Vec<u64>,
    /// A set whose keys somebody else has, in place of one with these powers.
    pub set: Option<MemberSet>,
    /// Size of the queue account.
    pub queue_bytes: usize,
    /// Digits of IO after the point.
    pub io_decimals: u8,
    /// Whether IO can be frozen.
    pub io_freeze: bool,
    /// Whether USDC can be frozen.
    pub usdc_freeze: bool,
    /// What is put into the vaults before the start, base units by asset.
    pub in_vaults: [u64; 2],
}

impl fmt::Debug for World {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("World")
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            powers: vec![10, 10, 10, 10],
            set: None,
            queue_bytes: queue_len(CAPACITY_MIN).unwrap(),
            io_decimals: 8,
            io_freeze: false,
            usdc_freeze: false,
            in_vaults: [0, 0],
        }
    }
}

/// Everything on the ledger.
pub struct World {
    /// The runtime with all accounts.
    pub svm: LiteSVM,
    /// The program.
    pub program: Pubkey,
    /// Pays fees and takes part in nothing else.
    pub payer: Keypair,
    /// The program's upgrade authority.
    pub authority: Keypair,
    /// Mints what depositors own.
    pub minter: Keypair,
    /// The bridge account.
    pub bridge: Pubkey,
    /// Mints by asset.
    pub mints: [Pubkey; 2],
    /// Vaults by asset.
    pub vaults: [Pubkey; 2],
    /// The vault of staked IO.
    pub stake_vault: Pubkey,
    /// The deposit queue.
    pub queue: Pubkey,
    /// The account that holds the member set.
    pub members: Pubkey,
    /// The member set.
    pub set: MemberSet,
    /// Keys in the set's order.
    pub keys: Vec<SigningKey>,
    /// Accounts by asset out of which depositors are funded.
    pub treasuries: [Pubkey; 2],
    /// Number of the last keypair made.
    pub serial: u64,
}

/// Keys of a set of these powers, and the set, for an epoch. Different salts give different keys.
pub fn member_set(set_epoch: u64, powers: &[u64], salt: u8) -> (MemberSet, Vec<SigningKey>) {
    let key = |place: usize| {
        SigningKey::from_bytes(&sha256(&[
            b"member",
            &[salt],
            &place.to_string().into_bytes(),
        ]))
    };
    let mut keyed: Vec<(SigningKey, u64)> = powers
        .iter()
        .enumerate()
        .map(|(place, power)| (key(place), *power))
        .collect();
    keyed.sort_by_key(|(key, _)| key.verifying_key().to_bytes());
    let members = keyed
        .iter()
        .map(|(key, power)| Member {
            key: key.verifying_key().to_bytes(),
            power: *power,
        })
        .collect();
    (
        MemberSet::new(set_epoch, members).unwrap(),
        keyed.into_iter().map(|(key, _)| key).collect(),
    )
}

/// Chain time and emission.
pub fn time_params() -> TimeParams {
    TimeParams {
        genesis_time: GENESIS_TIME,
        chain_start: SCHEDULE_START,
        epoch_seconds: 3600,
        schedule: Schedule::Table,
        schedule_start: SCHEDULE_START,
        emitted_before: 0,
    }
}

impl World {
    /// A world in which the bridge may be initialized.
    pub fn prepared(plan: &Plan) -> Self {
        let mut svm = LiteSVM::new();
        let [payer, authority, minter] = [1, 2, 3].map(keypair);
        for key in [&payer, &authority, &minter] {
            svm.airdrop(&key.pubkey(), 1_000_000_000_000).unwrap();
        }
        let program = keypair(9).pubkey();
        let (set, keys) = match &plan.set {
            Some(set) => (set.clone(), Vec::new()),
            None => member_set(1, &plan.powers, 0),
        };
        let none = Pubkey::default();
        let mut world = Self {
            svm,
            program,
            payer,
            authority,
            minter,
            bridge: Pubkey::find_program_address(&[BRIDGE_SEED], &program).0,
            mints: [none; 2],
            vaults: [none; 2],
            stake_vault: none,
            queue: none,
            members: none,
            set,
            keys,
            treasuries: [none; 2],
            serial: 100,
        };
        world.set_time(GENESIS_TIME);
        world.install();
        world.tokens(plan);
        world.queue = world.program_account(plan.queue_bytes);
        let set = world.set.clone();
        world.members = world.staged(&set);
        world
    }

    /// A world with its bridge.
    pub fn started() -> Self {
        Self::with(&Plan::default())
    }

    /// A world of this plan with its bridge.
    pub fn with(plan: &Plan) -> Self {
        let mut world = Self::prepared(plan);
        let call = world.initialize();
        world.done(&[call]);
        world
    }

    /// Puts the program where the upgradeable loader would, with its upgrade authority.
    fn install(&mut self) {
        self.svm.add_program(self.program, &program()).unwrap();
        self.set_upgrade_authority(Some(self.authority.pubkey()));
    }

    /// The program's data account.
    pub fn program_data(&self) -> Pubkey {
        Pubkey::find_program_address(&[self.program.as_ref()], &Pubkey::from(UPGRADEABLE_LOADER)).0
    }

    /// As the loader writes it: giving the authority up leaves the bytes of the last one behind.
    pub fn set_upgrade_authority(&mut self, authority: Option<Pubkey>) {
        let address = self.program_data();
        let mut account = self.svm.get_account(&address).unwrap();
        account.data[12] = u8::from(authority.is_some());
        if let Some(authority) = authority {
            account.data[13..45].copy_from_slice(authority.as_ref());
        }
        self.svm.set_account(address, account).unwrap();
    }

    fn tokens(&mut self, plan: &Plan) {
        let minter = self.minter.pubkey();
        let freeze = |wanted: bool| wanted.then_some(minter);
        self.mints = [
            self.mint(plan.io_decimals, freeze(plan.io_freeze)),
            self.mint(6, freeze(plan.usdc_freeze)),
        ];
        self.treasuries = self.mints.map(|mint| self.token_account(mint, minter));
        self.vaults = self.mints.map(|mint| self.token_account(mint, self.bridge));
        self.stake_vault = self.token_account(self.mints[0], self.bridge);
        let [io, usdc] = self.mints;
        let steps = [
            tokens::mint_to(io, self.treasuries[0], minter, TREASURY),
            tokens::mint_to(usdc, self.treasuries[1], minter, TREASURY),
            tokens::mint_to(io, self.vaults[0], minter, plan.in_vaults[0]),
            tokens::mint_to(usdc, self.vaults[1], minter, plan.in_vaults[1]),
            tokens::set_authority(io, minter, Authority::MintTokens, self.bridge),
        ];
        let minter = self.minter.insecure_clone();
        self.send(&steps, &[&minter]).unwrap();
    }

    /// A fresh keypair.
    pub fn key(&mut self) -> Keypair {
        self.serial += 1;
        keypair(self.serial)
    }

    /// A fresh account of `length` zero bytes that the program owns.
    pub fn program_account(&mut self, length: usize) -> Pubkey {
        let new = self.key();
        self.create(&new, length, self.program, &[]);
        new.pubkey()
    }

    /// Creates an account and runs more instructions in the same transaction.
    pub fn create(&mut self, new: &Keypair, length: usize, owner: Pubkey, more: &[Instruction]) {
        let rent = self.svm.minimum_balance_for_rent_exemption(length);
        let mut steps = vec![tokens::create_account(
            self.payer.pubkey(),
            new.pubkey(),
            rent,
            length,
            owner,
        )];
        steps.extend_from_slice(more);
        self.send(&steps, &[new]).unwrap();
    }

    /// A new mint.
    pub fn mint(&mut self, decimals: u8, freeze: Option<Pubkey>) -> Pubkey {
        let new = self.key();
        let init = tokens::init_mint(new.pubkey(), decimals, self.minter.pubkey(), freeze);
        self.create(&new, tokens::MINT_LEN, tokens::token(), &[init]);
        new.pubkey()
    }

    /// A new token account.
    pub fn token_account(&mut self, mint: Pubkey, owner: Pubkey) -> Pubkey {
        let new = self.key();
        let init = tokens::init_account(new.pubkey(), mint, owner);
        self.create(&new, tokens::TOKEN_ACCOUNT_LEN, tokens::token(), &[init]);
        new.pubkey()
    }

    /// An account with a complete member set.
    pub fn staged(&mut self, set: &MemberSet) -> Pubkey {
        let new = self.key();
        self.create(&new, members_len(set.count()), self.program, &[]);
        for call in stage(&new, set) {
            self.done(&[call]);
        }
        new.pubkey()
    }

    /// A funded user with a token account of the asset that holds `amount`.
    pub fn user(&mut self, asset: Asset, amount: u64) -> (Keypair, Pubkey) {
        let user = self.key();
        self.svm.airdrop(&user.pubkey(), 10_000_000_000).unwrap();
        let account = self.token_account(*asset.of(&self.mints), user.pubkey());
        self.fund(asset, account, amount);
        (user, account)
    }

    /// Sends tokens from the treasury.
    pub fn fund(&mut self, asset: Asset, to: Pubkey, amount: u64) {
        let minter = self.minter.insecure_clone();
        let step = tokens::transfer(*asset.of(&self.treasuries), to, minter.pubkey(), amount);
        self.send(&[step], &[&minter]).unwrap();
    }

    /// The associated token account of an account's key, made if it is not there.
    pub fn associated(&mut self, asset: Asset, owner: Pubkey) -> Pubkey {
        let mint = *asset.of(&self.mints);
        let step = tokens::create_associated(self.payer.pubkey(), owner, mint);
        self.send(&[step], &[]).unwrap();
        tokens::associated(owner, mint)
    }

    /// Sends a transaction, paid by the payer. The error is the runtime's, as it prints it.
    pub fn send(
        &mut self,
        steps: &[Instruction],
        signers: &[&Keypair],
    ) -> Result<TransactionMetadata, String> {
        let payer = self.payer.insecure_clone();
        let mut all = vec![&payer];
        all.extend_from_slice(signers);
        let message =
            Message::new_with_blockhash(steps, Some(&payer.pubkey()), &self.svm.latest_blockhash());
        let transaction =
            VersionedTransaction::try_new(VersionedMessage::Legacy(message), &all).unwrap();
        let result = self
            .svm
            .send_transaction(transaction)
            .map_err(|failed| format!("{:?}", failed.err));
        self.svm.expire_blockhash();
        result
    }

    /// Solana's clock, Unix seconds.
    pub fn set_time(&mut self, unix: u64) {
        self.change_clock(|data| data[32..40].copy_from_slice(&unix.to_le_bytes()));
    }

    /// Solana's clock, Unix seconds, and its slot.
    pub fn set_clock(&mut self, unix: u64, slot: u64) {
        self.change_clock(|data| {
            data[..8].copy_from_slice(&slot.to_le_bytes());
            data[32..40].copy_from_slice(&unix.to_le_bytes());
        });
    }

    fn change_clock(&mut self, change: impl FnOnce(&mut [u8])) {
        let address = Pubkey::from(CLOCK_SYSVAR);
        let mut account = self.svm.get_account(&address).unwrap();
        change(&mut account.data);
        self.svm.set_account(address, account).unwrap();
    }

    /// The bridge account.
    pub fn state(&self) -> Bridge {
        Bridge::read(&self.svm.get_account(&self.bridge).unwrap().data).unwrap()
    }

    /// Balance of a token account, base units.
    pub fn balance(&self, account: Pubkey) -> u64 {
        let account = self.svm.get_account(&account).unwrap();
        u64::from_le_bytes(account.data[tokens::AMOUNT].try_into().unwrap())
    }

    /// Supply of the IO mint, base units.
    pub fn io_supply(&self) -> u64 {
        let account = self.svm.get_account(&self.mints[0]).unwrap();
        u64::from_le_bytes(account.data[36..44].try_into().unwrap())
    }

    /// Digest of every account of the program and of SPL Token, with its lamports.
    pub fn picture(&self) -> BTreeMap<Pubkey, (u64, Bytes32)> {
        let all =
            [self.program, tokens::token()].map(|owner| self.svm.get_program_accounts(&owner));
        all.into_iter()
            .flatten()
            .map(|(key, account)| (key, (account.lamports, sha256(&[&account.data]))))
            .collect()
    }
}

impl Clone for World {
    fn clone(&self) -> Self {
        Self {
            svm: self.svm.clone(),
            payer: self.payer.insecure_clone(),
            authority: self.authority.insecure_clone(),
            minter: self.minter.insecure_clone(),
            set: self.set.clone(),
            keys: self.keys.clone(),
            ..*self
        }
    }
}

/// The same keypair for the same number.
pub fn keypair(number: u64) -> Keypair {
    Keypair::new_from_array(sha256(&[b"keypair", &number.to_le_bytes()]))
}
