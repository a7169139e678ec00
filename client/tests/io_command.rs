//! The command `io` as people and scripts meet it: exit codes, where its words go, and what it does with keys.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use io_client::{Wallet, seal};
use io_types::row::{Booking, BookingPart, BookingState};
use io_types::{
    AccountId, Amount, Asset, BookingId, ChainTime, DeviceId, Height, HoldId, MicroUsd, OrderId,
};
use serde_json::{Value, json};

/// Runs the command with nothing of this machine's own settings.
fn io(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_io"))
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .output()
        .expect("the command starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("output is UTF-8")
}

/// Exit code, stdout, stderr.
fn parts(output: &Output) -> (Option<i32>, &str, &str) {
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// A URL on which nobody listens.
fn dead_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}", listener.local_addr().expect("its address"))
}

/// A node that answers each path with its status and JSON, and everything else with 404.
fn node(answers: Vec<(&'static str, u16, Value)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.expect("a connection"), &answers);
        }
    });
    url
}

fn answer(mut stream: TcpStream, answers: &[(&'static str, u16, Value)]) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut first = String::new();
    reader.read_line(&mut first).expect("a request line");
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a header");
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    reader.read_exact(&mut vec![0; length]).expect("a body");
    let path = first.split_whitespace().nth(1).expect("a path");
    let found = answers.iter().find(|(start, ..)| path.starts_with(start));
    let (status, body) = found.map_or_else(
        || {
            (
                404,
                json!({"code": 0, "error": format!("nothing at {path}")}),
            )
        },
        |(_, status, body)| (*status, body.clone()),
    );
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream
        .write_all((head + &body).as_bytes())
        .expect("the client reads");
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn a_node_that_is_down_is_exit_code_2_with_its_url_on_stderr() {
    let (home, url) = (home(), dead_url());
    for verb in [
        &["status"][..],
        &["account", "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin"],
        &["order", "list"],
        &["settlement", "show", "1"],
        &["supply"],
        &["watch", "--count", "1"],
        &["prove", "params"],
    ] {
        let output = io(home.path(), &[verb, &["--node", &url]].concat());
        let (code, stdout, stderr) = parts(&output);
        assert_eq!((code, stdout), (Some(2), ""), "{verb:?}: {stderr}");
        assert!(
            stderr.contains(&url) && stderr.contains("check that the node runs"),
            "{verb:?}: {stderr}"
        );
    }
}

#[test]
fn with_json_the_error_is_one_line_of_json_on_stderr() {
    let (home, url) = (home(), dead_url());
    let output = io(home.path(), &["--json", "status", "--node", &url]);
    let (code, stdout, stderr) = parts(&output);
    assert_eq!((code, stdout), (Some(2), ""));
    let error: Value = serde_json::from_str(stderr).expect("one JSON value");
    assert_eq!(error["exit"], 2);
    assert!(error["error"].as_str().expect("text").contains(&url));
}

#[test]
fn what_is_badly_typed_is_exit_code_2_and_reaches_nobody() {
    let (home, url) = (home(), dead_url());
    let wallet = home.path().join("id.json");
    Wallet::generate().save(&wallet).expect("a wallet");
    let wallet = wallet.to_str().expect("UTF-8");
    let to = "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin";
    for (verb, why) in [
        (&["transfer", to, "12.5"][..], "names no asset"),
        (&["transfer", to, "0.000000001", "io"], "more than 8 digits"),
        (&["transfer", to, "1", "sol"], "is no asset"),
        (&["transfer", to, "-1", "io"], "unexpected argument"),
        (&["transfer", "xyz", "1", "io"], "is no account"),
        (
            &["stake", "add", "7", "5", "usdc"],
            "the only asset taken here",
        ),
        (&["withdraw"], "required"),
        (&["nothing"], "unrecognized subcommand"),
        (&["prove", "orders", "1"], "cannot be proven"),
    ] {
        let output = io(
            home.path(),
            &[verb, &["--node", &url, "--wallet", wallet]].concat(),
        );
        let (code, stdout, stderr) = parts(&output);
        assert_eq!((code, stdout), (Some(2), ""), "{verb:?}: {stderr}");
        assert!(stderr.contains(why), "{verb:?}: {stderr}");
        assert!(!stderr.contains("cannot reach"), "{verb:?}: {stderr}");
    }
}

#[test]
fn a_refusal_is_exit_code_1_with_code_and_rule() {
    let (home, params) = (home(), params());
    let chain = "test";
    let status = json!({
        "chain_id": chain, "version": "0.1.0", "min_client_version": "0.1.0", "height": 5, "app_hash": "00".repeat(32),
        "block_time": 0, "chain_time": 0, "epoch": 0, "slot": 0,
        "scale": {"genesis_time": 0, "chain_start": 0, "epoch_seconds": 3600},
        "catching_up": false, "moniker": "t", "notes": []
    });
    let wallet = Wallet::from_seed([1; 32]);
    let path = home.path().join(".config/io/id.json");
    wallet.save(&path).expect("the usual wallet");
    let view = json!({"account": wallet.account(), "balances": [], "lanes": [], "accruals": [], "height": 5});
    let url = node(vec![
        ("/v1/status", 200, status),
        ("/v1/params", 200, params),
        ("/v1/accounts", 200, view),
        (
            "/v1/transactions",
            422,
            json!({"code": 201, "error": "5 needed, 0 available"}),
        ),
    ]);
    let to = AccountId([9; 32]).to_string();
    let arguments = ["transfer", &to, "5", "io", "--node", &url];
    let output = io(home.path(), &arguments);
    let (code, stdout, stderr) = parts(&output);
    assert_eq!((code, stdout), (Some(1), ""));
    assert_eq!(
        stderr,
        "io: rejected with code 201: 5 needed, 0 available\n"
    );

    let output = io(home.path(), &[&arguments[..], &["--json"]].concat());
    let error: Value = serde_json::from_str(text(&output.stderr)).expect("JSON");
    assert_eq!(
        (&error["code"], &error["rule"], &error["exit"]),
        (&json!(201), &json!("InsufficientFunds"), &json!(1))
    );

    let output = io(home.path(), &["order", "cancel", "7", "--node", &url]);
    assert_eq!(output.status.code(), Some(1));
    let output = io(home.path(), &["booking", "show", "7", "--node", &url]);
    let (code, _, stderr) = parts(&output);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("nothing at /v1/bookings/7"), "{stderr}");
}

fn params() -> Value {
    json!({
        "admission": {}, "market": {}, "uptime": {}, "stake": {}, "reward": {}, "verification": {}, "price": {}, "settlement": {}
    })
}

#[test]
fn keys_are_made_once_and_shown_and_kept_to_their_owner() {
    let home = home();
    let output = io(home.path(), &["keys", "new"]);
    let (code, made, stderr) = parts(&output);
    assert_eq!(code, Some(0), "{stderr}");
    let path = home.path().join(".config/io/id.json");
    assert!(stderr.contains(path.to_str().expect("UTF-8")));
    let mode = std::fs::metadata(&path)
        .expect("the file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        made.trim(),
        Wallet::load(&path).expect("it loads").account().to_string()
    );

    let output = io(home.path(), &["keys", "show"]);
    assert_eq!(parts(&output), (Some(0), made, ""));
    let shown: Value =
        serde_json::from_slice(&io(home.path(), &["keys", "show", "--json"]).stdout).expect("JSON");
    assert_eq!(shown["account"], made.trim());

    let output = io(home.path(), &["keys", "new"]);
    let (code, stdout, stderr) = parts(&output);
    assert_eq!((code, stdout), (Some(2), ""));
    assert!(stderr.contains("never overwritten"));

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("mode is set");
    let output = io(home.path(), &["keys", "show"]);
    let (code, _, stderr) = parts(&output);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("chmod 600"), "{stderr}");
}

#[test]
fn the_environment_beats_the_file_and_a_flag_beats_both() {
    let home = home();
    let folder = home.path().join(".config/io");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(
        folder.join("config.toml"),
        "node = \"http://127.0.0.1:1\"\n",
    )
    .expect("a file");
    let run = |variable: Option<&str>, flag: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_io"));
        command
            .arg("supply")
            .args(flag)
            .env_clear()
            .env("HOME", home.path());
        if let Some(url) = variable {
            command.env("IO_NODE", url);
        }
        String::from_utf8(command.output().expect("it starts").stderr).expect("UTF-8")
    };
    assert!(run(None, &[]).contains("http://127.0.0.1:1/"));
    assert!(run(Some("http://127.0.0.1:2"), &[]).contains("http://127.0.0.1:2/"));
    assert!(
        run(
            Some("http://127.0.0.1:2"),
            &["--node", "http://127.0.0.1:3"]
        )
        .contains("http://127.0.0.1:3/")
    );
}

