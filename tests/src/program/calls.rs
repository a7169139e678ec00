//! Calls of the program, batches and signatures.

use ed25519_dalek::Signer as _;
use io_settlement::account::{Bridge, LastSettle};
use io_settlement::address::{CLAIM_SEED, ED25519_PROGRAM, INSTRUCTIONS_SYSVAR, SIGNATURES_SEED};
use io_settlement::batch::{Kind, Payout, SettleBody, chain_id_hash};
use io_settlement::instruction::{self, Initialize, Instruction as Data, Role, Settle, StageHead};
use io_settlement::members::{Member, MemberSet};
use io_settlement::payout::{Tree, leaf};
use io_settlement::{Asset, Bytes32, Error, precompile};
use litesvm::types::TransactionMetadata;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

use super::tokens;
use super::world::{CHAIN, CLUSTER, World, time_params};

/// Signatures that fit a transaction of 1 232 bytes.
pub const PER_TRANSACTION: usize = 6;

/// Members of a piece that fits a transaction.
const PER_PIECE: usize = 20;

/// An instruction of the program with who signs it.
#[derive(Debug)]
pub struct Call {
    /// Its data.
    pub data: Vec<u8>,
    /// What each account is for.
    pub roles: Vec<Role>,
    /// The accounts.
    pub keys: Vec<Pubkey>,
    /// Keys of those who sign.
    pub signers: Vec<Keypair>,
    /// Instructions that stand before it in the transaction.
    pub before: Vec<Instruction>,
}

impl Clone for Call {
    fn clone(&self) -> Self {
        Self {
            data: self.data.clone(),
            roles: self.roles.clone(),
            keys: self.keys.clone(),
            signers: self.signers.iter().map(Keypair::insecure_clone).collect(),
            before: self.before.clone(),
        }
    }
}

impl Call {
    fn new(data: &Data<'_>, roles: &[Role], keys: Vec<Pubkey>, signers: &[&Keypair]) -> Self {
        assert_eq!(roles.len(), keys.len());
        let signers = signers.iter().map(|key| key.insecure_clone()).collect();
        Self {
            data: data.encode(),
            roles: roles.to_vec(),
            keys,
            signers,
            before: vec![],
        }
    }

    /// The place of the role of this name.
    pub fn place(&self, role: &str) -> usize {
        self.roles
            .iter()
            .position(|found| found.name == role)
            .unwrap()
    }

    /// The same call with another account in a role.
    #[must_use]
    pub fn with(&self, role: &str, key: Pubkey) -> Self {
        let mut call = self.clone();
        let place = call.place(role);
        call.keys[place] = key;
        call
    }

    fn instruction(&self, program: Pubkey) -> Instruction {
        let metas = self.keys.iter().zip(&self.roles).map(|(key, role)| {
            if role.writable {
                AccountMeta::new(*key, role.signer)
            } else {
                AccountMeta::new_readonly(*key, role.signer)
            }
        });
        Instruction {
            program_id: program,
            accounts: metas.collect(),
            data: self.data.clone(),
        }
    }
}

impl World {
    /// Runs calls in one transaction.
    pub fn try_run(&mut self, calls: &[Call]) -> Result<TransactionMetadata, String> {
        let mut steps = vec![];
        let mut signers: Vec<&Keypair> = vec![];
        for call in calls {
            steps.extend_from_slice(&call.before);
            steps.push(call.instruction(self.program));
            for key in &call.signers {
                let used = call
                    .keys
                    .iter()
                    .zip(&call.roles)
                    .any(|(found, role)| role.signer && *found == key.pubkey());
                if used && !signers.iter().any(|signer| signer.pubkey() == key.pubkey()) {
                    signers.push(key);
                }
            }
        }
        self.send(&steps, &signers)
    }

    /// Runs calls that must succeed; the compute units they took.
    pub fn done(&mut self, calls: &[Call]) -> u64 {
        match self.try_run(calls) {
            Ok(done) => done.compute_units_consumed,
            Err(error) => panic!("refused: {error} {}", text(&error)),
        }
    }

