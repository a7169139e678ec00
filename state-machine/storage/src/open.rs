//! Loading everything from the backend, and refusing what contradicts itself.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::ControlFlow,
};

use crate::{
    Fault, TableId, TableSpec,
    backend::{Backend, Family},
    fault::RESTORE,
    key::{Key, hex},
    record::{FORMAT, FORMAT_NOW, HEAD, Head, NODE_META, RESTORING, Reverse, decode_row},
    rows::{Row, Table, place},
    store::Meta,
    table::check_specs,
    version::Version,
};

/// Loads the published version and the meta rows.
///
/// # Errors
/// See [`Store::open`](crate::Store::open).
pub(crate) fn load(
    specs: &'static [TableSpec],
    backend: &dyn Backend,
) -> Result<(Version, Meta), Fault> {
    check_specs(specs)?;
    check_families(specs, backend)?;
    let mut meta = all(backend, Family::Meta)?;
    let head = load_head(specs, &mut meta)?;
    let mut tables = BTreeMap::new();
    for spec in specs {
        tables.insert(spec.id, load_table(spec, &head, backend)?);
    }
    let mut version = Version {
        specs,
        tables,
        head,
        layers: VecDeque::new(),
    };
    version.check_roots(&version.head, "rebuilt from its rows")?;
    let reverses = load_reverses(&version.head, backend)?;
    version.rebuild_layers(reverses)?;
    Ok((version, node_rows(meta)?))
}

fn check_families(specs: &[TableSpec], backend: &dyn Backend) -> Result<(), Fault> {
    let known: BTreeSet<TableId> = specs.iter().map(|spec| spec.id).collect();
    for family in backend.families()? {
        match family {
            Family::Meta | Family::Reverse => {}
            Family::Table(id) if known.contains(&id) => {}
            Family::Table(id) => {
                return Err(Fault::new(
                    format!("table {id}"),
                    "the database has rows of it, but this program knows no such table",
                    "start the version of the program that wrote this database, or restore from a snapshot",
                ));
            }
        }
    }
    Ok(())
}

fn load_head(specs: &[TableSpec], meta: &mut Meta) -> Result<Head, Fault> {
    if meta.remove(RESTORING).is_some() {
        return Err(Fault::new(
            "database",
            "a restore from a snapshot was interrupted",
            "remove the data folder and restore again",
        ));
    }
    let head = meta.remove(HEAD);
    match meta.remove(FORMAT) {
        None if head.is_none() => {}
        Some(format) if format == FORMAT_NOW => {}
        other => {
            let format = other.map_or_else(|| "none".to_owned(), |format| hex(&format));
            return Err(Fault::new(
                "database",
                format!(
                    "its format is {format}, but this program reads {}",
                    hex(&FORMAT_NOW)
                ),
                "start the version of the program that wrote this database, or restore from a snapshot",
            ));
        }
    }
    let Some(bytes) = head else {
        return Ok(Head::empty(specs));
    };
    let head = Head::decode(&bytes)?;
    let listed = specs.iter().map(|spec| spec.id);
    if !listed.eq(head.tables.keys().copied()) {
        let stored: Vec<u8> = head.tables.keys().map(|id| id.0).collect();
        return Err(Fault::new(
            "database",
            format!("its tables are {stored:?}, which are not those of this program"),
            "start the version of the program that wrote this database, or restore from a snapshot",
        ));
    }
    Ok(head)
}

fn load_table(
    spec: &'static TableSpec,
    head: &Head,
    backend: &dyn Backend,
) -> Result<Table, Fault> {
    let depth = head.tables.get(&spec.id).map_or(0, |table| table.depth);
    let mut rows: Vec<(Key, Row)> = Vec::new();
    let mut fault = None;
    backend.scan(
        Family::Table(spec.id),
        &mut |key, bytes| match decode_row(&place(spec), bytes) {
            Ok(row) => {
                rows.push((Key::new(key), row));
                ControlFlow::Continue(())
            }
            Err(undecodable) => {
                fault = Some(undecodable);
                ControlFlow::Break(())
            }
        },
    )?;
    match fault {
        None => Table::build(spec, depth, rows),
        Some(fault) => Err(fault),
    }
}

/// The stored reverses, the newest last. They must lead down from the head without a gap.
fn load_reverses(head: &Head, backend: &dyn Backend) -> Result<Vec<Reverse>, Fault> {
    let mut reverses = Vec::new();
    let mut above = head.height;
    for (key, bytes) in all(backend, Family::Reverse)?.into_iter().rev() {
        if key != above.to_be_bytes() {
            return Err(Fault::corrupt(
                "stored reverses",
                format!("there is one under {}, but {above} is due", hex(&key)),
            ));
        }
        let reverse = Reverse::decode(above, &bytes)?;
        if reverse.before.height >= above {
            return Err(Fault::corrupt(
                format!("stored reverse of height {above}"),
                format!("it leads up to height {}", reverse.before.height),
            ));
        }
        above = reverse.before.height;
        reverses.push(reverse);
    }
    reverses.reverse();
    Ok(reverses)
}

fn node_rows(meta: Meta) -> Result<Meta, Fault> {
    meta.into_iter()
        .map(|(key, value)| match key.strip_prefix(NODE_META) {
            Some(key) => Ok((key.to_vec(), value)),
            None => Err(Fault::new(
                "meta rows",
                format!(
                    "there is one under {}, which no part of this program writes",
                    hex(&key)
                ),
                RESTORE,
            )),
        })
        .collect()
}

fn all(backend: &dyn Backend, family: Family) -> Result<Meta, Fault> {
    let mut rows = Meta::new();
    backend.scan(family, &mut |key, value| {
        rows.insert(key.to_vec(), value.to_vec());
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}
