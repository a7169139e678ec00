//! How other commands reach a running localnet: a small HTTP service on a loopback port.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use anyhow::{Context, anyhow, bail};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    faults::{
        Fault, Mode, Proxy,
        link::{LinkState, Links},
    },
    process::{Signal, Supervisor, unix},
};

/// Name of the file in a localnet's folder that says how it is reached while it runs.
const RUN_FILE: &str = "run.json";

/// What runs, shared by the commands that may change it.
#[derive(Debug)]
pub struct Running {
    /// All processes.
    pub supervisor: Supervisor,
    /// The RPC fault layer.
    pub proxy: Proxy,
    /// The validators' links.
    pub links: Links,
    /// What to show beside the processes: URLs, keys, ports.
    pub facts: Value,
    /// Becomes true when someone asks to stop.
    pub stop: watch::Sender<bool>,
}

impl Running {
    /// Breaks or heals something; says what was done. Errors: a name that does not exist, a process that does not run.
    pub fn break_or_heal(&self, fault: &Fault) -> anyhow::Result<String> {
        if let Some((rpc, mode)) = fault.rpc() {
            let names = self.proxy.set(rpc, &mode)?;
            return Ok(format!(
                "{} changed: {}",
                names.join(", "),
                serde_json::to_string(&mode)?
            ));
        }
        match fault {
            Fault::Kill { process } => {
                let pid = self.supervisor.signal(process, Signal::Kill)?;
                Ok(format!(
                    "{process} (process {pid}) was killed; it will be started again"
                ))
            }
            Fault::KillEngine { process } => {
                let engine = unix::child_of(self.pid(process)?)
                    .ok_or_else(|| anyhow!("{process} has no child process"))?;
                unix::send(engine, Signal::Kill)?;
                Ok(format!(
                    "the engine of {process} (process {engine}) was killed"
                ))
            }
            Fault::Pause { process } => {
                let pid = self.supervisor.signal(process, Signal::Pause)?;
                Ok(format!(
                    "{process} (process {pid}) stands still; `faults resume {process}` lets it go on"
                ))
            }
            Fault::Resume { process } => {
                let pid = self.supervisor.signal(process, Signal::Resume)?;
                Ok(format!("{process} (process {pid}) goes on"))
            }
            Fault::Stop { process } => {
                self.supervisor.hold(process, true)?;
                Ok(format!(
                    "{process} was killed and stays down; `faults start {process}` starts it again"
                ))
            }
            Fault::Start { process } => {
                self.supervisor.hold(process, false)?;
                Ok(format!("{process} is started again"))
            }
            Fault::Partition { validators } => self.partition(validators, LinkState::Cut),
            Fault::Silence { validators } => self.partition(validators, LinkState::Silent),
            Fault::Heal => self.heal(),
            Fault::SlowRpc { .. }
            | Fault::DropRpc { .. }
            | Fault::StaleRpc { .. }
            | Fault::LieRpc { .. } => {
                bail!("an RPC fault without its RPC")
            }
        }
    }

    fn partition(&self, validators: &[String], how: LinkState) -> anyhow::Result<String> {
        let side = validators.iter().cloned().collect();
        self.links.partition(&side, how)?;
        let cut = self.links.cut().into_iter();
        let cut: Vec<String> = cut.map(|(from, to)| format!("{from}–{to}")).collect();
        let word = if how == LinkState::Cut {
            "cut"
        } else {
            "silent"
        };
        Ok(format!("{word}: {}", cut.join(", ")))
    }

    fn heal(&self) -> anyhow::Result<String> {
        self.proxy.set("all", &Mode::Pass)?;
        self.links.partition(&BTreeSet::new(), LinkState::Open)?;
        for status in self.supervisor.status() {
            if status.paused {
                self.supervisor.signal(&status.name, Signal::Resume)?;
            }
            if status.held {
                self.supervisor.hold(&status.name, false)?;
            }
        }
        Ok("every RPC tells the truth, every link carries, every process goes on".to_owned())
    }

    fn pid(&self, process: &str) -> anyhow::Result<u32> {
        let found = self
            .supervisor
            .status()
            .into_iter()
            .find(|status| status.name == process);
        found
            .and_then(|status| status.pid)
            .ok_or_else(|| anyhow!("no process called {process} runs now"))
    }

    fn status(&self) -> Value {
        json!({
            "processes": self.supervisor.status(),
            "rpc": self.proxy.status(),
            "cut": self.links.cut(),
            "facts": self.facts,
        })
    }
}

/// Starts the service. Errors: the port is taken.
pub async fn serve(running: Arc<Running>, port: u16) -> anyhow::Result<JoinHandle<()>> {
    let tcp = TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("the control service cannot listen on 127.0.0.1:{port}"))?;
    let router = Router::new()
        .route(
            "/status",
            get(|State(running): State<Arc<Running>>| async move { Json(running.status()) }),
        )
        .route("/fault", post(fault))
        .route("/down", post(down))
        .with_state(running);
    Ok(tokio::spawn(async move {
        // Ends only when it is aborted.
        drop(axum::serve(tcp, router).await);
    }))
}

async fn fault(
    State(running): State<Arc<Running>>,
    Json(fault): Json<Fault>,
) -> (StatusCode, String) {
    // Signals wait for the supervisor's thread.
    let done = tokio::task::block_in_place(|| running.break_or_heal(&fault));
    match done {
        Ok(done) => (StatusCode::OK, done),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{error:#}")),
    }
}

async fn down(State(running): State<Arc<Running>>) -> &'static str {
    running.stop.send_replace(true);
    "stopping"
}

