//! `io-node show-node-id`, `io-node show-validator`, and the facts that `init` prints.

use io_genesis::consensus_address;
use io_types::{AccountId, Hash, ValidatorAddress};

use super::{Context, Failure, keys, print_facts};
use crate::comet::CometHome;
use crate::config::Config;
use crate::validator::BeaconChain;

/// CometBFT's folder in the home.
pub(super) const COMET: &str = "cometbft";

/// Everything about this node that others need to know.
pub(super) fn facts(
    context: &Context,
    config: &Config,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let comet = CometHome::new(context.home.join(COMET));
    let mut facts = vec![
        ("home", context.home.display().to_string()),
        ("moniker", config.moniker.clone()),
        ("node_id", comet.node_id().map_err(Failure::refused)?),
    ];
    facts.extend(validator_facts(context, config, &comet)?);
    Ok(facts)
}

fn validator_facts(
    context: &Context,
    config: &Config,
    comet: &CometHome,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let home = &context.home;
    let mut facts = Vec::new();
    if let Some(key) = comet.validator_key().map_err(Failure::refused)? {
        let key = Hash(key.to_bytes());
        facts.push(("consensus_key", key.to_string()));
        facts.push(("address", consensus_address(&key).to_string()));
    }
    facts.push((
        "settlement_key",
        public(&keys::read(&home.join(&config.keys.settlement))?),
    ));
    facts.push(("operator", public(&keys::read(&home.join(keys::OPERATOR))?)));
    let beacon = BeaconChain::load(&home.join(&config.keys.beacon)).map_err(Failure::refused)?;
    facts.push(("beacon_anchor", beacon.anchor().to_string()));
    Ok(facts)
}

fn public(key: &ed25519_dalek::SigningKey) -> String {
    AccountId(key.verifying_key().to_bytes()).to_string()
}

/// The address that this validator votes with: the configured one, or that of CometBFT's key file.
pub(super) fn address(
    config: &Config,
    comet: &CometHome,
) -> Result<Option<ValidatorAddress>, Failure> {
    let named = &config.keys.consensus_address;
    if !named.is_empty() {
        return named.parse().map(Some).map_err(Failure::refused);
    }
    if let Some(signer) = comet.remote_signer().map_err(Failure::refused)? {
        return Err(Failure::refused(format!(
            "{}: priv_validator_laddr = {signer:?} leaves the consensus key to a remote signer; set keys.consensus_address to that key's \
             address, and let the signer sign vote extensions too (tmkms: sign_extensions = true), else CometBFT stops at its first vote",
            comet.config_file().display()
        )));
    }
    let key = comet.validator_key().map_err(Failure::refused)?;
    Ok(key.map(|key| consensus_address(&Hash(key.to_bytes()))))
}

pub(super) fn node_id(context: &Context) -> Result<(), Failure> {
    let id = CometHome::new(context.home.join(COMET))
        .node_id()
        .map_err(Failure::refused)?;
    print_facts(context, &[("node_id", id)]);
    Ok(())
}

pub(super) fn validator(context: &Context) -> Result<(), Failure> {
    let settings = context.settings()?;
    let comet = CometHome::new(context.home.join(COMET));
    let facts = validator_facts(context, &settings.config, &comet)?;
    print_facts(context, &facts);
    Ok(())
}
