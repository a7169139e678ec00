//! Posts the signatures that are missing, settles, and gets rents back.

use io_client::solana::{BridgeProgram, Commitment, SolanaError};
use io_settlement::account::{SIGNATURES_SECONDS, Signatures};
use io_settlement::batch::SettleBody;
use io_settlement::members::{MemberSet, is_quorum};
use io_types::row::Batch;
use solana_pubkey::Pubkey;

use super::batch::Ready;
use super::instructions::{close_signatures, post_signatures, settle, signatures_address};
use super::send::Sender;
use super::{RelayError, Relayer, Step, members, unix_ms};

/// Signatures in one transaction of 1232 bytes: 110 bytes each.
const POSTED_TOGETHER: usize = 6;

/// Posts what the quorum still lacks on Solana, then settles.
pub(super) async fn carry(
    relayer: &Relayer,
    sender: &Sender<'_>,
    program: &BridgeProgram,
    set: &MemberSet,
    ready: &Ready,
    steps: &mut Vec<Step>,
) -> Result<(), RelayError> {
    let number = ready.body.number;
    let address = signatures_address(&program.program, ready.body.set_epoch, &ready.hash);
    let marked = read(sender, &program.program, &address).await?;
    let missing = missing(ready, marked.as_ref(), set.power());
    if !missing.is_empty() {
        let known = relayer
            .config
            .members
            .map(|key| Pubkey::new_from_array(key.0));
        let account = members::account_of(sender, &program.program, set, known).await?;
        for indexes in missing.chunks(POSTED_TOGETHER) {
            let both =
                post_signatures(program, &sender.address(), (&account, set), ready, indexes)?;
            sender
                .send(&both, &[], ["relayer:before_post", "relayer:after_post"])
                .await?;
            let count = indexes.len();
            steps.push(Step::Posted { number, count });
        }
    }
    let pay_to = relayer
        .config
        .pay_to
        .unwrap_or_else(|| relayer.wallet.account());
    let mut instructions = vec![settle(program, &ready.body, &ready.hash, pay_to.0)?];
    let payer = marked.map_or_else(|| sender.address().to_bytes(), |marked| marked.payer);
    if payer == sender.address().to_bytes() {
        instructions.push(close_signatures(
            &program.program,
            &sender.address(),
            &address,
        )?);
    }
    let points = ["relayer:before_settle", "relayer:after_settle"];
    let landed = match sender.send(&instructions, &[], points).await {
        // Another relayer made the signatures account between our look and our posting: its rent is not ours.
        Err(error) if error.program_error() == Some(io_settlement::Error::NotPayer) => {
            instructions.truncate(1);
            sender.send(&instructions, &[], points).await?
        }
        sent => sent?,
    };
    steps.push(Step::Settled {
        number,
        signature: landed.signature.to_string(),
    });
    Ok(())
}

/// Indexes of members whose signatures the quorum still lacks: the most power first, no more than needed.
fn missing(ready: &Ready, marked: Option<&Signatures>, total: u64) -> Vec<u8> {
    let mut power = marked.map_or(0, |marked| marked.power);
    let mut open: Vec<(u64, u8)> = ready
        .signed
        .iter()
        .filter(|(index, _power, _signature)| marked.is_none_or(|marked| !marked.is_marked(*index)))
        .map(|(index, power, _signature)| (*power, *index))
        .collect();
    open.sort_by_key(|(power, index)| (std::cmp::Reverse(*power), *index));
    let mut indexes = Vec::new();
    for (more, index) in open {
        if is_quorum(power, total) {
            break;
        }
        power = power.saturating_add(more);
        indexes.push(index);
    }
    indexes
}

async fn read(
    sender: &Sender<'_>,
    program: &Pubkey,
    address: &Pubkey,
) -> Result<Option<Signatures>, SolanaError> {
    let found = sender.rpc.account(address, Commitment::Confirmed).await?;
    let found = found.filter(|account| account.owner == *program);
    Ok(found.and_then(|account| Signatures::read(&account.data).ok()))
}

