//! Every setting, in the order of the file.

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// `section.name`.
    pub key: &'static str,
    /// What it means, with its unit.
    pub meaning: &'static str,
}

const fn field(key: &'static str, meaning: &'static str) -> Field {
    Field { key, meaning }
}

/// Every setting.
pub const FIELDS: &[Field] = &[
    field("moniker", "Shown to people."),
    field(
        "halt_height",
        "Stop before executing this height; 0: never.",
    ),
    field(
        "comet.binary",
        "The CometBFT program; empty: the first that fits on PATH or in the tools folder.",
    ),
    field("comet.p2p_listen", "Where peers connect, tcp://HOST:PORT."),
    field(
        "comet.rpc_listen",
        "CometBFT's RPC, tcp://HOST:PORT. It has no access control: keep it on loopback.",
    ),
    field(
        "comet.persistent_peers",
        "Peers to hold on to, ID@HOST:PORT, comma-separated.",
    ),
    field(
        "comet.private_network",
        "True where peers have private addresses or share one (used by init only).",
    ),
    field(
        "comet.timeout_commit_ms",
        "Milliseconds between a commit and the next proposal (used by init only).\nThe pause collects late votes with their extensions.",
    ),
    field(
        "comet.log_level",
        "CometBFT's log level: debug, info, error or none.",
    ),
    field(
        "abci.socket",
        "The unix socket to CometBFT; empty: abci.sock in the home. At most 107 bytes.",
    ),
    field(
        "api.listen",
        "The HTTP API, IP:PORT. Put a proxy with TLS in front of it for others.",
    ),
    field(
        "api.wait_seconds",
        "How long a submitted transaction is waited for, seconds.",
    ),
    field(
        "metrics.listen",
        "Prometheus metrics, IP:PORT; empty: none.",
    ),
    field(
        "log.level",
        "Log filter, such as info or info,io_node=debug.",
    ),
    field("log.format", "text or json."),
    field(
        "storage.retain_blocks",
        "How many blocks CometBFT keeps; 0: all.",
    ),
    field(
        "storage.journal_blocks",
        "How many blocks' results and events the API keeps.",
    ),
    field(
        "keys.settlement",
        "The key that signs settlements (a Solana keypair file).",
    ),
    field(
        "keys.sign_log",
        "The record of what was signed. Outside the chain's data: restoring data must not restore it.",
    ),
    field(
        "keys.beacon",
        "The seed of this validator's beacon hash chain.",
    ),
    field(
        "keys.consensus_address",
        "Address of this validator's consensus key, 40 hexadecimal digits; needed with a remote signer,\nelse empty: read from CometBFT's key file.",
    ),
    field(
        "prices.sources",
        "Where prices come from: http(s) URLs or file:FILE of JSON documents, or fixed:IO/USDC in US dollars.\nTheir median counts; of two or more at least two must answer. Empty: this validator reports no prices.",
    ),
    field(
        "prices.poll_ms",
        "Milliseconds between two looks at the sources.",
    ),
    field(
        "prices.unit",
        "What a source's numbers are: usd (decimal) or micro_usd (whole).",
    ),
    field(
        "prices.io_path",
        "Added to a source for the document with the price of a whole IO; empty: the source itself.",
    ),
    field(
        "prices.usdc_path",
        "Added to a source for the document with the price of a whole USDC; may be the same document.",
    ),
    field(
        "prices.io_pointer",
        "JSON pointer to the price of a whole IO in its document.",
    ),
    field(
        "prices.usdc_pointer",
        "JSON pointer to the price of a whole USDC in its document.",
    ),
    field(
        "prices.published_pointer",
        "JSON pointer to the time of publication in a document: seconds or milliseconds since 1970.",
    ),
    field(
        "solana.endpoints",
        "JSON-RPC endpoints of the Solana cluster, two or more, of different operators.\nEmpty: this validator reports nothing of Solana.",
    ),
    field(
        "solana.poll_ms",
        "Milliseconds between two looks at an endpoint.",
    ),
    field(
        "solana.timeout_ms",
        "An answer that takes longer is none, milliseconds.",
    ),
    field(
        "solana.age_max_ms",
        "What an endpoint said counts that long, milliseconds.",
    ),
    field(
        "solana.behind_slots_max",
        "An endpoint that many slots behind the best one does not count.",
    ),
    field(
        "solana.approved",
        "Header hashes of the Solana program that governance approved, hexadecimal.\nEmpty: the first one that the endpoints agree on, kept in the file below.",
    ),
    field(
        "solana.pin",
        "File that keeps the first header hash. Outside the chain's data: restoring data must not restore it.",
    ),
];