    /// A call that must be refused by a rule, leaving every account as it was.
    pub fn refused(&mut self, call: &Call, rule: Error) {
        self.fails(
            call,
            &format!(
                "InstructionError({}, Custom({}))",
                call.before.len(),
                rule.code()
            ),
        );
    }

    /// A call that must fail with this error of the runtime, leaving every account as it was.
    pub fn fails(&mut self, call: &Call, expected: &str) {
        let before = self.picture();
        let found = self
            .try_run(std::slice::from_ref(call))
            .map(|done| done.logs)
            .unwrap_err();
        assert_eq!(found, expected, "{}", text(&found));
        assert_eq!(self.picture(), before);
    }

    /// Each role in turn is not signed or not writable, and the call is refused for that; then an account is left out.
    pub fn refused_without_privileges(&mut self, call: &Call) {
        for place in 0..call.roles.len() {
            let mut weaker = call.clone();
            let role = &mut weaker.roles[place];
            if role.signer {
                role.signer = false;
                self.refused(&weaker, Error::MissingSigner);
            }
            let mut weaker = call.clone();
            let role = &mut weaker.roles[place];
            if role.writable {
                role.writable = false;
                self.refused(&weaker, Error::NotWritable);
            }
        }
        let mut shorter = call.clone();
        shorter.keys.pop();
        shorter.roles.pop();
        self.refused(&shorter, Error::MissingAccount);
    }

    /// What `initialize` binds.
    pub fn initialize_data() -> Initialize {
        Initialize {
            cluster_genesis: CLUSTER,
            chain_id: chain_id_hash(CHAIN),
            deposit_min: [1000, 2000],
            on_chain: [0, 0],
            flags: 0,
            time: time_params(),
        }
    }

    /// Initializes the bridge.
    pub fn initialize(&self) -> Call {
        self.initialize_with(Self::initialize_data())
    }

    /// Initializes it with other data.
    pub fn initialize_with(&self, data: Initialize) -> Call {
        let keys = vec![
            self.authority.pubkey(),
            self.bridge,
            self.members,
            self.queue,
            self.mints[0],
            self.mints[1],
            self.vaults[0],
            self.vaults[1],
            self.stake_vault,
            self.program,
            self.program_data(),
            tokens::system(),
        ];
        Call::new(
            &Data::Initialize(data),
            &instruction::INITIALIZE,
            keys,
            &[&self.authority],
        )
    }

    /// Tokens for an account of the chain.
    pub fn deposit(
        &self,
        asset: Asset,
        user: &Keypair,
        source: Pubkey,
        amount: u64,
        account: Bytes32,
    ) -> Call {
        let keys = vec![
            user.pubkey(),
            source,
            *asset.of(&self.vaults),
            self.bridge,
            self.queue,
            tokens::token(),
            tokens::system(),
        ];
        Call::new(
            &Data::Deposit {
                asset,
                amount,
                account,
            },
            &instruction::DEPOSIT,
            keys,
            &[user],
        )
    }

    /// The address of the signatures account of a body at a set epoch.
    pub fn signatures_address(&self, set_epoch: u64, body_hash: &Bytes32) -> Pubkey {
        let seeds = [
            SIGNATURES_SEED,
            &[Kind::Settle.byte()],
            &set_epoch.to_le_bytes(),
            body_hash,
        ];
        Pubkey::find_program_address(&seeds, &self.program).0
    }

    /// Posts signatures of members of the present set on a body.
    pub fn post(&self, body: &SettleBody, indexes: &[u8]) -> Call {
        let message = body.message();
        let signed: Vec<_> = indexes
            .iter()
            .map(|index| self.signed(*index, &message))
            .collect();
        let data = precompile::data(&message, &signed).unwrap();
        self.post_after(body, indexes, ed25519(data))
    }

