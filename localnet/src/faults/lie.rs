//! Answers that are not so.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use io_settlement::{
    account::{Bridge, TAG_BRIDGE, TAG_QUEUE, VERSION},
    deposit::{DepositRecord, Queue, Slot, next_hash, slot_offset},
};
use serde_json::{Value, json};

use super::Lie;

/// Length of a token account's data, and where its amount lies.
const TOKEN_ACCOUNT: (usize, std::ops::Range<usize>) = (165, 64..72);

/// Changes the answer to a request for accounts or a balance; leaves every other answer alone.
pub fn distort(lie: &Lie, method: &str, result: &mut Value) {
    let Some(value) = result.get_mut("value") else {
        return;
    };
    match method {
        "getAccountInfo" => distort_accounts(lie, std::slice::from_mut(value)),
        "getMultipleAccounts" => {
            if let Some(accounts) = value.as_array_mut() {
                distort_accounts(lie, accounts);
            }
        }
        "getTokenAccountBalance" => {
            let shown = value
                .get("amount")
                .and_then(Value::as_str)
                .and_then(|amount| amount.parse::<u64>().ok());
            if let (Lie::Balance { amount }, Some(shown), Some(place)) =
                (lie, shown, value.get_mut("amount"))
            {
                *place = json!(shown.saturating_add(*amount).to_string());
            }
        }
        "getBalance" => {
            if let (Lie::Balance { amount }, Some(shown)) = (lie, value.as_u64()) {
                *value = json!(shown.saturating_add(*amount));
            }
        }
        _ => {}
    }
}

/// The accounts of one answer together, because a deposit shows in two of them.
fn distort_accounts(lie: &Lie, accounts: &mut [Value]) {
    let mut contents: Vec<Option<Vec<u8>>> = accounts
        .iter()
        .map(|account| BASE64.decode(account.pointer("/data/0")?.as_str()?).ok())
        .collect();
    match lie {
        Lie::Bytes { mask } => {
            for byte in contents
                .iter_mut()
                .flatten()
                .filter_map(|data| data.last_mut())
            {
                *byte ^= mask;
            }
        }
        Lie::Balance { amount } => {
            for data in contents
                .iter_mut()
                .flatten()
                .filter(|data| data.len() == TOKEN_ACCOUNT.0)
            {
                add_to_balance(data, *amount);
            }
        }
        Lie::Deposit { account, amount } => {
            let account = hex::decode(account)
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .unwrap_or([0; 32]);
            forge_deposit(&mut contents, account, *amount);
        }
    }
    for (account, content) in accounts.iter_mut().zip(contents) {
        if let (Some(content), Some(place)) = (content, account.pointer_mut("/data/0")) {
            *place = json!(BASE64.encode(content));
        }
    }
}

fn add_to_balance(data: &mut [u8], amount: u64) {
    let Some(place) = data.get_mut(TOKEN_ACCOUNT.1) else {
        return;
    };
    let shown = <[u8; 8]>::try_from(&*place).map_or(0, u64::from_le_bytes);
    place.copy_from_slice(&shown.saturating_add(amount).to_le_bytes());
}

/// Appends a deposit to the bridge and the queue if the answer holds both.
fn forge_deposit(contents: &mut [Option<Vec<u8>>], account: [u8; 32], amount: u64) -> Option<()> {
    let bridge_at = position(contents, TAG_BRIDGE)?;
    let queue_at = position(contents, TAG_QUEUE)?;
    let mut bridge = Bridge::read(contents.get(bridge_at)?.as_ref()?).ok()?;
    let queue = contents.get_mut(queue_at)?.as_mut()?;
    let capacity = Queue::new(queue).ok()?.header().capacity;
    let state = &mut bridge.state;
    let n = state.deposit_number.checked_add(1)?;
    let record = DepositRecord {
        n,
        asset: 0,
        amount,
        account,
        depositor: [9; 32],
        slot: bridge.last.slot.saturating_add(1),
    };
    let rolling = next_hash(&state.deposit_hash, &record);
    let offset = slot_offset(n, capacity)?;
    let slot = Slot { record, rolling }.to_bytes();
    queue
        .get_mut(offset..offset.checked_add(slot.len())?)?
        .copy_from_slice(&slot);
    state.deposit_number = n;
    state.deposit_hash = rolling;
    let [io, _] = &mut state.counters.deposited;
    *io = io.saturating_add(amount);
    let data = contents.get_mut(bridge_at)?.as_mut()?;
    let shown = bridge.to_bytes();
    data.get_mut(..shown.len())?.copy_from_slice(&shown);
    Some(())
}

