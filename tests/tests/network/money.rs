//! Deposits and withdrawals in flight while things break, and the account of them afterwards, on both sides.

use io_client::solana::Commitment;
use io_client::types::BatchNumber;

use crate::chain::{Books, Chain, IO, LATER, SOON, more_than, same, until};

/// Whole IO of each deposit; each sum of some is a sum of no others.
const DEPOSITS: [u64; 8] = [2, 3, 7, 13, 31, 61, 127, 251];
/// Who withdraws, and how much whole IO; the relayer claims for suppliers.
const WITHDRAWALS: [(&str, u64); 8] = [
    ("supplier-0", 17),
    ("supplier-1", 19),
    ("supplier-2", 23),
    ("supplier-0", 29),
    ("supplier-1", 37),
    ("supplier-2", 41),
    ("supplier-0", 43),
    ("supplier-1", 47),
];

/// What was there before, and what was sent since.
#[derive(Debug)]
pub(crate) struct Money {
    /// Of the account that deposits: on the chain, on Solana. Base units of IO.
    you: [u64; 2],
    /// On the chain at genesis, base units of IO.
    genesis: u64,
    deposits: usize,
    withdrawals: usize,
}

impl Money {
    /// Looks before anything is sent.
    pub(crate) async fn before(chain: &Chain) -> Self {
        until("books of both sides", SOON, async || {
            let books = chain.books().await?;
            books.check();
            Ok(Self {
                you: [
                    chain.balance(chain.you()).await?,
                    chain.tokens(chain.you()).await?,
                ],
                genesis: books.at_genesis(0),
                deposits: 0,
                withdrawals: 0,
            })
        })
        .await
    }

    /// Sends the next deposit; returns when Solana has confirmed it.
    pub(crate) async fn deposit(&mut self, chain: &Chain) {
        chain.deposit(DEPOSITS[self.deposits]).await;
        self.deposits += 1;
    }

    /// Sends the next withdrawal; returns when it is in a block.
    pub(crate) async fn withdraw(&mut self, chain: &Chain) {
        chain.withdraw(WITHDRAWALS[self.withdrawals]).await;
        self.withdrawals += 1;
    }

    /// Waits until everything that was sent has arrived on the other side, and compares both sides: balances, numbers and hashes
    /// of the queue, each leaf with what was paid for it, and the invariant.
    pub(crate) async fn is_neither_lost_nor_doubled(&self, chain: &Chain) {
        let deposited = DEPOSITS.iter().take(self.deposits).sum::<u64>() * IO;
        let withdrawals = WITHDRAWALS.iter().take(self.withdrawals);
        let withdrawn = withdrawals.map(|(_who, whole)| whole).sum::<u64>() * IO;
        let deposits = u64::try_from(self.deposits).expect("a few");

        until(
            "both sides agree on every deposit and every payout",
            LATER,
            async || {
                let Books { bridge, .. } = chain.books().await.inspect(Books::check)?;
                let solana = chain.solana(Commitment::Confirmed).await?.bridge;
                let [claimed, _usdc] = solana.state.counters.claimed;
                let [payable, _usdc] = solana.state.counters.payout_total;
                assert!(claimed <= payable, "{claimed} claimed of {payable}");
                assert_eq!(solana.state.deposit_number, deposits);
                same("credited deposits", bridge.deposit_number, deposits)?;
                same("settled deposits", solana.state.freed_number, deposits)?;
                same("claimed", claimed, payable)?;
                let attested = bridge.last_settle.as_ref().map_or(0, |row| row.number.0);
                same("attested settlement", attested, solana.last.number)?;
                assert_eq!(bridge.deposit_hash.0, solana.state.deposit_hash);
                more_than(withdrawn - 1, payable)?;

                let mut sum = 0;
                for (account, due, paid) in chain.payouts(BatchNumber(solana.last.number)).await? {
                    same("payouts and claims of an account", paid, due)?;
                    // Suppliers began with nothing on Solana, and nobody else withdraws.
                    same("tokens of an account", chain.tokens(account).await?, due)?;
                    sum += due;
                }
                same("sum of all leaves", sum, payable)
            },
        )
        .await;

        let books = until("the books of the chain", SOON, async || chain.books().await).await;
        books.check();
        assert_eq!(books.at_genesis(deposited), self.genesis, "{books:?}");
        let [on_chain, on_solana] = self.you;
        let balance = chain.balance(chain.you()).await;
        assert_eq!(balance, Ok(on_chain + deposited), "each deposit once");
        let tokens = chain.tokens(chain.you()).await;
        assert_eq!(tokens, Ok(on_solana - deposited), "each deposit once");
    }
}
