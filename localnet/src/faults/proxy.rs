//! The RPC fault layer: one listener for each URL that a validator has, each with its own behaviour.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{Mode, lie};

/// How long a dropped request hangs before its connection is given up.
const HANG: Duration = Duration::from_secs(30);
/// Answers that a listener remembers for [`Mode::Stale`].
const REMEMBERED_MAX: usize = 256;
/// What a Solana node that is behind answers.
const NODE_UNHEALTHY: i64 = -32005;

/// The listeners of one fault layer, by name.
#[derive(Debug, Default)]
pub struct Proxy {
    listeners: BTreeMap<String, Listener>,
}

#[derive(Debug)]
struct Listener {
    port: u16,
    shared: Shared,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug, Clone)]
struct Shared {
    upstream: Arc<str>,
    http: reqwest::Client,
    state: Arc<Mutex<ListenerState>>,
}

#[derive(Debug, Default)]
struct ListenerState {
    mode: Mode,
    /// Last answer to each read, by method and parameters.
    remembered: BTreeMap<String, Value>,
}

/// A listener as it shows itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// Its port on the loopback address.
    pub port: u16,
    /// Its behaviour.
    #[serde(flatten)]
    pub mode: Mode,
}

impl Proxy {
    /// Opens a listener that stands before `upstream` (URL). Port 0 takes a free one. Returns the port.
    ///
    /// Errors: the port is taken.
    pub async fn listen(&mut self, name: &str, port: u16, upstream: &str) -> anyhow::Result<u16> {
        let tcp = TcpListener::bind(("127.0.0.1", port))
            .await
            .with_context(|| format!("RPC listener {name} cannot listen on 127.0.0.1:{port}"))?;
        let port = tcp.local_addr()?.port();
        let shared = Shared {
            upstream: Arc::from(upstream),
            http: reqwest::Client::new(),
            state: Arc::default(),
        };
        let router = Router::new()
            .route("/", post(serve))
            .layer(axum::extract::DefaultBodyLimit::max(16 << 20))
            .with_state(shared.clone());
        let door = Door {
            tcp,
            shared: shared.clone(),
        };
        let task = tokio::spawn(async move {
            // Ends only when the listener is dropped.
            drop(axum::serve(door, router).await);
        });
        self.listeners
            .insert(name.to_owned(), Listener { port, shared, task });
        Ok(port)
    }

