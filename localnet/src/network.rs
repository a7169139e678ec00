//! Brings a network up, in the order in which its parts need each other.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use io_client::{Client, SolanaRpc};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    control::{self, Run, Running},
    faults::{Proxy, link::Links},
    materials::{Materials, ValidatorFacts, validator_name},
    plan::{Plan, SUPPLIERS, VALIDATORS, VERIFIERS, local_url, names},
    prices::Source,
    process::{Spec, Supervisor},
    tools::Tools,
    workers,
};

/// How long a part may need until it answers.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running network. Dropping it ends every process.
#[derive(Debug)]
pub struct Network {
    /// Who is who.
    pub plan: Arc<Plan>,
    /// What runs.
    pub running: Arc<Running>,
    /// Clients of the validators, in order.
    pub nodes: Vec<Client>,
    /// The ledger, not through the fault layer.
    pub ledger: SolanaRpc,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Network {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.running.supervisor.stop();
        // Last: whoever waits for its end waits for this.
        Run::remove(&self.plan.home);
    }
}

impl Network {
    /// Starts everything; `tell` hears of each step when it is done, with the time that it took.
    ///
    /// Errors: what a part says when it does not start, with the name of its log.
    pub async fn start(
        plan: Plan,
        tools: &Tools,
        tell: &mut (dyn FnMut(&str, Duration) + Send),
    ) -> anyhow::Result<Self> {
        let materials = Materials { plan: &plan, tools };
        std::fs::create_dir_all(plan.home.join("logs"))
            .with_context(|| format!("cannot write into {}", plan.home.display()))?;
        for name in ["you", "renter", "relayer", "authority", "faucet"]
            .map(str::to_owned)
            .into_iter()
            .chain(names("supplier", SUPPLIERS))
        {
            plan.key_file(&name)?;
        }
        let supervisor = Supervisor::start()?;

        let step = Instant::now();
        start_ledger(&materials, &supervisor)?;
        let ledger = SolanaRpc::new(&[plan.ledger_url()])?;
        wait_for("the ledger", &plan.log("ledger"), async || {
            ledger.health().await.is_ok()
        })
        .await?;
        tell("ledger", step.elapsed());

        let step = Instant::now();
        let cluster = hex::encode(ledger.genesis_hash().await?);
        let validators = tokio::task::block_in_place(|| make_validators(&materials, &cluster))?;
        tell("genesis", step.elapsed());

        let step = Instant::now();
        tokio::task::block_in_place(|| make_bridge(&materials))?;
        tell("bridge", step.elapsed());

        let step = Instant::now();
        let mut tasks = Vec::new();
        for (number, port) in (1..).zip(plan.price_ports()) {
            tasks.push(Source::new(plan.seed, number).serve(port).await?.1);
        }
        let (proxy, links) = open_fault_layer(&plan).await?;
        for index in 0..VALIDATORS {
            supervisor.add(validator(&materials, index, &validators))?;
        }
        let nodes = (0..VALIDATORS)
            .map(|index| Client::new(&plan.api_url(index)))
            .collect::<Result<Vec<_>, _>>()?;
        for (index, node) in (0..VALIDATORS).zip(&nodes) {
            let name = validator_name(index);
            wait_for(&name, &plan.log(&name), async || {
                node.status().await.is_ok_and(|status| status.height.0 > 0)
            })
            .await?;
        }
        tell("validators", step.elapsed());

        let step = Instant::now();
        for index in 0..VERIFIERS {
            supervisor.add(verifier(&materials, index)?)?;
        }
        supervisor.add(relayer(&materials)?)?;
        tell("verifiers and relayer", step.elapsed());

        let step = Instant::now();
        for device in workers::planned() {
            let first = nodes.first().context("a network without nodes")?;
            let id = workers::register(&plan, first, &device).await?;
            supervisor.add(workers::process(&materials, &device, id)?)?;
        }
        tell("workers", step.elapsed());

        let facts = facts(&plan);
        let plan = Arc::new(plan);
        let running = Arc::new(Running {
            supervisor,
            proxy,
            links,
            facts,
            stop: watch::channel(false).0,
        });
        tasks.push(control::serve(Arc::clone(&running), plan.control_port()).await?);
        Run {
            pid: std::process::id(),
            control: plan.control_port(),
        }
        .write(&plan.home)?;
        Ok(Self {
            plan,
            running,
            nodes,
            ledger,
            tasks,
        })
    }
}