fn booking(renter: &Wallet) -> Booking {
    let part = BookingPart {
        device: DeviceId(7),
        supplier: AccountId([2; 32]),
        ask: MicroUsd(2_100_000),
        quantity: 8,
        part: Amount::new(500),
        hold: HoldId(1),
        payout_asset: Asset::Io,
        delivered_at: Some(ChainTime(0)),
        served: 30,
        slashed: 0,
        paid: Amount::ZERO,
        pay_due: ChainTime(0),
        ended: None,
        sealed: seal(&renter.account(), b"ssh renter@10.0.0.1\n").expect("a valid key"),
    };
    Booking {
        id: BookingId(5),
        order: OrderId(3),
        renter: renter.account(),
        asset: Asset::Io,
        hours: 2,
        price: 150_000,
        total: Amount::new(1_000_000_000),
        fees: Amount::new(5),
        fee_hold: HoldId(2),
        reservation: Amount::new(5),
        fees_earned: Amount::ZERO,
        state: BookingState::Serving,
        parts: vec![part],
        matched_at: ChainTime(0),
        deliver_by: ChainTime(600_000),
        height: Height(9),
        pulse_ok: true,
    }
}

#[test]
fn only_the_renter_opens_a_bookings_details() {
    let home = home();
    let (renter, other) = (Wallet::generate(), Wallet::generate());
    let (own, others) = (home.path().join("own.json"), home.path().join("other.json"));
    renter.save(&own).expect("a wallet");
    other.save(&others).expect("a wallet");
    let booking = serde_json::to_value(booking(&renter)).expect("JSON");
    let url = node(vec![("/v1/bookings/5", 200, booking.clone())]);
    let open = |wallet: &Path| {
        let wallet = wallet.to_str().expect("UTF-8");
        io(
            home.path(),
            &["booking", "open", "5", "--node", &url, "--wallet", wallet],
        )
    };
    assert_eq!(
        parts(&open(&own)),
        (Some(0), "device 7: ssh renter@10.0.0.1\n", "")
    );
    let output = open(&others);
    let (code, stdout, stderr) = parts(&output);
    assert_eq!((code, stdout), (Some(2), ""));
    assert!(stderr.contains("another account"), "{stderr}");

    let output = io(home.path(), &["booking", "show", "5", "--node", &url]);
    let (code, stdout, _) = parts(&output);
    assert_eq!(code, Some(0));
    assert!(
        stdout.contains("taken in all  10 io") && stdout.contains("2.1"),
        "{stdout}"
    );
    let output = io(
        home.path(),
        &["booking", "show", "5", "--node", &url, "--json"],
    );
    let shown: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(shown, booking);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let home = home();
    io(home.path(), &["keys", "new"]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = Command::new(env!("CARGO_BIN_EXE_io"))
        .args(["keys", "show"])
        .env_clear()
        .env("HOME", home.path())
        .stdout(writer)
        .status()
        .expect("it starts");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn help_names_the_exit_codes_and_the_settings() {
    let home = home();
    let output = io(home.path(), &["--help"]);
    let (code, stdout, _) = parts(&output);
    assert_eq!(code, Some(0));
    for needed in [
        "Exit codes: 0 done, 1 refused",
        "IO_NODE",
        "config.toml",
        "Example:",
    ] {
        assert!(stdout.contains(needed), "{needed}");
    }
}
