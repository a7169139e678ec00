//! Settings files that ever shipped are read by today's programs, and every value in them still counts.
//!
//! A file in `golden/settings` is never edited: a setting that is renamed needs a reader for its old name.
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use io_bridge::relayer::config::Config as RelayerConfig;
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden/settings")
        .join(name)
}

/// The values of a golden file.
fn values(name: &str) -> Value {
    let text = std::fs::read_to_string(golden(name)).expect("a golden file");
    toml::from_str(&text).expect("TOML")
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let own = std::env::current_exe().expect("a test knows its place");
    let folder = own
        .parent()
        .and_then(Path::parent)
        .expect("a folder of the build");
    let path = folder.join(program);
    assert!(
        path.is_file(),
        "{program} is not built; run the tests by ./dev test"
    );
    let mut command = Command::new(path);
    // Settings also come from the environment; here only files count.
    command.env_clear().args(arguments);
    command.output().expect("a program of ours")
}

fn said(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// Panics if a value of the file is not what the program has.
fn counts(file: &Value, program: &Value, place: &str) {
    match (file, program) {
        (Value::Object(file), Value::Object(program)) => {
            for (name, value) in file {
                let place = format!("{place}.{name}");
                let has = program.get(name);
                counts(
                    value,
                    has.unwrap_or_else(|| panic!("{place} is gone")),
                    &place,
                );
            }
        }
        (file, program) => assert_eq!(program, file, "{place}"),
    }
}

#[test]
fn a_node_reads_them() {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::copy(golden("node.toml"), home.path().join("node.toml")).expect("a copy");
    let home = home.path().to_str().expect("UTF-8");
    said(&run("io-node", &["--home", home, "config", "check"]));
    let shown = said(&run(
        "io-node",
        &["--home", home, "--json", "config", "show"],
    ));
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    counts(&values("node.toml"), &shown, "node.toml");
}

#[test]
fn a_worker_and_a_verifier_read_them() {
    for (program, name) in [
        ("io-worker", "worker.toml"),
        ("io-verifier", "verifier.toml"),
    ] {
        let file = golden(name);
        let file = file.to_str().expect("UTF-8");
        let shown = said(&run(program, &["--config", file, "config"]));
        let shown: Value = toml::from_str(&shown).expect("TOML");
        counts(&values(name), &shown, name);
    }
}

#[test]
fn a_relayer_reads_them() {
    let file = golden("relayer.toml");
    let config = RelayerConfig::read(&file).expect("settings");
    config.check().expect("settings that can be used");
    let mut read = serde_json::to_value(&config).expect("JSON");
    // A relative path starts at the file's folder.
    let key = file.with_file_name("relayer.json");
    assert_eq!(read["key"], key.to_str().expect("UTF-8"));
    read["key"] = Value::from("relayer.json");
    counts(&values("relayer.toml"), &read, "relayer.toml");
}

#[test]
fn a_setting_that_nobody_knows_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let cases = [
        ("io-worker", "worker.toml", "wallt"),
        ("io-verifier", "verifier.toml", "replay_percnt"),
    ];
    for (program, name, unknown) in cases {
        let text = std::fs::read_to_string(golden(name)).expect("a golden file");
        let file = folder.path().join(name);
        std::fs::write(&file, format!("{unknown} = 1\n{text}")).expect("a file");
        let output = run(
            program,
            &["--config", file.to_str().expect("UTF-8"), "config"],
        );
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert!(
            words.contains(&format!("unknown field `{unknown}`")),
            "{words}"
        );
    }
}