/// How a running localnet is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The supervisor's process.
    pub pid: u32,
    /// Port of the control service.
    pub control: u16,
}

impl Run {
    /// Leaves word in a localnet's folder. Errors: the disk refuses.
    pub fn write(&self, home: &Path) -> anyhow::Result<()> {
        let path = home.join(RUN_FILE);
        std::fs::write(&path, serde_json::to_string(self)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Takes it away again.
    pub fn remove(home: &Path) {
        // It may be gone already; a stale one is recognised by its port.
        drop(std::fs::remove_file(home.join(RUN_FILE)));
    }

    /// Reads it. Errors: no localnet runs in this folder.
    pub fn read(home: &Path) -> anyhow::Result<Self> {
        let path = home.join(RUN_FILE);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "no localnet runs in {}; `io-localnet up` starts one",
                home.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.control)
    }

    /// What runs. Errors: it does not answer.
    pub async fn status(&self) -> anyhow::Result<Value> {
        Ok(self
            .ask(reqwest::Client::new().get(self.url("/status")))
            .await?
            .json()
            .await?)
    }

    /// Breaks or heals something. Errors: it refuses, with its reason.
    pub async fn fault(&self, fault: &Fault) -> anyhow::Result<String> {
        Ok(self
            .ask(reqwest::Client::new().post(self.url("/fault")).json(fault))
            .await?
            .text()
            .await?)
    }

    /// Asks it to stop. Errors: it does not answer.
    pub async fn down(&self) -> anyhow::Result<()> {
        self.ask(reqwest::Client::new().post(self.url("/down")))
            .await
            .map(drop)
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
        let answer = request.send().await.with_context(|| {
            format!("the localnet of process {} does not answer on port {}; if it was killed, start it again with `io-localnet up`", self.pid, self.control)
        })?;
        if answer.status() == StatusCode::UNPROCESSABLE_ENTITY {
            bail!(answer.text().await?);
        }
        Ok(answer.error_for_status()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Spec;

    async fn running(folder: &Path) -> Arc<Running> {
        let supervisor = Supervisor::start().unwrap();
        let spec = Spec {
            name: "one".to_owned(),
            program: "/bin/sh".into(),
            args: vec!["-c".to_owned(), "sleep 1000 & wait".to_owned()],
            env: Vec::new(),
            log: folder.join("one.log"),
        };
        supervisor.add(spec).unwrap();
        let mut proxy = Proxy::default();
        proxy
            .listen("validator-0/a", 0, "http://127.0.0.1:1")
            .await
            .unwrap();
        let mut links = Links::default();
        links
            .open("validator-0", "validator-1", 0, 1)
            .await
            .unwrap();
        Arc::new(Running {
            supervisor,
            proxy,
            links,
            facts: json!({}),
            stop: watch::channel(false).0,
        })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn faults_arrive_and_heal_undoes_them() {
        let folder = tempfile::tempdir().unwrap();
        let running = running(folder.path()).await;
        let port = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let task = serve(Arc::clone(&running), port).await.unwrap();
        let run = Run {
            pid: std::process::id(),
            control: port,
        };
        run.write(folder.path()).unwrap();
        assert_eq!(Run::read(folder.path()).unwrap(), run);

        run.fault(&Fault::DropRpc {
            rpc: "validator-0".to_owned(),
        })
        .await
        .unwrap();
        run.fault(&Fault::Pause {
            process: "one".to_owned(),
        })
        .await
        .unwrap();
        run.fault(&Fault::Partition {
            validators: vec!["validator-1".to_owned()],
        })
        .await
        .unwrap();
        let status = run.status().await.unwrap();
        assert_eq!(status["rpc"][0]["mode"], "drop");
        assert_eq!(status["processes"][0]["paused"], true);
        assert_eq!(status["cut"], json!([["validator-0", "validator-1"]]));

        run.fault(&Fault::Heal).await.unwrap();
        let status = run.status().await.unwrap();
        assert_eq!(
            (
                &status["rpc"][0]["mode"],
                &status["processes"][0]["paused"],
                &status["cut"]
            ),
            (&json!("pass"), &json!(false), &json!([]))
        );

        let refused = run
            .fault(&Fault::Kill {
                process: "two".to_owned(),
            })
            .await
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "no process is called two; there are: one"
        );
        run.down().await.unwrap();
        assert!(*running.stop.borrow());
        task.abort();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_engine_is_the_child_of_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let running = running(folder.path()).await;
        let pid = running.pid("one").unwrap();
        let start = std::time::Instant::now();
        let child = loop {
            if let Some(child) = unix::child_of(pid) {
                break child;
            }
            assert!(start.elapsed().as_secs() < 10);
        };
        assert_ne!(child, pid);
        let done = running
            .break_or_heal(&Fault::KillEngine {
                process: "one".to_owned(),
            })
            .unwrap();
        assert_eq!(
            done,
            format!("the engine of one (process {child}) was killed")
        );
    }

    #[test]
    fn a_folder_without_a_localnet_is_said_to_be_one() {
        let folder = tempfile::tempdir().unwrap();
        let error = Run::read(folder.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "no localnet runs in {}; `io-localnet up` starts one",
                folder.path().display()
            )
        );
    }
}
