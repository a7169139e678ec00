//! What the verbs answer, and with which exit code.

use std::fs;

use crate::network::{free_ports, init, verb, verb_json};

fn words(output: &std::process::Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn init_twice_changes_nothing_and_shows_the_same_keys() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let node = init(&home, "alice", &free_ports(4));
    let again = verb_json(&home, &["init"]);
    assert_eq!(again, node.facts);
    assert_eq!(
        verb_json(&home, &["show-node-id"])["node_id"],
        node.facts["node_id"]
    );
    let validator = verb_json(&home, &["show-validator"]);
    for fact in [
        "consensus_key",
        "address",
        "settlement_key",
        "operator",
        "beacon_anchor",
    ] {
        assert_eq!(validator[fact], node.facts[fact], "{fact}");
    }
    let keys = verb_json(&home, &["keys", "list"]);
    assert_eq!(keys["settlement"], node.facts["settlement_key"]);
    assert_eq!(keys["operator"], node.facts["operator"]);
}

#[test]
fn keys_are_made_moved_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    init(&home, "alice", &free_ports(4));
    let made = verb_json(&home, &["keys", "add", "spare"]);
    let exported = verb(&home, &["keys", "export", "spare"]);
    let file = folder.path().join("moved.json");
    fs::write(&file, &exported.stdout).unwrap();
    let imported = verb_json(&home, &["keys", "import", "copy", file.to_str().unwrap()]);
    assert_eq!(imported["account"], made["account"]);
    for arguments in [
        vec!["keys", "add", "spare"],
        vec!["keys", "import", "spare", file.to_str().unwrap()],
        vec!["keys", "show", "absent"],
        vec!["keys", "add", "../outside"],
    ] {
        let refused = verb(&home, &arguments);
        assert_eq!(
            refused.status.code(),
            Some(1),
            "{arguments:?}: {}",
            words(&refused)
        );
    }
    assert_eq!(
        verb_json(&home, &["keys", "show", "spare"])["account"],
        made["account"]
    );
}

#[test]
fn a_wrong_setting_is_named_with_its_line_and_refuses_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    init(&home, "alice", &free_ports(4));
    let good = verb(&home, &["config", "check"]);
    assert!(good.status.success(), "{}", words(&good));
    let shown = verb(&home, &["config", "show"]);
    assert!(
        String::from_utf8(shown.stdout)
            .unwrap()
            .contains("moniker = \"alice\"  # file")
    );
    let file = home.join("node.toml");
    let text = fs::read_to_string(&file).unwrap();
    let line = text.lines().position(|line| line == "[api]").unwrap() + 2;
    fs::write(
        &file,
        text.replace("[api]\n", "[api]\nlistn = \"127.0.0.1:1\"\n"),
    )
    .unwrap();
    for arguments in [vec!["config", "check"], vec!["start"]] {
        let refused = verb(&home, &arguments);
        assert_eq!(refused.status.code(), Some(1));
        let words = words(&refused);
        assert!(
            words.contains(&format!("node.toml:{line}:"))
                && words.contains("did you mean api.listen?"),
            "{words}"
        );
    }
}

#[test]
fn starting_without_a_genesis_or_a_home_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let refused = verb(&home, &["start"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        words(&refused).contains("run `io-node init`"),
        "{}",
        words(&refused)
    );
    init(&home, "alice", &free_ports(4));
    let refused = verb(&home, &["start"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        words(&refused).contains("run `io-node init --genesis FILE`"),
        "{}",
        words(&refused)
    );
    let refused = verb(&home, &["status"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        words(&refused).contains("is the node running?"),
        "{}",
        words(&refused)
    );
    let refused = verb(&home, &["rollback", "--app-only"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        words(&refused).contains("there is no block to undo"),
        "{}",
        words(&refused)
    );
}

#[test]
fn versions_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let told = verb_json(folder.path(), &["version", "--long"]);
    assert_eq!(told["io-node"].as_str(), Some(env!("CARGO_PKG_VERSION")));
    assert!(
        told["cometbft"].as_str().unwrap().starts_with("0.38."),
        "{told}"
    );
}
