//! An endpoint that answers as Solana's RPC does, or as a broken one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use base64::Engine as _;
use serde_json::{Value, json};
use solana_pubkey::Pubkey;
use tokio::task::JoinHandle;

use super::world::{World, bound};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mode {
    Honest,
    Down,
    Slow(Duration),
    Garbage,
    Refusing,
    OtherCluster,
    FewAccounts,
    Empty,
}

struct Inner {
    mode: Mode,
    finalized: World,
    newest: World,
    commitments: Vec<String>,
}

/// One endpoint on a port of its own. It ends when it is dropped.
pub(super) struct Endpoint {
    inner: Arc<Mutex<Inner>>,
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Endpoint {
    pub(super) async fn start(world: &World) -> Self {
        let inner = Arc::new(Mutex::new(Inner {
            mode: Mode::Honest,
            finalized: world.clone(),
            newest: world.clone(),
            commitments: Vec::new(),
        }));
        let app = Router::new()
            .fallback(any(answer))
            .with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { inner, port, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn set(&self, mode: Mode) {
        self.inner.lock().unwrap().mode = mode;
    }

    pub(super) fn show(&self, world: &World) {
        self.show_unfinal(world, world);
    }

    pub(super) fn show_unfinal(&self, finalized: &World, newest: &World) {
        let mut inner = self.inner.lock().unwrap();
        inner.finalized = finalized.clone();
        inner.newest = newest.clone();
    }

    /// How often accounts were asked for.
    pub(super) fn looks(&self) -> usize {
        self.inner.lock().unwrap().commitments.len()
    }

    pub(super) fn commitments(&self) -> Vec<String> {
        self.inner.lock().unwrap().commitments.clone()
    }
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, Json(request): Json<Value>) -> Response {
    let mode = inner.lock().unwrap().mode;
    match mode {
        Mode::Down => return (StatusCode::SERVICE_UNAVAILABLE, "no").into_response(),
        Mode::Garbage => return "<html>".into_response(),
        Mode::Slow(time) => tokio::time::sleep(time).await,
        Mode::Refusing => {
            let error = json!({"code": -32005, "message": "Node is behind by 42 slots"});
            return Json(json!({"jsonrpc": "2.0", "id": request["id"], "error": error}))
                .into_response();
        }
        Mode::Honest | Mode::OtherCluster | Mode::FewAccounts | Mode::Empty => {}
    }
    let result = match request["method"].as_str().unwrap() {
        "getGenesisHash" => {
            let cluster = if mode == Mode::OtherCluster {
                [99; 32]
            } else {
                bound().cluster
            };
            json!(bs58::encode(cluster).into_string())
        }
        "getMultipleAccounts" => accounts(&inner, &request["params"], mode),
        other => panic!("{other} is not needed"),
    };
    Json(json!({"jsonrpc": "2.0", "id": request["id"], "result": result})).into_response()
}

fn accounts(inner: &Mutex<Inner>, params: &Value, mode: Mode) -> Value {
    let mut inner = inner.lock().unwrap();
    let commitment = params[1]["commitment"]
        .as_str()
        .unwrap_or("finalized")
        .to_owned();
    inner.commitments.push(commitment.clone());
    let world = if commitment == "finalized" {
        &inner.finalized
    } else {
        &inner.newest
    };
    let slice = &params[1]["dataSlice"];
    let show = |key: &Value| {
        let key: Pubkey = key.as_str().unwrap().parse().unwrap();
        if mode == Mode::Empty {
            return Value::Null;
        }
        let Some((owner, mut data)) = world.account(&key) else {
            return Value::Null;
        };
        if let Some(length) = slice["length"].as_u64() {
            data.truncate(usize::try_from(length).unwrap());
        }
        let data = base64::engine::general_purpose::STANDARD.encode(data);
        json!({
            "lamports": 1, "owner": owner.to_string(), "data": [data, "base64"],
            "executable": false, "rentEpoch": 0, "space": 0
        })
    };
    let mut value: Vec<Value> = params[0].as_array().unwrap().iter().map(show).collect();
    if mode == Mode::FewAccounts {
        value.pop();
    }
    json!({"context": {"slot": world.slot, "apiVersion": "4.2.2"}, "value": value})
}