    /// Sets the behaviour of every listener whose name is `name` or begins with `name/`; `all` names all. Returns the names set.
    ///
    /// Errors: there is no such listener.
    pub fn set(&self, name: &str, mode: &Mode) -> anyhow::Result<Vec<String>> {
        let meant = |listener: &str| {
            name == "all"
                || listener == name
                || listener
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        let mut names = Vec::new();
        for (listener, state) in self
            .listeners
            .iter()
            .filter(|(listener, _)| meant(listener))
        {
            state.shared.state().mode = mode.clone();
            names.push(listener.clone());
        }
        let known = || {
            self.listeners
                .keys()
                .cloned()
                .collect::<Vec<_>>()
                .join(", ")
        };
        anyhow::ensure!(
            !names.is_empty(),
            "no RPC listener is called {name}; there are: {}, and all",
            known()
        );
        Ok(names)
    }

    /// Every listener.
    pub fn status(&self) -> Vec<ListenerStatus> {
        let status = |(name, listener): (&String, &Listener)| ListenerStatus {
            name: name.clone(),
            port: listener.port,
            mode: listener.shared.state().mode.clone(),
        };
        self.listeners.iter().map(status).collect()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, ListenerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mode(&self) -> Mode {
        self.state().mode.clone()
    }

    async fn forward(&self, request: &Value) -> reqwest::Result<Value> {
        self.http
            .post(&*self.upstream)
            .json(request)
            .send()
            .await?
            .json()
            .await
    }

    /// Waits as long as the listener is down, at most [`HANG`]. False if it still is.
    async fn is_up(&self) -> bool {
        let start = tokio::time::Instant::now();
        while self.mode() == Mode::Drop {
            if start.elapsed() > HANG {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        true
    }

    async fn answer_all(&self, requests: &[Value], mode: &Mode) -> reqwest::Result<Value> {
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(self.answer(request, mode).await?);
        }
        Ok(Value::Array(answers))
    }

    async fn answer(&self, request: &Value, mode: &Mode) -> reqwest::Result<Value> {
        let key = format!(
            "{}{}",
            request.get("method").unwrap_or(&Value::Null),
            request.get("params").unwrap_or(&Value::Null)
        );
        if *mode == Mode::Stale {
            let mut answer = self
                .state()
                .remembered
                .get(&key)
                .cloned()
                .unwrap_or_else(behind);
            if let Some(answer) = answer.as_object_mut() {
                answer.insert(
                    "id".to_owned(),
                    request.get("id").cloned().unwrap_or_default(),
                );
            }
            return Ok(answer);
        }
        let mut answer = self.forward(request).await?;
        let method = request.get("method").and_then(Value::as_str).unwrap_or("");
        if method.starts_with("get") {
            let mut state = self.state();
            if state.remembered.len() >= REMEMBERED_MAX {
                state.remembered.clear();
            }
            state.remembered.insert(key, answer.clone());
        }
        if let (Mode::Lie(about), Some(result)) = (mode, answer.get_mut("result")) {
            lie::distort(about, method, result);
        }
        Ok(answer)
    }
}

fn behind() -> Value {
    json!({"jsonrpc": "2.0", "error": {"code": NODE_UNHEALTHY, "message": "Node is behind", "data": {"numSlotsBehind": null}}})
}

async fn serve(State(shared): State<Shared>, Json(request): Json<Value>) -> Response {
    if !shared.is_up().await {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let mode = shared.mode();
    if let Mode::Delay { ms } = mode {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    let answer = if let Value::Array(requests) = &request {
        shared.answer_all(requests, &mode).await
    } else {
        shared.answer(&request, &mode).await
    };
    match answer {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// Accepts connections, and closes them at once while the listener is down.
struct Door {
    tcp: TcpListener,
    shared: Shared,
}

impl axum::serve::Listener for Door {
    type Io = TcpStream;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = axum::serve::Listener::accept(&mut self.tcp).await;
            if self.shared.mode() != Mode::Drop {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU64, Ordering},
        time::Instant,
    };

    use io_client::solana::{Commitment, SolanaError, SolanaRpc};

    use super::*;
    use crate::faults::Lie;

    /// A ledger whose slot grows with every question.
    async fn ledger() -> String {
        let slot = Arc::new(AtomicU64::new(100));
        let router = Router::new().route(
            "/",
            post(move |Json(request): Json<Value>| async move {
                let slot = slot.fetch_add(1, Ordering::Relaxed);
                Json(json!({"jsonrpc": "2.0", "id": request["id"], "result": {"context": {"slot": slot}, "value": slot}}))
            }),
        );
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = tcp.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(tcp, router).await });
        format!("http://127.0.0.1:{port}")
    }

    async fn proxy() -> (Proxy, SolanaRpc, SolanaRpc) {
        let upstream = ledger().await;
        let mut proxy = Proxy::default();
        let mut urls = Vec::new();
        for name in ["validator-0/a", "validator-0/b"] {
            let port = proxy.listen(name, 0, &upstream).await.unwrap();
            urls.push(client(port));
        }
        let [first, second] = urls.try_into().unwrap();
        (proxy, first, second)
    }

    fn client(port: u16) -> SolanaRpc {
        SolanaRpc::new(&[format!("http://127.0.0.1:{port}")]).unwrap()
    }

    async fn balance(rpc: &SolanaRpc) -> Result<u64, SolanaError> {
        let address = solana_pubkey::Pubkey::new_from_array([1; 32]);
        rpc.balance(&address, Commitment::Finalized).await
    }

    #[tokio::test]
    async fn listeners_fail_one_by_one_and_heal() {
        let (proxy, first, second) = proxy().await;
        assert_eq!(balance(&first).await.unwrap(), 100);
        proxy.set("validator-0/a", &Mode::Drop).unwrap();
        let limit = Duration::from_millis(300);
        assert!(
            tokio::time::timeout(limit, balance(&first)).await.is_err(),
            "an open connection hangs"
        );
        let fresh = client(proxy.status()[0].port);
        let refused = tokio::time::timeout(limit, balance(&fresh))
            .await
            .unwrap()
            .unwrap_err();
        assert!(
            matches!(refused, SolanaError::Unreachable { .. }),
            "{refused}"
        );
        assert!(balance(&second).await.is_ok());
        proxy.set("all", &Mode::Pass).unwrap();
        assert!(balance(&first).await.is_ok());
    }

    #[tokio::test]
    async fn a_stale_listener_repeats_itself_and_knows_nothing_new() {
        let (proxy, first, second) = proxy().await;
        assert_eq!(balance(&first).await.unwrap(), 100);
        proxy.set("validator-0/a", &Mode::Stale).unwrap();
        assert_eq!(balance(&second).await.unwrap(), 101);
        assert_eq!(balance(&first).await.unwrap(), 100);
        assert_eq!(balance(&first).await.unwrap(), 100);
        let error = first.slot(Commitment::Finalized).await.unwrap_err();
        assert!(
            matches!(
                error,
                SolanaError::Rpc {
                    code: NODE_UNHEALTHY,
                    ..
                }
            ),
            "{error}"
        );
        proxy.set("validator-0/a", &Mode::Pass).unwrap();
        assert_eq!(balance(&first).await.unwrap(), 102);
    }

    #[tokio::test]
    async fn a_slow_listener_is_slow_and_a_liar_lies() {
        let (proxy, first, _) = proxy().await;
        proxy.set("validator-0", &Mode::Delay { ms: 200 }).unwrap();
        let start = Instant::now();
        assert_eq!(balance(&first).await.unwrap(), 100);
        assert!(start.elapsed() >= Duration::from_millis(200));
        proxy
            .set("validator-0", &Mode::Lie(Lie::Balance { amount: 1_000 }))
            .unwrap();
        assert_eq!(balance(&first).await.unwrap(), 1_101);
    }

    #[tokio::test]
    async fn an_unknown_listener_is_named_with_those_there_are() {
        let (proxy, _, _) = proxy().await;
        let error = proxy.set("validator-9", &Mode::Drop).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no RPC listener is called validator-9; there are: validator-0/a, validator-0/b, and all"
        );
        assert!(
            proxy.set("validator", &Mode::Drop).is_err(),
            "a part of a name is no name"
        );
    }
}