fn position(contents: &[Option<Vec<u8>>], tag: u8) -> Option<usize> {
    contents.iter().position(|data| {
        data.as_ref()
            .is_some_and(|data| data.starts_with(&[tag, VERSION]))
    })
}

#[cfg(test)]
mod tests {
    use io_settlement::deposit::{QueueHeader, queue_len};

    use super::*;

    fn account(data: &[u8]) -> Value {
        json!({"lamports": 1, "data": [BASE64.encode(data), "base64"]})
    }

    fn shown(value: &Value) -> Vec<u8> {
        BASE64.decode(value["data"][0].as_str().unwrap()).unwrap()
    }

    #[test]
    fn every_account_of_an_answer_is_changed_and_null_stays_null() {
        let mut result =
            json!({"context": {"slot": 1}, "value": [account(&[1, 2]), null, account(&[])]});
        distort(
            &Lie::Bytes { mask: 0xff },
            "getMultipleAccounts",
            &mut result,
        );
        assert_eq!(
            result,
            json!({"context": {"slot": 1}, "value": [account(&[1, 0xfd]), null, account(&[])]})
        );
    }

    #[test]
    fn a_balance_is_larger_wherever_it_is_shown() {
        let lie = Lie::Balance { amount: 5 };
        let mut data = vec![0; 165];
        data[64] = 7;
        let mut result = json!({"value": account(&data)});
        distort(&lie, "getAccountInfo", &mut result);
        assert_eq!(shown(&result["value"])[64..72], 12_u64.to_le_bytes());
        let mut result = json!({"value": {"amount": "7", "decimals": 8}});
        distort(&lie, "getTokenAccountBalance", &mut result);
        assert_eq!(result["value"]["amount"], "12");
        let mut result = json!({"value": 7});
        distort(&lie, "getBalance", &mut result);
        assert_eq!(result["value"], 12);
        let mut result = json!(7);
        distort(&lie, "getSlot", &mut result);
        assert_eq!(result, 7);
    }

    #[test]
    fn a_forged_deposit_fits_the_rolling_hash_in_both_accounts() {
        let mut bridge_data = vec![0; Bridge::LEN];
        bridge_data[..2].copy_from_slice(&[TAG_BRIDGE, VERSION]);
        // One byte, the kind of the emission schedule, may not be zero.
        let kind = (2..Bridge::LEN).find(|at| {
            let mut data = bridge_data.clone();
            data[*at] = 1;
            Bridge::from_bytes(&data).is_ok()
        });
        bridge_data[kind.unwrap()] = 1;
        let mut bridge = Bridge::from_bytes(&bridge_data).unwrap();
        bridge.state.deposit_number = 4;
        bridge.state.deposit_hash = [3; 32];
        let mut queue = vec![0; queue_len(8).unwrap()];
        let header = QueueHeader {
            tag: TAG_QUEUE,
            version: VERSION,
            bridge: [0; 32],
            capacity: 8,
        };
        queue[..QueueHeader::LEN].copy_from_slice(&header.to_bytes());
        let mut result = json!({"value": [account(&bridge.to_bytes()), account(&queue)]});
        let lie = Lie::Deposit {
            account: hex::encode([5; 32]),
            amount: 1000,
        };
        distort(&lie, "getMultipleAccounts", &mut result);
        let [bridge, queue] = [shown(&result["value"][0]), shown(&result["value"][1])];
        let bridge = Bridge::read(&bridge).unwrap();
        let slot = Queue::new(&queue).unwrap().slot(5).unwrap();
        assert_eq!(bridge.state.deposit_number, 5);
        assert_eq!((slot.record.account, slot.record.amount), ([5; 32], 1000));
        assert_eq!(slot.rolling, next_hash(&[3; 32], &slot.record));
        assert_eq!(bridge.state.deposit_hash, slot.rolling);
    }
}
