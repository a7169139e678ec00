//! Rules on validators, verifiers and balances.

use std::collections::{BTreeMap, BTreeSet};

use io_settlement::members::MEMBERS_MAX;
use io_types::AccountId;
use io_types::asset::Asset;
use io_types::genesis::{GenesisSpec, GenesisValidator};
use io_types::id::Hash;

use super::{ascending, supply_max};
use crate::engine::{POWER_MAX, consensus_address};
use crate::problem::Problem;

const MONIKER_MAX: usize = 64;

pub(super) fn check(spec: &GenesisSpec, problems: &mut Vec<Problem>) {
    validators(spec, problems);
    balances(spec, problems);
    verifiers(spec, problems);
}

fn validators(spec: &GenesisSpec, problems: &mut Vec<Problem>) {
    let validators = &spec.validators;
    if validators.is_empty() {
        problems.push(Problem::NoValidator {});
    }
    if validators.len() > usize::from(MEMBERS_MAX) {
        problems.push(Problem::ManyValidators {
            count: validators.len(),
            max: MEMBERS_MAX,
        });
    }
    ascending(
        validators.iter().map(|validator| validator.address),
        ("validators", "address"),
        ToString::to_string,
        problems,
    );
    let mut uses: BTreeMap<[u8; 32], String> = BTreeMap::new();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for one in validators {
        validator(one, problems);
        if !names.insert(&one.moniker) {
            problems.push(Problem::NameTwice {
                what: "moniker",
                name: one.moniker.clone(),
            });
        }
        // An operator may run several validators; a consensus or settlement key serves one of them and nothing else.
        for (what, key) in [
            ("consensus", one.consensus_key.0),
            ("settlement", one.settlement_key.0),
        ] {
            let this = format!("{what} key of {:?}", one.moniker);
            if let Some(first) = uses.insert(key, this.clone()) {
                problems.push(Problem::SharedKey {
                    key: AccountId(key),
                    first,
                    second: this,
                });
            }
        }
    }
    for one in validators {
        if let Some(first) = uses.get(&one.operator.0) {
            problems.push(Problem::SharedKey {
                key: one.operator,
                first: first.clone(),
                second: format!("operator key of {:?}", one.moniker),
            });
        }
    }
    let sum: u128 = validators
        .iter()
        .map(|validator| u128::from(validator.power))
        .sum();
    if sum > u128::from(POWER_MAX) {
        problems.push(Problem::PowerSum {
            sum,
            max: POWER_MAX,
        });
    }
}

fn validator(one: &GenesisValidator, problems: &mut Vec<Problem>) {
    let moniker = one.moniker.clone();
    let plain = moniker.chars().all(|letter| !letter.is_control());
    if !plain || moniker.is_empty() || moniker.chars().count() > MONIKER_MAX {
        problems.push(Problem::Moniker {
            moniker: moniker.clone(),
        });
    }
    let right = consensus_address(&one.consensus_key);
    if one.address != right {
        problems.push(Problem::Address {
            moniker: moniker.clone(),
            address: one.address,
            right,
        });
    }
    if one.power == 0 {
        problems.push(Problem::ZeroPower {
            moniker: moniker.clone(),
        });
    }
    if one.beacon_anchor == Hash::ZERO {
        problems.push(Problem::BeaconAnchor {
            moniker: moniker.clone(),
        });
    }
    let keys = [
        ("consensus key", one.consensus_key.0),
        ("settlement key", one.settlement_key.0),
        ("operator key", one.operator.0),
    ];
    for (what, key) in keys {
        if AccountId(key).verifying_key().is_none() {
            let text = if what == "consensus key" {
                hex::encode(key)
            } else {
                AccountId(key).to_string()
            };
            problems.push(Problem::BadKey {
                what,
                key: text,
                who: moniker.clone(),
            });
        }
    }
}

fn balances(spec: &GenesisSpec, problems: &mut Vec<Problem>) {
    ascending(
        spec.balances
            .iter()
            .map(|balance| (balance.account, balance.asset)),
        ("balances", "account and asset"),
        |(account, _asset)| account.to_string(),
        problems,
    );
    for balance in &spec.balances {
        let account = balance.account;
        if balance.amount.is_zero() {
            problems.push(Problem::ZeroBalance {
                account,
                asset: balance.asset,
            });
        }
        if balance.asset == Asset::Credit {
            problems.push(Problem::CreditBalance { account });
        }
        if account.verifying_key().is_none() {
            problems.push(Problem::BadKey {
                what: "account",
                key: account.to_string(),
                who: "a balance".to_owned(),
            });
        }
    }
    let emitted_before = crate::facts::time_params(spec).emitted_before;
    for asset in Asset::BRIDGED {
        let max = supply_max(asset, emitted_before);
        let sum: u128 = spec
            .balances
            .iter()
            .filter(|balance| balance.asset == asset)
            .map(|balance| u128::from(balance.amount.get()))
            .sum();
        if sum > u128::from(max) {
            problems.push(Problem::BalanceSum { asset, sum, max });
        }
    }
}

fn verifiers(spec: &GenesisSpec, problems: &mut Vec<Problem>) {
    ascending(
        spec.verifiers.iter().map(|verifier| verifier.account),
        ("verifiers", "account"),
        ToString::to_string,
        problems,
    );
    for verifier in &spec.verifiers {
        let account = verifier.account;
        let host = ["ws://", "wss://"]
            .iter()
            .find_map(|scheme| verifier.url.strip_prefix(scheme));
        let sound = host.is_some_and(|host| {
            let name = host.split(['/', ':']).next().unwrap_or_default();
            !name.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic())
        });
        if !sound {
            problems.push(Problem::VerifierUrl {
                account,
                url: verifier.url.clone(),
            });
        }
        if account.verifying_key().is_none() {
            problems.push(Problem::BadKey {
                what: "verifier key",
                key: account.to_string(),
                who: "a verifier".to_owned(),
            });
        }
        let owned = spec
            .balances
            .iter()
            .find(|balance| balance.account == account && balance.asset == Asset::Io);
        let balance = owned.map_or(0, |balance| balance.amount.get());
        if verifier.stake.get() > balance {
            problems.push(Problem::VerifierStake {
                account,
                stake: verifier.stake.get(),
                balance,
            });
        }
    }
}