    /// Posts with any instruction before it.
    pub fn post_after(&self, body: &SettleBody, indexes: &[u8], before: Instruction) -> Call {
        let hash = body.hash();
        let keys = vec![
            self.authority.pubkey(),
            self.bridge,
            self.members,
            self.signatures_address(self.set.set_epoch(), &hash),
            Pubkey::from(INSTRUCTIONS_SYSVAR),
            tokens::system(),
        ];
        let data = Data::PostSignatures {
            kind: Kind::Settle.byte(),
            body_hash: hash,
            members: indexes,
        };
        let mut call = Call::new(
            &data,
            &instruction::POST_SIGNATURES,
            keys,
            &[&self.authority],
        );
        call.before = vec![before];
        call
    }

    /// A member's key and its signature on bytes.
    pub fn signed(&self, index: u8, bytes: &[u8]) -> (Bytes32, [u8; 64]) {
        let key = &self.keys[usize::from(index)];
        (key.verifying_key().to_bytes(), key.sign(bytes).to_bytes())
    }

    /// Applies a batch; the relayer is some account.
    pub fn settle(&self, body: &SettleBody) -> Call {
        self.settle_for(body, [0x77; 32])
    }

    /// Applies a batch for a relayer.
    pub fn settle_for(&self, body: &SettleBody, relayer: Bytes32) -> Call {
        let keys = vec![
            self.bridge,
            self.signatures_address(body.set_epoch, &body.hash()),
            self.queue,
            self.mints[0],
            self.vaults[0],
            self.stake_vault,
            self.vaults[1],
            tokens::token(),
        ];
        Call::new(
            &Data::Settle(Settle {
                body: *body,
                relayer,
            }),
            &instruction::SETTLE,
            keys,
            &[],
        )
    }

    /// Settles and brings the next set along.
    pub fn settle_with_set(&self, body: &SettleBody, staged: Pubkey) -> Call {
        let mut call = self.settle(body);
        call.keys.push(staged);
        call.roles.push(Role {
            name: "next set",
            signer: false,
            writable: false,
        });
        call
    }

    /// Signs with every member and settles; the compute units of the settlement.
    pub fn settled(&mut self, body: &SettleBody) -> u64 {
        self.signed_by_all(body);
        let call = self.settle(body);
        self.done(&[call])
    }

    /// Posts every member's signature.
    pub fn signed_by_all(&mut self, body: &SettleBody) {
        let all: Vec<u8> = (0..self.set.count())
            .map(|index| u8::try_from(index).unwrap())
            .collect();
        for some in all.chunks(PER_TRANSACTION) {
            let call = self.post(body, some);
            self.done(&[call]);
        }
    }

    /// The next batch: it repeats what was done and credits every deposit.
    pub fn batch(&self) -> SettleBody {
        let Bridge {
            config,
            state,
            last,
            ..
        } = self.state();
        let LastSettle { number, .. } = last;
        let totals = state.counters;
        SettleBody {
            cluster_genesis: config.cluster_genesis,
            program_id: self.program.to_bytes(),
            chain_id: config.chain_id,
            set_epoch: state.set_epoch,
            number: number + 1,
            height: 100 * (number + 1),
            app_hash: [0xab; 32],
            epoch: number + 1,
            payouts: totals.payout_total.map(|total| Payout {
                root: [0; 32],
                total,
            }),
            emitted: totals.minted,
            reminted: 0,
            burned: totals.burned,
            credit_burned: totals.credit_burned,
            stake_target: totals.staked,
            deposit_number: state.deposit_number,
            deposit_hash: state.deposit_hash,
            market_hash: [0xcd; 32],
            next_set: [0; 32],
        }
    }

    /// The account that says what was paid.
    pub fn claim_address(&self, asset: Asset, account: Pubkey) -> Pubkey {
        Pubkey::find_program_address(
            &[CLAIM_SEED, &[asset.byte()], account.as_ref()],
            &self.program,
        )
        .0
    }

