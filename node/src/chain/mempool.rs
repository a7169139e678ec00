//! The mempool connection.

use std::sync::Arc;

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

    fn check_one(&self, request: &RequestCheckTx) -> ResponseCheckTx {
        let recheck = request.r#type == i32::from(CheckTxType::Recheck);
        let _no_commit = self.chain.between_commits();
        match self.chain.machine.check_tx(&request.tx, recheck) {
            Ok(Ok(())) => ResponseCheckTx::default(),
            Ok(Err(rejection)) => {
                self.chain.metrics.refused(rejection.code());
                ResponseCheckTx {
                    code: rejection.code(),
                    log: rejection.to_string(),
                    ..ResponseCheckTx::default()
                }
            }
            Err(fault) => {
                tracing::error!(%fault, "a transaction could not be checked");
                ResponseCheckTx {
                    code: CODE_BROKEN,
                    log: fault.to_string(),
                    ..ResponseCheckTx::default()
                }
            }
        }
    }
}

impl Mempool for ChainMempool {
    fn check(&self, requests: &[RequestCheckTx]) -> Vec<ResponseCheckTx> {
        requests
            .iter()
            .map(|request| self.check_one(request))
            .collect()
    }
}
