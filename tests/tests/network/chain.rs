//! Both sides as anyone can read them: the four nodes and the bridge on Solana.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use io_client::solana::{BridgeProgram, Commitment, pubkey, token_address};
use io_client::types::action::{Verdict, Withdraw};
use io_client::types::api::{Status, Supply};
use io_client::types::row::{Batch, BridgeState, ChallengeStage};
use io_client::types::{AccountId, Action, Amount, Asset, BatchNumber, DeviceId, Hash};
use io_client::{
    ChallengeFilter, Client, ClientError, OrderFilter, PageRequest, Signer, SolanaRpc, Wallet,
    client_id,
};
use io_settlement::Asset as BridgeAsset;
use io_settlement::account::LastSettle;
use solana_pubkey::Pubkey;

use crate::localnet::Localnet;

/// Base units of a whole IO.
pub(crate) const IO: u64 = 100_000_000;
/// The test's own lane: the people of the localnet use the first one.
const LANE: u16 = 1;
const LOOK: Duration = Duration::from_millis(200);
/// A node that stands still must not hold up a look at the others.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// For what takes seconds on an idle machine.
pub(crate) const SOON: Duration = Duration::from_mins(2);
/// For what waits for the end of an epoch, and for challenges.
pub(crate) const LATER: Duration = Duration::from_mins(4);

/// Both sides of a localnet.
#[derive(Debug)]
pub(crate) struct Chain {
    nodes: [Client; 4],
    solana: SolanaRpc,
    program: Pubkey,
    home: PathBuf,
    you: Wallet,
}

/// What the chain's books say at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    pub(crate) bridge: BridgeState,
    pub(crate) supply: Supply,
}

/// Looks until there is an answer. Panics with what was awaited and why the last look was not enough.
pub(crate) async fn until<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let started = Instant::now();
    loop {
        let why = match look().await {
            Ok(found) => {
                eprintln!("{:>6} ms: {what}", started.elapsed().as_millis());
                return found;
            }
            Err(why) => why,
        };
        assert!(
            started.elapsed() < within,
            "waited {} s for this: {what}. At last: {why}",
            within.as_secs()
        );
        tokio::time::sleep(LOOK).await;
    }
}

impl Chain {
    pub(crate) fn new(localnet: &Localnet) -> Self {
        let home = localnet.home().to_owned();
        let program = localnet.fact("/program").parse();
        Self {
            nodes: localnet
                .nodes()
                .map(|url| Client::new(&url).expect("a URL of a node")),
            solana: SolanaRpc::new(&[localnet.fact("/solana")]).expect("a URL of Solana"),
            program: program.expect("an address"),
            you: Wallet::load(localnet.fact("/keys/you/file")).expect("a key file"),
            home,
        }
    }

    /// What all four say, absent where one does not answer.
    pub(crate) async fn statuses(&self) -> [Option<Status>; 4] {
        let [a, b, c, d] = self.nodes.each_ref().map(|node| async {
            let answer = tokio::time::timeout(ANSWER_WITHIN, node.status()).await;
            answer.ok()?.ok()
        });
        tokio::join!(a, b, c, d).into()
    }

    /// The height of each node, 0 where one does not answer.
    pub(crate) async fn heights(&self) -> [u64; 4] {
        let all = self.statuses().await;
        all.map(|status| status.map_or(0, |status| status.height.0))
    }

    /// The greatest height that a node has.
    pub(crate) async fn height(&self) -> u64 {
        self.heights().await.into_iter().max().unwrap_or(0)
    }

    /// The chain's slot.
    pub(crate) async fn slot(&self) -> Result<u64, String> {
        self.any(async |node| node.status().await)
            .await
            .map(|status| status.slot.0)
    }

    /// Waits until all four have shown the same app hash at one height above this one. Panics if two ever differ.
    pub(crate) async fn all_agree_above(&self, above: u64, within: Duration) {
        let mut seen: BTreeMap<u64, [Option<Hash>; 4]> = BTreeMap::new();
        until("all four agree on an app hash", within, async || {
            for (index, status) in self.statuses().await.into_iter().enumerate() {
                let Some(status) = status else { continue };
                seen.entry(status.height.0).or_default()[index] = Some(status.app_hash);
            }
            for (height, hashes) in &seen {
                let mut known = hashes.iter().flatten();
                let first = known.next();
                assert!(
                    known.all(|hash| Some(hash) == first),
                    "nodes disagree at height {height}: {hashes:?}"
                );
            }
            let mut late = seen.range(above.saturating_add(1)..);
            if late.any(|(_height, hashes)| hashes.iter().all(Option::is_some)) {
                return Ok(());
            }
            let newest: Vec<_> = seen
                .iter()
                .rev()
                .take(3)
                .map(|(height, hashes)| (height, hashes.map(|hash| hash.is_some())))
                .collect();
            Err(format!("heights and who was seen there: {newest:?}"))
        })
        .await;
    }