/// Closes the signatures accounts that we paid for and that serve nobody any more.
pub(super) async fn close_old(
    relayer: &Relayer,
    sender: &Sender<'_>,
    batches: &[Batch],
    steps: &mut Vec<Step>,
) -> Result<(), RelayError> {
    let bodies = batches
        .iter()
        .filter_map(|batch| SettleBody::from_bytes(&batch.body).ok());
    let addresses: Vec<Pubkey> = bodies
        .map(|body| signatures_address(&relayer.program, body.set_epoch, &body.hash()))
        .collect();
    if addresses.is_empty() {
        return Ok(());
    }
    let found = sender
        .rpc
        .accounts(&addresses, Commitment::Confirmed, None)
        .await?;
    let now = unix_ms().checked_div(1000).unwrap_or(0);
    let mut closable = Vec::new();
    for (address, account) in addresses.iter().zip(found.value) {
        let Some(account) = account.filter(|account| account.owner == relayer.program) else {
            continue;
        };
        if let Ok(signatures) = Signatures::read(&account.data) {
            let is_old = now.saturating_sub(signatures.created) > SIGNATURES_SECONDS;
            let is_ours = signatures.payer == sender.address().to_bytes();
            if is_ours && (signatures.settled == 1 || is_old) {
                closable.push(close_signatures(
                    &relayer.program,
                    &sender.address(),
                    address,
                )?);
            }
        }
    }
    for together in closable.chunks(POSTED_TOGETHER) {
        sender
            .send(
                together,
                &[],
                ["relayer:before_close", "relayer:after_close"],
            )
            .await?;
        let count = together.len();
        steps.push(Step::Closed { count });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use io_settlement::account::{TAG_SIGNATURES, VERSION};
    use io_types::id::Signature;

    use super::*;

    fn ready(powers: &[u64]) -> Ready {
        let none = io_settlement::batch::Payout {
            root: [0; 32],
            total: 0,
        };
        let body = SettleBody {
            cluster_genesis: [1; 32],
            program_id: [2; 32],
            chain_id: [3; 32],
            set_epoch: 1,
            number: 1,
            height: 1,
            app_hash: [0; 32],
            epoch: 1,
            payouts: [none, none],
            emitted: 0,
            reminted: 0,
            burned: 0,
            credit_burned: 0,
            stake_target: 0,
            deposit_number: 0,
            deposit_hash: [0; 32],
            market_hash: [0; 32],
            next_set: [0; 32],
        };
        let signed = powers.iter().zip(0_u8..);
        Ready {
            hash: body.hash(),
            body,
            signed: signed
                .map(|(power, index)| (index, *power, Signature([0; 64])))
                .collect(),
        }
    }

    fn marked(indexes: &[u8], power: u64) -> Signatures {
        let mut signatures = Signatures {
            tag: TAG_SIGNATURES,
            version: VERSION,
            bump: 0,
            kind: 1,
            settled: 0,
            set_epoch: 1,
            body_hash: [0; 32],
            payer: [0; 32],
            created: 0,
            power,
            marks: [0; 16],
        };
        for index in indexes {
            assert!(signatures.mark(*index));
        }
        signatures
    }

    #[test]
    fn only_what_the_quorum_lacks_is_posted() {
        let ready = ready(&[10, 40, 20, 30]);
        // 40 + 30 of 100 are more than two thirds.
        assert_eq!(missing(&ready, None, 100), [1, 3]);
        assert_eq!(missing(&ready, Some(&marked(&[1], 40)), 100), [3]);
        assert_eq!(missing(&ready, Some(&marked(&[0, 2], 30)), 100), [1]);
        assert_eq!(
            missing(&ready, Some(&marked(&[1, 3], 70)), 100),
            Vec::<u8>::new()
        );
        // Exactly two thirds are not enough.
        assert_eq!(missing(&ready, None, 105), [1, 3, 2]);
    }
}
