//! The program on a folder: from a template to a genesis, and every error by file and line.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise, and its numbers are small"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine as _;
use ed25519_dalek::SigningKey;
use io_genesis::{Folder, Problem, keys::keypair_text, parse_spec};
use tempfile::TempDir;

const ANCHOR: &str = "5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c";

struct Network {
    home: TempDir,
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn account(seed: u8) -> String {
    io_types::AccountId(key(seed).verifying_key().to_bytes()).to_string()
}

impl Network {
    /// A localnet with four validators and three verifiers.
    fn whole() -> Self {
        let network = Self {
            home: tempfile::tempdir().unwrap(),
        };
        let folder = network.folder();
        let folder = folder.to_str().unwrap();
        network.done(&[
            "new",
            folder,
            "--network",
            "localnet",
            "--chain-id",
            "io-test-1",
            "--genesis-time",
            "2026-11-21T09:30:00.250Z",
        ]);
        for seed in 1..=3 {
            let url = format!("ws://127.0.0.1:{}", 7000 + u16::from(seed));
            let who = account(seed);
            network.done(&[
                "add-account",
                folder,
                &who,
                "--io",
                "1000.5",
                "--usdc",
                "20",
                "--verifier",
                &url,
                "--stake",
                "500",
            ]);
        }
        for seed in 1..=4 {
            network.validator(seed, "10");
        }
        network.edit("network.toml", "cluster = \"00", "cluster = \"01");
        for (field, value) in [
            ("program", account(201)),
            ("io_mint", account(202)),
            ("usdc_mint", account(203)),
        ] {
            let old = format!("{field} = \"11111111111111111111111111111111\"");
            network.edit("network.toml", &old, &format!("{field} = \"{value}\""));
        }
        network
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("net")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_io-genesis"));
        command
            .args(arguments)
            .current_dir(self.home.path())
            .output()
            .unwrap()
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn validator(&self, seed: u8, power: &str) {
        let file = |name: &str, text: String| {
            let path = self.home.path().join(format!("{name}-{seed}.json"));
            fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let consensus = key(seed + 10);
        let secret = base64::engine::general_purpose::STANDARD.encode(consensus.to_keypair_bytes());
        let priv_key =
            serde_json::json!({"priv_key": {"type": "tendermint/PrivKeyEd25519", "value": secret}});
        let consensus = file("consensus", priv_key.to_string());
        let settlement = file("settlement", keypair_text(&key(seed + 20)));
        let operator = file("operator", keypair_text(&key(seed + 30)));
        let (folder, name) = (self.folder(), format!("validator-{seed}"));
        self.done(&[
            "add-validator",
            folder.to_str().unwrap(),
            "--moniker",
            &name,
            "--power",
            power,
            "--consensus-key",
            &consensus,
            "--settlement-key",
            &settlement,
            "--operator-key",
            &operator,
            "--beacon-anchor",
            ANCHOR,
        ]);
    }

    fn edit(&self, file: &str, old: &str, new: &str) {
        let path = self.folder().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{file} has no {old:?}");
        fs::write(&path, text.replacen(old, new, 1)).unwrap();
    }

    fn a_validator_file(&self) -> PathBuf {
        let mut files: Vec<PathBuf> = fs::read_dir(self.folder().join("validators"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files.remove(0)
    }
}

fn line_of(path: &Path, text: &str) -> usize {
    let file = fs::read_to_string(path).unwrap();
    file.lines()
        .position(|line| line.contains(text) && !line.starts_with('#'))
        .unwrap()
        + 1
}

#[test]
fn from_a_template_to_a_genesis_with_the_same_bytes_each_time() {
    let network = Network::whole();
    network.done(&["collect", "net"]);
    let read = |name: &str| fs::read_to_string(network.folder().join(name)).unwrap();
    let (spec, genesis) = (read("spec.json"), read("genesis.json"));
    network.done(&["collect", "net"]);
    assert_eq!(
        (read("spec.json"), read("genesis.json")),
        (spec.clone(), genesis.clone())
    );

    let parsed = parse_spec(&spec).unwrap();
    assert_eq!(parse_spec(&genesis).unwrap(), parsed);
    assert_eq!(parsed.chain_id, "io-test-1");
    assert_eq!(parsed.genesis_time.0, 1_795_253_400_250);
    // The hour of the genesis time, as nothing else was asked for.
    assert_eq!(parsed.chain_start.0, 1_795_251_600_000);
    assert_eq!(
        (
            parsed.validators.len(),
            parsed.verifiers.len(),
            parsed.balances.len()
        ),
        (4, 3, 6)
    );
    assert_eq!(
        parsed
            .balances
            .iter()
            .map(|balance| balance.amount.get())
            .max(),
        Some(100_050_000_000)
    );
    for path in ["net", "net/spec.json", "net/genesis.json"] {
        network.done(&["check", path]);
        let shown = network.done(&["show", path]);
        assert!(
            shown.contains("vaults must hold    300150000000 base units of IO, 60000000 of USDC"),
            "{shown}"
        );
    }
    let facts: serde_json::Value =
        serde_json::from_str(&network.done(&["show", "net", "--json"])).unwrap();
    assert_eq!(facts["chain_start"], "2026-11-21T09:00:00Z");
    assert_eq!(facts["spec_sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn a_problem_names_file_line_and_way_out() {
    let network = Network::whole();
    let cases = [
        (
            "network.toml",
            "chain_start = \"2026-11-21T09:00:00Z\"",
            "chain_start = \"2026-11-21T09:01:00Z\"",
            "use 2026-11-21T09:00:00Z",
        ),
        (
            "network.toml",
            "schedule_start = \"2024-07-01T00:00:00Z\"",
            "schedule_start = \"2024-07-02T00:00:00Z\"",
            "first instant of a UTC month",
        ),
        (
            "network.toml",
            "genesis_time = \"2026-11-21T09:30:00.250Z\"",
            "genesis_time = \"yesterday\"",
            "is no instant",
        ),
        (
            "network.toml",
            "block_bytes_max = 4000000",
            "block_bytes_max = 4000001",
            "use 1 000 000 to 4 000 000",
        ),
        (
            "params.toml",
            "quorum = 3",
            "quorum = 4",
            "there are 3 verifiers",
        ),
        (
            "models.toml",
            "price_floor = 1000000",
            "price_floor = 99000000",
            "must be above 0 and at most the ceiling",
        ),
        (
            "catalogue.toml",
            "r = 128",
            "r = 100",
            "r must be a multiple of 64",
        ),
        (
            "balances.toml",
            "amount = \"100050000000\"",
            "amount = \"0\"",
            "remove the row",
        ),
    ];
    for (file, old, new, text) in cases {
        network.edit(file, old, new);
        let error = network.refused(&["check", "net"]);
        // The line that is at fault, or the line that names the row at fault.
        assert!(
            error.contains(&format!("net/{file}:")) && error.contains(text),
            "{new}: {error}"
        );
        if file == "network.toml" {
            let line = line_of(&network.folder().join(file), new);
            assert!(
                error.contains(&format!("net/{file}:{line}: ")),
                "{new}: {error}"
            );
        }
        assert!(network.refused(&["collect", "net"]).contains(text));
        network.edit(file, new, old);
    }
    network.done(&["check", "net"]);
}

#[test]
fn a_file_of_another_form_is_refused_by_line() {
    let network = Network::whole();
    network.edit("params.toml", "[stake]", "[stake]\ncolour = 1");
    let error = network.refused(&["check", "net"]);
    let line = line_of(&network.folder().join("params.toml"), "colour");
    assert!(
        error.contains(&format!("params.toml: TOML parse error at line {line}")),
        "{error}"
    );
    assert!(
        error.contains("colour") && error.matches("TOML parse error").count() == 1,
        "{error}"
    );
    fs::remove_file(network.folder().join("params.toml")).unwrap();
    let error = network.refused(&["check", "net"]);
    assert!(
        error.contains("params.toml") && error.contains("io-genesis new"),
        "{error}"
    );
    let error = network.refused(&["new", "net", "--chain-id", "io-test-1"]);
    assert!(error.contains("there already"), "{error}");
}

#[test]
fn a_validator_that_did_not_sign_is_refused() {
    let network = Network::whole();
    let file = network.a_validator_file();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("power = 10", "power = 11")).unwrap();
    let folder = Folder::read(&network.folder()).unwrap();
    let problems = folder.spec().unwrap_err();
    let keys: Vec<&str> = problems
        .iter()
        .filter_map(|located| {
            if let Problem::Unsigned { key, .. } = &located.problem {
                Some(*key)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(
        (keys, problems.len()),
        (vec!["consensus", "settlement", "operator"], 3)
    );
    assert!(
        problems
            .iter()
            .all(|located| located.path == file && located.line.is_some())
    );
    // A declaration is for one chain.
    fs::write(&file, text).unwrap();
    network.edit(
        "network.toml",
        "chain_id = \"io-test-1\"",
        "chain_id = \"io-test-2\"",
    );
    assert_eq!(
        Folder::read(&network.folder())
            .unwrap()
            .spec()
            .unwrap_err()
            .len(),
        12
    );
}

#[test]
fn keys_and_amounts_that_are_none_are_refused() {
    let network = Network::whole();
    let error = network.refused(&["add-account", "net", &account(9)]);
    assert!(error.contains("nothing to add"), "{error}");
    let output = network.run(&["add-account", "net", &account(9), "--io", "1.000000001"]);
    assert_eq!(output.status.code(), Some(2));
    fs::write(network.home.path().join("bad.json"), "[1,2,3]").unwrap();
    let arguments = [
        "add-validator",
        "net",
        "--moniker",
        "eve",
        "--power",
        "1",
        "--consensus-key",
        "consensus-1.json",
        "--settlement-key",
        "bad.json",
        "--operator-key",
        "operator-1.json",
        "--beacon-anchor",
        ANCHOR,
    ];
    let error = network.refused(&arguments);
    assert!(
        error.contains("bad.json") && error.contains("3 bytes, 64 needed"),
        "{error}"
    );
}