    /// Asks one node after the other.
    async fn any<T>(
        &self,
        ask: impl AsyncFn(&Client) -> Result<T, ClientError>,
    ) -> Result<T, String> {
        let mut why = Vec::new();
        for node in &self.nodes {
            match ask(node).await {
                Ok(answer) => return Ok(answer),
                Err(error) => why.push(error.to_string()),
            }
        }
        Err(why.join("; "))
    }

    /// Orders that were matched so far.
    pub(crate) async fn matched(&self) -> Result<u64, String> {
        let filter = OrderFilter {
            renter: None,
            state: Some("matched".to_owned()),
        };
        let page = PageRequest::default();
        self.any(async |node| node.orders(&filter, &page).await)
            .await
            .map(|page| u64::try_from(page.items.len()).unwrap_or(u64::MAX))
    }

    /// A batch.
    pub(crate) async fn batch(&self, number: BatchNumber) -> Result<Batch, String> {
        self.any(async |node| node.settlement(number).await).await
    }

    /// Bridge and supply of one moment: the bridge did not change while the supply was read.
    pub(crate) async fn books(&self) -> Result<Books, String> {
        let (bridge, supply, after) = self
            .any(async |node| {
                Ok((
                    node.bridge().await?,
                    node.supply().await?,
                    node.bridge().await?,
                ))
            })
            .await?;
        if bridge == after {
            Ok(Books { bridge, supply })
        } else {
            Err("the bridge changed while it was read".to_owned())
        }
    }

    /// The bridge on Solana, as it cannot be undone or as it was voted for.
    pub(crate) async fn solana(&self, commitment: Commitment) -> Result<BridgeProgram, String> {
        let read = BridgeProgram::read(&self.solana, self.program, commitment);
        read.await.map_err(|error| error.to_string())
    }

    /// The ledger's slot.
    pub(crate) async fn solana_slot(&self) -> Result<u64, String> {
        let slot = self.solana.slot(Commitment::Processed);
        slot.await.map_err(|error| error.to_string())
    }

    /// The account that deposits.
    pub(crate) fn you(&self) -> AccountId {
        self.you.account()
    }

    /// Deposits whole IO of `you`; returns when Solana has confirmed it.
    pub(crate) async fn deposit(&self, whole: u64) {
        let bridge = self.solana(Commitment::Confirmed).await.expect("a bridge");
        let wallet = pubkey(&self.you());
        let source = token_address(&wallet, &bridge.mint(BridgeAsset::Io));
        let amount = whole * IO;
        let instruction = bridge
            .deposit(&wallet, &source, BridgeAsset::Io, amount, self.you().0)
            .expect("a deposit");
        self.solana
            .send_and_confirm(
                &[instruction],
                &[&self.you.keypair()],
                Commitment::Confirmed,
            )
            .await
            .expect("a deposit is confirmed");
    }

    /// Withdraws whole IO of a person of the localnet; returns when it is in a block.
    pub(crate) async fn withdraw(&self, (person, whole): (&str, u64)) {
        let wallet = Wallet::load(self.home.join("keys").join(format!("{person}.json")));
        let [node, ..] = &self.nodes;
        let signer = Signer::new(node.clone(), &wallet.expect("a key file")).on_lane(LANE);
        let action = Withdraw {
            asset: Asset::Io,
            amount: Amount::new(whole * IO),
            client_id: client_id(),
        };
        signer
            .send(vec![Action::Withdraw(action)])
            .await
            .expect("a withdrawal is executed");
    }

    /// Base units of IO that an account has on the chain.
    pub(crate) async fn balance(&self, account: AccountId) -> Result<u64, String> {
        let view = self.any(async |node| node.account(account).await).await?;
        let own = view
            .balances
            .iter()
            .find(|balance| balance.asset == Asset::Io);
        Ok(own.map_or(0, |balance| balance.balance.get()))
    }

