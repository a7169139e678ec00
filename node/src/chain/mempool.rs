//! The mempool connection.

use std::sync::Arc;

use io_state_machine::Opened;
use io_types::Rejection;
use tendermint_proto::v0_38::abci::{CheckTxType, RequestCheckTx, ResponseCheckTx};

use super::Chain;
use crate::abci::{CODE_BROKEN, Mempool};

pub(super) struct ChainMempool {
    chain: Arc<Chain>,
}

impl ChainMempool {
    pub(super) fn new(chain: Arc<Chain>) -> Self {
        Self { chain }
    }

    fn answer(&self, checked: Result<(), Rejection>) -> ResponseCheckTx {
        let Err(rejection) = checked else {
            return ResponseCheckTx::default();
        };
        self.chain.metrics.refused(rejection.code());
        ResponseCheckTx {
            code: rejection.code(),
            log: rejection.to_string(),
            ..ResponseCheckTx::default()
        }
    }
}

impl Mempool for ChainMempool {
    fn check(&self, requests: &[RequestCheckTx]) -> Vec<ResponseCheckTx> {
        let machine = &self.chain.machine;
        let transactions: Vec<&[u8]> = requests.iter().map(|request| &request.tx[..]).collect();
        // The long part needs no state: a commit need not wait for it.
        let opened = machine.open_all(&transactions);
        let is_recheck =
            |request: &RequestCheckTx| request.r#type == i32::from(CheckTxType::Recheck);
        let batch: Vec<(&Opened, bool)> = opened
            .iter()
            .zip(requests)
            .map(|(opened, request)| (opened, is_recheck(request)))
            .collect();
        let checked = {
            let _no_commit = self.chain.between_commits();
            machine.check_opened(&batch)
        };
        match checked {
            Ok(checked) => checked.into_iter().map(|one| self.answer(one)).collect(),
            Err(fault) => {
                tracing::error!(%fault, transactions = requests.len(), "transactions could not be checked");
                let broken = ResponseCheckTx {
                    code: CODE_BROKEN,
                    log: fault.to_string(),
                    ..ResponseCheckTx::default()
                };
                vec![broken; requests.len()]
            }
        }
    }
}