/// Asks until the answer is yes. Errors: it is not within [`PATIENCE`]; the log is named, with its last lines.
async fn wait_for(
    what: &str,
    log: &std::path::Path,
    ready: impl AsyncFn() -> bool,
) -> anyhow::Result<()> {
    let start = Instant::now();
    while !ready().await {
        if start.elapsed() > PATIENCE {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = lines
                .get(lines.len().saturating_sub(5)..)
                .unwrap_or_default()
                .join("\n");
            bail!(
                "{what} does not answer after {} s; its log {} ends with:\n{last}",
                PATIENCE.as_secs(),
                log.display()
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn start_ledger(materials: &Materials<'_>, supervisor: &Supervisor) -> anyhow::Result<()> {
    let plan = materials.plan;
    let genesis = materials.ledger_genesis()?;
    let [rpc, ws, inner] = plan.ledger_ports();
    let home = plan.folder("ledger").join("state");
    let args = vec![
        "ledger".to_owned(),
        format!("--home={}", home.display()),
        format!("--genesis={}", genesis.display()),
        format!("--rpc-port={rpc}"),
        format!("--ws-port={ws}"),
        format!("--inner-port={inner}"),
    ];
    supervisor.add(Spec {
        name: "ledger".to_owned(),
        program: std::env::current_exe()?,
        args,
        env: Vec::new(),
        log: plan.log("ledger"),
    })
}

/// The homes of all validators, with the chain's genesis in them.
fn make_validators(
    materials: &Materials<'_>,
    cluster: &str,
) -> anyhow::Result<Vec<ValidatorFacts>> {
    let facts = (0..VALIDATORS)
        .map(|index| materials.validator(index))
        .collect::<anyhow::Result<Vec<_>>>()?;
    if !materials.are_made() {
        materials.chain_genesis(cluster, &facts)?;
    }
    for index in 0..VALIDATORS {
        materials.install_genesis(index)?;
    }
    Ok(facts)
}

/// Makes the bridge, or checks that the one on the ledger is of this genesis.
fn make_bridge(materials: &Materials<'_>) -> anyhow::Result<()> {
    let authority = materials.plan.key_file("authority")?;
    let arguments = [
        "init-program".to_owned(),
        format!("--genesis={}", materials.genesis().display()),
        format!("--solana={}", materials.plan.ledger_url()),
        format!("--authority={}", authority.display()),
    ];
    materials.tools.run("io-relayer", arguments).map(drop)
}

async fn open_fault_layer(plan: &Plan) -> anyhow::Result<(Proxy, Links)> {
    let (mut proxy, mut links) = (Proxy::default(), Links::default());
    for from in 0..VALIDATORS {
        let name = validator_name(from);
        let ports = plan.validator_ports(from);
        for (side, port) in ["a", "b"].into_iter().zip(ports.solana) {
            proxy
                .listen(&format!("{name}/{side}"), port, &plan.ledger_url())
                .await?;
        }
        for to in from.saturating_add(1)..VALIDATORS {
            let target = plan.validator_ports(to).comet_p2p;
            links
                .open(&name, &validator_name(to), plan.link_port(from, to), target)
                .await?;
        }
    }
    Ok((proxy, links))
}

fn validator(materials: &Materials<'_>, index: u16, all: &[ValidatorFacts]) -> Spec {
    let plan = materials.plan;
    let name = validator_name(index);
    // One of each pair dials: the connection serves both.
    let peers: Vec<String> = (0..VALIDATORS)
        .zip(all)
        .filter(|(to, _)| *to > index)
        .map(|(to, facts)| format!("{}@127.0.0.1:{}", facts.node_id, plan.link_port(index, to)))
        .collect();
    let mut args = vec![
        "--home".to_owned(),
        plan.folder(&name).display().to_string(),
    ];
    args.extend(
        materials
            .node_settings(index, &peers.join(","))
            .into_iter()
            .flat_map(|setting| ["--set".to_owned(), setting]),
    );
    args.push("start".to_owned());
    Spec {
        program: materials.tools.path("io-node"),
        args,
        env: Vec::new(),
        log: plan.log(&name),
        name,
    }
}

fn verifier(materials: &Materials<'_>, index: u16) -> anyhow::Result<Spec> {
    let plan = materials.plan;
    let name = names("verifier", VERIFIERS)
        .nth(usize::from(index))
        .context("a verifier beyond their number")?;
    let args = vec![
        format!("--node={}", plan.api_url(index)),
        format!("--wallet={}", plan.key_file(&name)?.display()),
        "--backend=cpu".to_owned(),
        "run".to_owned(),
        format!("--bind=127.0.0.1:{}", plan.verifier_port(index)),
        format!("--data={}", plan.folder(&name).display()),
    ];
    Ok(Spec {
        program: materials.tools.path("io-verifier"),
        args,
        env: Vec::new(),
        log: plan.log(&name),
        name,
    })
}

fn relayer(materials: &Materials<'_>) -> anyhow::Result<Spec> {
    let plan = materials.plan;
    let nodes: Vec<String> = (0..VALIDATORS).map(|index| plan.api_url(index)).collect();
    let claims: Vec<Value> = names("supplier", SUPPLIERS)
        .map(|name| json!({"account": plan.wallet(&name).account(), "asset": "io", "minimum": 1}))
        .collect();
    let config = json!({
        "nodes": nodes,
        "solana": [plan.ledger_url()],
        "program": plan.wallet("program").account(),
        "key": plan.key_file("relayer")?,
        "poll_ms": 1_000,
        "claim": claims,
    });
    let file = plan.home.join("relayer.toml");
    std::fs::write(&file, toml::to_string(&config)?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(Spec {
        name: "relayer".to_owned(),
        program: materials.tools.path("io-relayer"),
        args: vec!["run".to_owned(), format!("--config={}", file.display())],
        env: Vec::new(),
        log: plan.log("relayer"),
    })
}

/// What people need to use the network.
fn facts(plan: &Plan) -> Value {
    let addresses = plan.solana();
    let key = |name: &str| -> Value {
        json!({"account": plan.wallet(name).account(), "file": plan.home.join("keys").join(format!("{name}.json"))})
    };
    let metrics: Vec<String> = (0..VALIDATORS)
        .map(|index| format!("{}/metrics", local_url(plan.validator_ports(index).metrics)))
        .collect();
    let apis: Vec<String> = (0..VALIDATORS).map(|index| plan.api_url(index)).collect();
    let prices: Vec<String> = plan
        .price_ports()
        .map(|port| format!("{}/prices", local_url(port)))
        .to_vec();
    let [_, ws, _] = plan.ledger_ports();
    json!({
        "home": plan.home,
        "env": plan.home.join("env"),
        "nodes": apis,
        "metrics": metrics,
        "prices": prices,
        "solana": plan.ledger_url(),
        "solana_websocket": format!("ws://127.0.0.1:{ws}"),
        "program": addresses.program.to_string(),
        "io_mint": addresses.mints[0].to_string(),
        "usdc_mint": addresses.mints[1].to_string(),
        "keys": {"you": key("you"), "renter": key("renter"), "supplier-0": key("supplier-0")},
    })
}

/// A folder that exists from now on.
pub(crate) fn made_folder(path: PathBuf) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}