    /// Claims a leaf of a tree to the account's associated token account.
    pub fn claim(&self, payouts: &Payouts, index: usize) -> Call {
        let leaf = payouts.leaves[index];
        let index = u64::try_from(index).unwrap();
        let proof = payouts.tree.proof(index).unwrap();
        self.claim_leaf(payouts.asset, leaf, (index, &proof))
    }

    /// Claims a leaf by its proof to the account's associated token account.
    pub fn claim_leaf(
        &self,
        asset: Asset,
        (account, cumulative): (Pubkey, u64),
        (index, proof): (u64, &[Bytes32]),
    ) -> Call {
        let keys = vec![
            self.authority.pubkey(),
            account,
            self.bridge,
            self.claim_address(asset, account),
            *asset.of(&self.vaults),
            tokens::associated(account, *asset.of(&self.mints)),
            tokens::token(),
            tokens::system(),
        ];
        let data = Data::Claim {
            asset,
            cumulative,
            index,
            proof,
        };
        Call::new(&data, &instruction::CLAIM, keys, &[&self.authority])
    }
}

/// The payer closes a signatures account.
pub fn close_signatures(account: Pubkey, payer: &Keypair) -> Call {
    Call::new(
        &Data::CloseSignatures,
        &instruction::CLOSE_SIGNATURES,
        vec![payer.pubkey(), account],
        &[payer],
    )
}

/// The calls that stage a set in an account of this key.
pub fn stage(account: &Keypair, set: &MemberSet) -> Vec<Call> {
    let bytes = set.bytes();
    let pieces = bytes.chunks(PER_PIECE * Member::LEN).enumerate();
    let calls = pieces.map(|(piece, members)| {
        let first = u16::try_from(piece * PER_PIECE).unwrap();
        let head = StageHead {
            set_epoch: set.set_epoch(),
            count: set.count(),
            hash: set.hash(),
            first,
        };
        stage_piece(account, head, members)
    });
    calls.collect()
}

/// A piece of a set.
pub fn stage_piece(account: &Keypair, head: StageHead, members: &[u8]) -> Call {
    Call::new(
        &Data::StageSet { head, members },
        &instruction::STAGE_SET,
        vec![account.pubkey()],
        &[account],
    )
}

/// An instruction of the ed25519 precompile.
pub fn ed25519(data: Vec<u8>) -> Instruction {
    Instruction {
        program_id: Pubkey::from(ED25519_PROGRAM),
        accounts: vec![],
        data,
    }
}

/// The payouts of one asset.
#[derive(Clone, Debug)]
pub struct Payouts {
    /// Which.
    pub asset: Asset,
    /// To whom, and all that was ever due, base units.
    pub leaves: Vec<(Pubkey, u64)>,
    /// Over the leaves.
    pub tree: Tree,
}

impl Payouts {
    /// Of these leaves.
    pub fn new(asset: Asset, leaves: Vec<(Pubkey, u64)>) -> Self {
        let chain = chain_id_hash(CHAIN);
        let hashes = leaves
            .iter()
            .map(|(account, paid)| leaf(&chain, asset, account.as_array(), *paid));
        let tree = Tree::new(hashes.collect());
        Self {
            asset,
            leaves,
            tree,
        }
    }

    /// The part of a batch.
    pub fn payout(&self) -> Payout {
        Payout {
            root: self.tree.root(),
            total: self.leaves.iter().map(|(_, paid)| paid).sum(),
        }
    }

    /// Puts the part into a batch.
    pub fn put(&self, body: &mut SettleBody) {
        *self.asset.of_mut(&mut body.payouts) = self.payout();
    }
}

/// The rule's text for an error of the runtime.
fn text(error: &str) -> &'static str {
    let code = error
        .split("Custom(")
        .nth(1)
        .and_then(|rest| rest.split(')').next());
    let rule = code
        .and_then(|code| code.parse().ok())
        .and_then(Error::from_code);
    rule.map_or("", Error::text)
}
