//! Configuration: default < file < environment < flag. Part of worker and verifier, as `terms`.

use std::path::Path;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// A configuration that cannot be used: where, what, what to do.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("configuration {path}: {why}; name another file with --config")]
    Unreadable {
        /// Which file.
        path: String,
        /// What the system says.
        why: std::io::Error,
    },
    /// The file is no TOML, or has a field that is unknown or of the wrong kind.
    #[error("configuration {path}: {why}")]
    BadFile {
        /// Which file.
        path: String,
        /// Line and reason.
        why: toml::de::Error,
    },
    /// A field is missing, or a variable or flag names one that is unknown or gives it the wrong kind of value.
    #[error("configuration: {why}; {blame}")]
    Invalid {
        /// Where it comes from, with the file that is not at fault.
        blame: String,
        /// Which field.
        why: toml::de::Error,
    },
}

/// Reads the layers, each over the one before, and turns them into `T`. An unknown field in any layer is an error.
///
/// A variable names a field as `PREFIX` and the field in capitals; `__` goes into a table.
///
/// # Errors
/// See [`SettingsError`].
pub fn load<T: DeserializeOwned>(
    file: Option<&Path>,
    prefix: &str,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[(&str, Option<String>)],
) -> Result<T, SettingsError> {
    let text = match file {
        Some(path) => read(path)?,
        None => String::new(),
    };
    let path = file.map(|path| path.display().to_string());
    let bad_file = |why| SettingsError::BadFile {
        path: path.clone().unwrap_or_default(),
        why,
    };
    let mut table: Table = text.parse().map_err(bad_file)?;
    let mut variables: Vec<(String, String)> = environment
        .into_iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_ascii_lowercase(), value)))
        .collect();
    variables.sort();
    for (name, value) in variables {
        let path: Vec<&str> = name.split("__").collect();
        set(&mut table, &path, &value);
    }
    for (name, value) in flags {
        if let Some(value) = value {
            let path: Vec<&str> = name.split('.').collect();
            set(&mut table, &path, value);
        }
    }
    // All layers together say whether they are sound, since one may complete another; the file alone says the line.
    let wrong = |why: toml::de::Error| match (&path, toml::from_str::<T>(&text).err()) {
        (Some(_path), Some(of_file)) if of_file.message() == why.message() => bad_file(of_file),
        (Some(path), _sound) => SettingsError::Invalid {
            blame: format!("a variable {prefix}FIELD or a flag says it, not the file {path}"),
            why,
        },
        (None, _empty) => SettingsError::Invalid {
            blame: format!("a variable {prefix}FIELD or a flag says it; no file is named"),
            why,
        },
    };
    table.try_into().map_err(wrong)
}

fn read(path: &Path) -> Result<String, SettingsError> {
    std::fs::read_to_string(path).map_err(|why| SettingsError::Unreadable {
        path: path.display().to_string(),
        why,
    })
}

/// Sets a value that was typed as text: a number, `true`, `false` or a list as in TOML, else a string.
fn set(table: &mut Table, path: &[&str], text: &str) {
    let Some((name, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        let typed = format!("value = {text}").parse::<Table>();
        let value = typed
            .ok()
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(|| Value::String(text.to_owned()));
        table.insert((*name).to_owned(), value);
        return;
    }
    let inner = table
        .entry((*name).to_owned())
        .or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(inner) = inner {
        set(inner, rest, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Example {
        node: String,
        poll_ms: u64,
        processors: Option<Inner>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        quantity: u16,
    }

    impl Default for Example {
        fn default() -> Self {
            Self {
                node: "default".to_owned(),
                poll_ms: 1,
                processors: None,
            }
        }
    }

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn later_layers_win_field_by_field() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        std::fs::write(
            &file,
            "node = \"file\"\npoll_ms = 2\n[processors]\nquantity = 2\n",
        )
        .unwrap();
        let environment = variables(&[
            ("X_POLL_MS", "3"),
            ("X_PROCESSORS__QUANTITY", "4"),
            ("PATH", "/"),
        ]);
        let all: Example = load(
            Some(&file),
            "X_",
            environment.clone(),
            &[("node", Some("flag".to_owned()))],
        )
        .unwrap();
        assert_eq!(
            all,
            Example {
                node: "flag".to_owned(),
                poll_ms: 3,
                processors: Some(Inner { quantity: 4 })
            }
        );
        let no_flag: Example = load(Some(&file), "X_", environment, &[("node", None)]).unwrap();
        assert_eq!(no_flag.node, "file");
        assert_eq!(
            load::<Example>(None, "X_", [], &[]).unwrap(),
            Example::default()
        );
    }

    #[test]
    fn what_a_file_leaves_out_a_variable_may_say() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        std::fs::write(&file, "[processors]\n").unwrap();
        let environment = variables(&[("X_PROCESSORS__QUANTITY", "4")]);
        let all: Example = load(Some(&file), "X_", environment, &[]).unwrap();
        assert_eq!(all.processors, Some(Inner { quantity: 4 }));
        let text = load::<Example>(Some(&file), "X_", [], &[])
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("a.toml") && text.contains("missing field `quantity`"),
            "{text}"
        );
    }

    #[test]
    fn an_unknown_field_is_refused_in_every_layer_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        std::fs::write(&file, "poll_ms = 4\nnodes = \"file\"\n").unwrap();
        let text = load::<Example>(Some(&file), "X_", [], &[])
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("a.toml: TOML parse error at line 2")
                && text.contains("unknown field `nodes`"),
            "{text}"
        );
        std::fs::write(&file, "poll_ms = \"often\"\n").unwrap();
        let text = load::<Example>(Some(&file), "X_", [], &[])
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("a.toml: TOML parse error at line 1") && text.contains("expected u64"),
            "{text}"
        );
        std::fs::write(&file, "poll_ms = 4\n").unwrap();
        let text = load::<Example>(Some(&file), "X_", variables(&[("X_NODES", "1")]), &[])
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("X_FIELD")
                && text.contains("unknown field `nodes`")
                && text.contains("not the file")
                && text.contains("a.toml"),
            "{text}"
        );
        let missing = load::<Example>(Some(&folder.path().join("b.toml")), "X_", [], &[])
            .unwrap_err()
            .to_string();
        assert!(
            missing.contains("b.toml") && missing.contains("--config"),
            "{missing}"
        );
    }
}
