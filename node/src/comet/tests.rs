//! Versions, files and the child, with the real program.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::binary::Version;
use super::{Binary, BinaryError, CometHome, HomeError, Tuning, address_of, node_id_of};

fn tuning() -> Tuning {
    Tuning {
        moniker: "a \"quoted\" name".to_owned(),
        p2p_listen: "tcp://127.0.0.1:36656".to_owned(),
        rpc_listen: "tcp://127.0.0.1:36657".to_owned(),
        persistent_peers: String::new(),
        private_network: true,
        timeout_commit_ms: 800,
    }
}

#[test]
fn only_the_line_and_the_floor_are_served() {
    let served = |text: &str| Version::parse(text).map(Version::is_served);
    for good in ["0.38.25", "v0.38.25", "0.38.26+3f2a1", "0.38.100\n"] {
        assert_eq!(served(good), Some(true), "{good}");
    }
    for old in ["0.38.24", "0.37.18", "0.39.4", "0.40.0", "1.0.1", "0.38.3"] {
        assert_eq!(served(old), Some(false), "{old}");
    }
    for odd in ["", "0.38", "0.38.25.1", "zero", "0.38.x"] {
        assert_eq!(served(odd), None, "{odd}");
    }
}

/// A program that answers `version` with `text`.
fn program(folder: &Path, text: &str) -> std::path::PathBuf {
    let path = folder.join("cometbft");
    fs::write(&path, format!("#!/bin/sh\necho {text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_named_program_of_another_version_is_refused_with_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let old = program(folder.path(), "0.38.21");
    let refused = Binary::find(Some(&old));
    assert!(
        matches!(&refused, Err(BinaryError::Version { found, .. }) if found == "0.38.21"),
        "{refused:?}"
    );
    let silent = Binary::find(Some(&folder.path().join("absent")));
    assert!(
        matches!(silent, Err(BinaryError::Silent { .. })),
        "{silent:?}"
    );
    let good = Binary::find(Some(&program(folder.path(), "0.38.25"))).unwrap();
    assert_eq!(good.version.to_string(), "0.38.25");
}

#[test]
fn init_writes_what_is_missing_and_changes_nothing_that_exists() {
    let folder = tempfile::tempdir().unwrap();
    let home = CometHome::new(folder.path().join("cometbft"));
    home.init(&tuning()).unwrap();
    let read = |file: &str| fs::read_to_string(home.folder().join(file)).unwrap();
    let files = [
        "config/config.toml",
        "config/node_key.json",
        "config/priv_validator_key.json",
        "data/priv_validator_state.json",
    ];
    let first: Vec<String> = files.iter().map(|file| read(file)).collect();
    home.init(&Tuning {
        moniker: "other".to_owned(),
        ..tuning()
    })
    .unwrap();
    assert_eq!(
        files.iter().map(|file| read(file)).collect::<Vec<_>>(),
        first
    );
    for secret in &files[1..3] {
        let mode = fs::metadata(home.folder().join(secret))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    let settings: toml::Table = first[0].parse().unwrap();
    assert_eq!(settings["moniker"].as_str(), Some("a \"quoted\" name"));
    assert_eq!(settings["p2p"]["addr_book_strict"].as_bool(), Some(false));
}

#[test]
fn a_remote_signer_is_seen_in_cometbfts_settings() {
    let folder = tempfile::tempdir().unwrap();
    let home = CometHome::new(folder.path().to_owned());
    assert_eq!(home.remote_signer().unwrap(), None, "no settings yet");
    home.init(&tuning()).unwrap();
    assert_eq!(home.remote_signer().unwrap(), None);
    let settings = fs::read_to_string(home.config_file()).unwrap();
    let mut settings: toml::Table = settings.parse().unwrap();
    let address = "tcp://127.0.0.1:26659";
    settings.insert("priv_validator_laddr".to_owned(), address.into());
    fs::write(home.config_file(), settings.to_string()).unwrap();
    assert_eq!(home.remote_signer().unwrap().as_deref(), Some(address));
    fs::write(home.config_file(), "priv_validator_laddr").unwrap();
    let broken = home.remote_signer().unwrap_err();
    assert!(
        matches!(&broken, HomeError::BadSettings { path, .. } if *path == home.config_file()),
        "{broken:?}"
    );
}

#[test]
fn the_files_are_what_cometbft_itself_reads() {
    let folder = tempfile::tempdir().unwrap();
    let home = CometHome::new(folder.path().to_owned());
    home.init(&tuning()).unwrap();
    let binary = Binary::find(None).unwrap_or_else(|error| panic!("{error}"));
    let ask = |verb: &str| {
        let output = Command::new(&binary.path)
            .args([verb, "--home"])
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(ask("show-node-id"), home.node_id().unwrap());
    let key = home.validator_key().unwrap().unwrap();
    let shown: serde_json::Value = serde_json::from_str(&ask("show-validator")).unwrap();
    let value = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key.as_bytes());
    assert_eq!(shown["value"].as_str(), Some(value.as_str()));
    assert_eq!(node_id_of(&key), hex::encode(address_of(&key)));
}

#[test]
fn a_second_genesis_is_refused_and_the_same_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let home = CometHome::new(folder.path().to_owned());
    home.init(&tuning()).unwrap();
    home.install_genesis("{\"chain_id\":\"one\"}").unwrap();
    home.install_genesis("{\"chain_id\":\"one\"}").unwrap();
    let other = home.install_genesis("{\"chain_id\":\"two\"}");
    assert!(matches!(other, Err(HomeError::Exists { .. })), "{other:?}");
}

#[test]
fn a_damaged_key_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let home = CometHome::new(folder.path().to_owned());
    home.init(&tuning()).unwrap();
    let path = folder.path().join("config/node_key.json");
    for (damage, why) in [
        ("{", "EOF"),
        ("{}", "priv_key.value is missing"),
        (r#"{"priv_key":{"value":"!"}}"#, "Invalid symbol"),
        (r#"{"priv_key":{"value":"AAAA"}}"#, "3 bytes, not 64"),
    ] {
        fs::write(&path, damage).unwrap();
        let error = home.node_id().unwrap_err();
        assert!(
            matches!(&error, HomeError::BadKey { path: named, .. } if *named == path),
            "{error:?}"
        );
        assert!(error.to_string().contains(why), "{error}");
    }
}
