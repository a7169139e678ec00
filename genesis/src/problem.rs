//! What a genesis can break, each with the rule, the figures and the way out.

use io_types::asset::Asset;
use io_types::id::{AccountId, ValidatorAddress};

/// Which part of a network folder a problem is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// `network.toml`
    Network,
    /// `params.toml`
    Params,
    /// `catalogue.toml`
    Catalogue,
    /// `models.toml`
    Models,
    /// `balances.toml`
    Balances,
    /// `verifiers.toml`
    Verifiers,
    /// The validator's file, by moniker.
    Validator(String),
    /// `validators/`
    Validators,
}

macro_rules! problems {
    ($($(#[doc = $doc:literal])+ #[error($text:literal)] $name:ident { $($(#[doc = $field_doc:literal])+ $field:ident: $type:ty),* $(,)? } at $part:expr, $needle:expr;)+) => {
        /// A rule that a genesis breaks.
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        pub enum Problem {
            $($(#[doc = $doc])+ #[error($text)] $name { $($(#[doc = $field_doc])+ $field: $type),* },)+
        }

        impl Problem {
            /// Where it is: the part of the folder, and a text that the line at fault holds.
            pub fn place(&self) -> (Part, String) {
                #[expect(unused_variables, reason = "most places need none of the fields")]
                match self {
                    $(Self::$name { $($field),* } => ($part, $needle),)+
                }
            }
        }
    };
}

problems! {
    /// The chain id has another form.
    #[error("chain id {id:?} is not 3 to 50 characters of a-z, 0-9, '-'; choose another")]
    ChainId {
        /// The id.
        id: String,
    } at Part::Network, "chain_id".into();
    /// A template's field has no value of its kind.
    #[error("{field} = {value:?} is no instant; write UTC as 2026-01-31T00:00:00Z")]
    Instant {
        /// Field of `network.toml`.
        field: &'static str,
        /// Its text.
        value: String,
    } at Part::Network, (*field).to_owned();
    /// Chain time would not begin with an epoch.
    #[error("chain_start {text} is not a full hour; use {hour}")]
    ChainStart {
        /// As it is.
        text: String,
        /// The hour that holds it.
        hour: String,
    } at Part::Network, "chain_start".into();
    /// The schedule would not begin with a month.
    #[error("schedule_start {text} is not the first instant of a UTC month; use the first day at 00:00:00Z")]
    ScheduleStart {
        /// As it is.
        text: String,
    } at Part::Network, "schedule_start".into();
    /// An epoch needs a length.
    #[error("epoch_seconds is {seconds}; an epoch lasts 1 to 3600 real seconds")]
    EpochSeconds {
        /// As it is.
        seconds: u32,
    } at Part::Network, "epoch_seconds".into();
    /// Blocks too large or too small.
    #[error("block_bytes_max is {bytes}; use 1 000 000 to 4 000 000")]
    BlockBytes {
        /// As it is.
        bytes: u32,
    } at Part::Network, "block_bytes_max".into();
    /// Evidence would never count.
    #[error("evidence_blocks and evidence_seconds must be above 0; they are {blocks} and {seconds}")]
    EvidenceAge {
        /// Blocks.
        blocks: u64,
        /// Real seconds.
        seconds: u64,
    } at Part::Network, "evidence_".into();
    /// A fact of the Solana side is missing.
    #[error("bridge.{field} is all zero; write the real one before the genesis is made")]
    BridgeUnset {
        /// Field of `[bridge]`.
        field: &'static str,
    } at Part::Network, (*field).to_owned();
    /// One mint for two assets.
    #[error("bridge.io_mint and bridge.usdc_mint are the same, {mint}; they are two tokens")]
    SameMint {
        /// The mint.
        mint: AccountId,
    } at Part::Network, "usdc_mint".into();

    /// Nobody to make blocks.
    #[error("there is no validator; add one with `io-genesis add-validator`")]
    NoValidator {} at Part::Validators, String::new();
    /// More than a settlement set can hold.
    #[error("there are {count} validators; a settlement set holds {max} at most")]
    ManyValidators {
        /// How many.
        count: usize,
        /// How many may be.
        max: u16,
    } at Part::Validators, String::new();
    /// Rows out of order or twice.
    #[error("{list} are not ascending without repetition at {key}; sort them by {by}")]
    Order {
        /// Which list.
        list: &'static str,
        /// What they are sorted by.
        by: &'static str,
        /// The key of the row that does not follow the one before.
        key: String,
    } at list_part(list), key.clone();
    /// The address is of another key.
    #[error("validator {moniker:?} has address {address}, but its consensus key's is {right}; use that")]
    Address {
        /// Who.
        moniker: String,
        /// As it is.
        address: ValidatorAddress,
        /// As it must be.
        right: ValidatorAddress,
    } at Part::Validator(moniker.clone()), "address".into();
    /// A vote without weight.
    #[error("validator {moniker:?} has no power; give it 1 or more")]
    ZeroPower {
        /// Who.
        moniker: String,
    } at Part::Validator(moniker.clone()), "power".into();
    /// More power than the consensus engine counts.
    #[error("the validators' powers add up to {sum}; the consensus engine takes {max} at most, so scale them down")]
    PowerSum {
        /// All of them.
        sum: u128,
        /// The most.
        max: u64,
    } at Part::Validators, String::new();
    /// A key that no signature can come from.
    #[error("{what} {key} of {who} is no valid ed25519 public key; check the file that it was copied from")]
    BadKey {
        /// Which key.
        what: &'static str,
        /// The key.
        key: String,
        /// Whose.
        who: String,
    } at key_part(what, who), key.clone();
    /// One key with two uses.
    #[error("key {key} is the {first} and the {second}; make a key of its own for each use")]
    SharedKey {
        /// The key, base58.
        key: AccountId,
        /// One use.
        first: String,
        /// Another.
        second: String,
    } at Part::Validators, key.to_string();
    /// A name that cannot be shown.
    #[error("moniker {moniker:?} is not 1 to 64 printable characters; choose another")]
    Moniker {
        /// The name.
        moniker: String,
    } at Part::Validator(moniker.clone()), "moniker".into();
    /// Nothing to hash back to.
    #[error("validator {moniker:?} has a beacon anchor of zeros; use the one that `io-node init` printed")]
    BeaconAnchor {
        /// Who.
        moniker: String,
    } at Part::Validator(moniker.clone()), "beacon_anchor".into();

    /// A row that says nothing.
    #[error("the balance of {account} in {asset} is 0; remove the row")]
    ZeroBalance {
        /// Whose.
        account: AccountId,
        /// In what.
        asset: Asset,
    } at Part::Balances, account.to_string();
    /// Credits come from burning only.
    #[error("account {account} has credits at genesis; credits come only from burning IO, so give it IO")]
    CreditBalance {
        /// Whose.
        account: AccountId,
    } at Part::Balances, account.to_string();
    /// More than there is.
    #[error("the balances in {asset} add up to {sum}, more than the {max} that can exist at genesis")]
    BalanceSum {
        /// In what.
        asset: Asset,
        /// All of them, base units.
        sum: u128,
        /// The most, base units.
        max: u64,
    } at Part::Balances, asset.to_string();
    /// Stake without money.
    #[error("verifier {account} stakes {stake} base units of IO and owns {balance}; raise its balance or lower its stake")]
    VerifierStake {
        /// Who.
        account: AccountId,
        /// Its stake.
        stake: u64,
        /// Its balance in IO.
        balance: u64,
    } at Part::Verifiers, account.to_string();
    /// Workers could not dial it.
    #[error("verifier {account} has url {url:?}; workers dial ws:// or wss:// with a host")]
    VerifierUrl {
        /// Who.
        account: AccountId,
        /// Where.
        url: String,
    } at Part::Verifiers, account.to_string();
    /// No challenge could ever be decided.
    #[error("verification.quorum is {quorum} and there are {verifiers} verifiers; add verifiers or lower the quorum (3 at least)")]
    Quorum {
        /// Drawn for each challenge.
        quorum: u16,
        /// There are.
        verifiers: usize,
    } at Part::Params, "quorum".into();

    /// Two rows with one name.
    #[error("{what} {name:?} is there twice; rename one")]
    NameTwice {
        /// Class or model.
        what: &'static str,
        /// The name.
        name: String,
    } at name_part(what), format!("name = \"{name}\"");
    /// Two classes with one rank.
    #[error("classes {first:?} and {second:?} have the same rank {rank}; the best class must be clear")]
    RankTwice {
        /// One class.
        first: String,
        /// Another.
        second: String,
        /// Their rank.
        rank: u16,
    } at Part::Catalogue, format!("name = \"{second}\"");
    /// Sizes that the challenge cannot have.
    #[error("class {class:?}: {rule}")]
    ClassSize {
        /// Which class.
        class: String,
        /// The rule that is broken.
        rule: &'static str,
    } at Part::Catalogue, format!("name = \"{class}\"");
    /// A class that is not there.
    #[error("model {model:?} names class {class}, which is not in the catalogue; add the class or name another")]
    UnknownClass {
        /// Which model.
        model: String,
        /// Which class.
        class: String,
    } at Part::Models, format!("name = \"{model}\"");
    /// A pair names a model that is not there.
    #[error("accepted_pairs names model {model}, which is not in the catalogue; use a name of models.toml")]
    UnknownModel {
        /// Name or number.
        model: String,
    } at Part::Network, model.clone();
    /// Nobody could ask any price.
    #[error("model {model:?}: price floor {floor} must be above 0 and at most the ceiling {ceiling}")]
    PriceBounds {
        /// Which model.
        model: String,
        /// Micro-USD an hour.
        floor: u64,
        /// Micro-USD an hour.
        ceiling: u64,
    } at Part::Models, format!("name = \"{model}\"");
    /// A figure is out of range.
    #[error("model {model:?}: {rule}")]
    ModelFigure {
        /// Which model.
        model: String,
        /// The rule that is broken.
        rule: &'static str,
    } at Part::Models, format!("name = \"{model}\"");
    /// The bigger card would earn more by pretending.
    #[error(
        "model {big:?} (M {big_milli}/1000) earns less than the {copies} {small:?} (M {small_milli}/1000 each) that it can pretend to be; change a \
         multiplier, or accept the pair by name: accepted_pairs = [[{big:?}, {small:?}]]"
    )]
    UnfairPair {
        /// The bigger card.
        big: String,
        /// Its multiplier, thousandths.
        big_milli: u32,
        /// The smaller card.
        small: String,
        /// Its multiplier, thousandths.
        small_milli: u32,
        /// How many of them.
        copies: u64,
    } at Part::Models, format!("name = \"{big}\"");
    /// An acceptance without a reason.
    #[error("accepted_pairs holds [{big:?}, {small:?}], whose multipliers are fair; remove the pair")]
    FairPair {
        /// The bigger card.
        big: String,
        /// The smaller card.
        small: String,
    } at Part::Network, format!("\"{big}\", \"{small}\"");
    /// A parameter is out of its range.
    #[error("{field} is {value}; {rule}")]
    Param {
        /// Component and field.
        field: &'static str,
        /// As it is.
        value: u64,
        /// The rule that is broken.
        rule: &'static str,
    } at Part::Params, field.rsplit('.').next().unwrap_or(field).to_owned();
    /// A declaration is not signed by one of its keys.
    #[error("the declaration of {moniker:?} for chain {chain_id:?} is not signed by its {key} key; make it again with `io-genesis add-validator`")]
    Unsigned {
        /// Who.
        moniker: String,
        /// The chain of this network.
        chain_id: String,
        /// Which key.
        key: &'static str,
    } at Part::Validator(moniker.clone()), "signature".into();
}

fn list_part(list: &str) -> Part {
    match list {
        "verifiers" => Part::Verifiers,
        "balances" => Part::Balances,
        "classes" => Part::Catalogue,
        "models" => Part::Models,
        "accepted pairs" => Part::Network,
        _ => Part::Validators,
    }
}

fn key_part(what: &str, who: &str) -> Part {
    match what {
        "account" => Part::Balances,
        "verifier key" => Part::Verifiers,
        _ => Part::Validator(who.to_owned()),
    }
}

fn name_part(what: &str) -> Part {
    match what {
        "model" => Part::Models,
        "moniker" => Part::Validators,
        _ => Part::Catalogue,
    }
}
