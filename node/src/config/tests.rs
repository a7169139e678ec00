//! Order of origins, and mistakes with their line and fix.

use std::collections::BTreeSet;
use std::path::Path;

use toml::{Table, Value};

use super::{Config, ConfigError, FIELDS, LogFormat, Settings, default_table};

fn load(text: &str, variables: &[(&str, &str)], flags: &[&str]) -> Result<Settings, ConfigError> {
    let variables: Vec<(String, String)> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    Settings::from_parts(Path::new("node.toml"), text, &variables, &flags)
}

fn keys(table: &Table, prefix: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match value {
            Value::Table(inner) => all.extend(keys(inner, &format!("{key}."))),
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_) => {
                all.insert(key);
            }
        }
    }
    all
}

#[test]
fn every_setting_is_explained_and_nothing_else() {
    let explained: BTreeSet<String> = FIELDS.iter().map(|field| field.key.to_owned()).collect();
    assert_eq!(keys(&default_table(), ""), explained);
    assert!(FIELDS.iter().all(|field| field.meaning.len() > 10));
}

#[test]
fn the_documented_file_means_the_defaults() {
    let text = Config::default().to_file().unwrap();
    let settings = load(&text, &[], &[]).unwrap();
    assert_eq!(settings.config, Config::default());
    assert_eq!(settings.origin("api.listen"), "file");
    assert_eq!(load("", &[], &[]).unwrap().config, Config::default());
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let text = "moniker = \"file\"\nhalt_height = 1\n[api]\nlisten = \"127.0.0.1:1\"\n[log]\nformat = \"json\"\n";
    let variables = [
        ("IO_NODE_HALT_HEIGHT", "2"),
        ("IO_NODE_API_LISTEN", "127.0.0.1:2"),
        ("IO_NODE_SOLANA_ENDPOINTS", "http://a, http://b"),
    ];
    let settings = load(text, &variables, &["api.listen=127.0.0.1:3"]).unwrap();
    assert_eq!(settings.config.moniker, "file");
    assert_eq!(settings.config.halt_height, 2);
    assert_eq!(settings.config.api.listen, "127.0.0.1:3");
    assert_eq!(settings.config.log.format, LogFormat::Json);
    assert_eq!(settings.config.solana.endpoints, ["http://a", "http://b"]);
    assert_eq!(settings.config.metrics, Config::default().metrics);
    let origins = ["moniker", "halt_height", "api.listen", "metrics.listen"]
        .map(|key| settings.origin(key).to_owned());
    assert_eq!(
        origins,
        [
            "file",
            "IO_NODE_HALT_HEIGHT",
            "--set api.listen=127.0.0.1:3",
            "default"
        ]
    );
    // What is shown is a file that means the same.
    assert_eq!(
        load(&settings.show(), &[], &[]).unwrap().config,
        settings.config
    );
}

#[test]
fn a_mistake_in_the_file_names_its_line_and_a_fix() {
    for (text, line, part) in [
        (
            "moniker = \"a\"\n\n[api]\nlisten = \"127.0.0.1:1\"\nlisten_port = 7\n",
            5,
            "there is no setting listen_port here",
        ),
        (
            "[api]\nlisen = \"127.0.0.1:1\"\n",
            2,
            "did you mean api.listen?",
        ),
        ("[apis]\n", 1, "there is no setting apis here"),
        ("moniker = 7\n", 1, "expected a string"),
        ("moniker = \"a\n", 1, "invalid basic string"),
        (
            "[log]\n\nformat = \"xml\"\n",
            3,
            "expected `text` or `json`",
        ),
        ("halt_height = -1\n", 1, "expected u64"),
    ] {
        let error = load(text, &[], &[]).unwrap_err();
        let ConfigError::Line {
            line: found, why, ..
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(*found, line, "{error}");
        assert!(why.contains(part), "{error}");
    }
}

#[test]
fn unknown_names_and_impossible_values_are_refused_wherever_they_come_from() {
    let unknown = load("", &[("IO_NODE_API_LISTN", "x")], &[]).unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "environment: there is no setting IO_NODE_API_LISTN; did you mean api.listen?"
    );
    let unknown = load("", &[], &["nothing.like.it=1"]).unwrap_err();
    assert!(matches!(unknown, ConfigError::Unknown { .. }), "{unknown}");
    for (flag, part) in [
        ("halt_height=soon", "give a whole number"),
        ("comet.private_network=perhaps", "give true or false"),
        ("api.listen=localhost", "give IP:PORT"),
        ("comet.rpc_listen=127.0.0.1:1", "give tcp://HOST:PORT"),
        ("comet.timeout_commit_ms=5", "give 100 to 10000"),
        ("prices.poll_ms=1", "give 100 to 60000"),
        ("prices.sources=ftp://x", "each begins with"),
        ("solana.endpoints=ws://x", "each begins with"),
        ("solana.endpoints=http://x", "one alone could lie"),
        ("solana.approved=ab", "64 hexadecimal digits"),
        ("keys.consensus_address=abc", "give 40 hexadecimal digits"),
    ] {
        let error = load("", &[], &[flag]).unwrap_err();
        assert!(matches!(error, ConfigError::Value { .. }), "{error}");
        assert!(
            error.to_string().contains(part) && error.to_string().contains(flag),
            "{error}"
        );
    }
}