    /// Base units of IO that an account's wallet has on Solana.
    pub(crate) async fn tokens(&self, account: AccountId) -> Result<u64, String> {
        let bridge = self.solana(Commitment::Confirmed).await?;
        let address = token_address(&pubkey(&account), &bridge.mint(BridgeAsset::Io));
        let balance = self
            .solana
            .token_balance(&address, Commitment::Confirmed)
            .await;
        balance
            .map(|balance| balance.amount)
            .map_err(|error| error.to_string())
    }

    /// Each account's running total in the leaf set of a batch, and what the program has paid to it. Base units of IO.
    pub(crate) async fn payouts(
        &self,
        batch: BatchNumber,
    ) -> Result<Vec<(AccountId, u64, u64)>, String> {
        let file = self.any(async |node| node.payout_file(batch).await).await?;
        let bridge = self.solana(Commitment::Confirmed).await?;
        let mut all = Vec::new();
        for leaf in file.assets.first().into_iter().flatten() {
            let paid = bridge.paid(
                &self.solana,
                BridgeAsset::Io,
                &leaf.account.0,
                Commitment::Confirmed,
            );
            let paid = paid.await.map_err(|error| error.to_string())?;
            all.push((leaf.account, leaf.cumulative.get(), paid));
        }
        Ok(all)
    }

    /// The slot of the newest uptime link that the chain has of a worker's device.
    pub(crate) async fn uptime_slot(&self, worker: &str) -> Result<u64, String> {
        let file = self.home.join(format!("{worker}.toml"));
        let text = std::fs::read_to_string(file).expect("a worker's settings");
        let settings: toml::Table = text.parse().expect("TOML");
        let device = settings["device"].as_integer().expect("a device's number");
        let device = DeviceId(u64::try_from(device).expect("a device's number"));
        let view = self.any(async |node| node.device(device).await).await?;
        let uptime = view.uptime.ok_or("it has no hash chain yet")?;
        Ok(uptime.link_slot.0)
    }

    /// Whether a challenge that began above this height is decided with a pass of this verifier.
    pub(crate) async fn judged_above(&self, verifier: &str, above: u64) -> Result<bool, String> {
        let wallet = Wallet::load(self.home.join("keys").join(format!("{verifier}.json")));
        let account = wallet.expect("a key file").account();
        let filter = ChallengeFilter {
            verifier: Some(account),
            stage: Some(ChallengeStage::Decided),
            device: None,
        };
        let page = PageRequest {
            after: None,
            limit: Some(io_client::types::api::LIMIT_MAX),
        };
        let found = self
            .any(async |node| node.challenges(&filter, &page).await)
            .await?;
        Ok(found.items.iter().any(|challenge| {
            let own = challenge
                .verifiers
                .iter()
                .find(|drawn| drawn.account == account);
            let verdict = own.and_then(|drawn| drawn.verdict.as_ref());
            challenge.triggered.0 > above
                && verdict.is_some_and(|body| body.verdict == Verdict::Pass)
        }))
    }
}

impl Books {
    /// Base units of IO that were on the chain at genesis, as its present sums tell. It must never change.
    ///
    /// `credited` is the sum of the deposits that the chain has credited.
    pub(crate) fn at_genesis(&self, credited: u64) -> u64 {
        let claimed = self.last_settle().map_or(0, |last| {
            let [io, _usdc] = last.counters.claimed;
            io
        });
        let Supply {
            on_chain,
            burned,
            emitted_here,
            ..
        } = &self.supply;
        on_chain.get() + burned.get() + claimed - emitted_here.get() - credited
    }

    /// What the chain attested of Solana's last settlement.
    pub(crate) fn last_settle(&self) -> Option<LastSettle> {
        let row = self.bridge.last_settle.as_ref()?;
        Some(LastSettle::from_bytes(&row.bytes).expect("an attested row can be read"))
    }

    /// Panics if the chain has found less on Solana than it owes.
    pub(crate) fn check(&self) {
        assert_eq!(self.bridge.withdrawals_closed, None, "withdrawals closed");
        if let Some(row) = &self.bridge.last_settle {
            assert!(
                row.surplus.iter().all(Option::is_some),
                "batch {}: less on Solana than owed: {:?}",
                row.number,
                row.surplus
            );
        }
    }
}

pub(crate) fn more_than(least: u64, is: u64) -> Result<(), String> {
    (is > least)
        .then_some(())
        .ok_or_else(|| format!("{is}, not more than {least}"))
}

pub(crate) fn same(what: &str, is: u64, want: u64) -> Result<(), String> {
    (is == want)
        .then_some(())
        .ok_or_else(|| format!("{what}: {is}, awaited {want}"))
}
