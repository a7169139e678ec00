//! Lists, page by page.

use std::fmt::Display;
use std::ops::ControlFlow;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use borsh::{BorshDeserialize, BorshSerialize};
use io_state_machine::table::{Key, Table};
use io_storage::{Snapshot, View};
use io_types::Height;
use io_types::api::{LIMIT_DEFAULT, LIMIT_MAX, Page};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;

/// Rows that one page looks at, at most.
pub const VISITS_MAX: usize = 50_000;

/// Which page.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct PageQuery {
    /// The `next` of the page before.
    pub after: Option<String>,
    /// Rows.
    pub limit: Option<String>,
}

impl PageQuery {
    /// Rows of this page.
    pub(super) fn limit(&self) -> Result<usize, Failure> {
        match &self.limit {
            None => Ok(LIMIT_DEFAULT),
            Some(text) => match text.parse() {
                Ok(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
                _other => Err(Failure::bad(format!(
                    "limit = {text}: give 1 to {LIMIT_MAX}"
                ))),
            },
        }
    }

    /// Where the page begins.
    pub(super) fn after<T: FromStr>(&self) -> Result<Option<T>, Failure> {
        let parse = |text: &String| {
            text.parse().map_err(|_error| {
                Failure::bad(format!("after = {text}: give the `next` of a page"))
            })
        };
        self.after.as_ref().map(parse).transpose()
    }
}

/// A query whose mistakes are answered in our words.
#[derive(Debug)]
pub(super) struct Asked<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        read.map(|Query(query)| Self(query))
            .map_err(|error| Failure::bad(error.body_text()))
    }
}

/// A part of the path whose mistakes are answered in our words.
#[derive(Debug)]
pub(super) struct Named<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let read = Path::<T>::from_request_parts(parts, state).await;
        read.map(|Path(path)| Self(path))
            .map_err(|error| Failure::bad(error.body_text()))
    }
}

/// One page of a table in key order: `keep` chooses rows and turns them into what is shown.
pub(super) fn ascending<K, V, T>(
    view: &View<'_>,
    table: &Table<K, V>,
    query: &PageQuery,
    mut keep: impl FnMut(V) -> Result<Option<T>, Failure>,
) -> Result<Page<T>, Failure>
where
    K: Key + FromStr + Display + PartialEq,
    V: BorshSerialize + BorshDeserialize,
{
    let (limit, after) = (query.limit()?, query.after::<K>()?);
    let (mut items, mut last, mut more, mut visits) = (Vec::new(), None, false, 0_usize);
    let mut failure = None;
    table.visit(view, after.as_ref(), &mut |key, value| {
        if after.as_ref() == Some(&key) {
            return ControlFlow::Continue(());
        }
        if items.len() >= limit || visits >= VISITS_MAX {
            more = true;
            return ControlFlow::Break(());
        }
        visits = visits.saturating_add(1);
        last = Some(key);
        match keep(value) {
            Ok(Some(item)) => items.push(item),
            Ok(None) => {}
            Err(found) => {
                failure = Some(found);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let next = last.filter(|_| more).map(|key| key.to_string());
    Ok(Page {
        items,
        next,
        height: Height(view.height()),
    })
}

/// One page of a table whose keys are numbers without gaps, newest first. `newest` and `oldest` are the first and last that
/// may be there.
pub(super) fn descending<V: BorshSerialize + BorshDeserialize, K: Key>(
    view: &View<'_>,
    table: &Table<K, V>,
    query: &PageQuery,
    (newest, oldest): (u64, u64),
    key: impl Fn(u64) -> K,
) -> Result<Page<V>, Failure> {
    let (limit, after) = (query.limit()?, query.after::<u64>()?);
    let from = after.map_or(newest, |after| after.saturating_sub(1).min(newest));
    let (mut items, mut last, mut more) = (Vec::new(), None, false);
    if after != Some(0) {
        for number in (oldest..=from).rev() {
            if items.len() >= limit {
                more = true;
                break;
            }
            // A number that was never used, or a row that is gone, ends the list.
            let Some(row) = table.read(view, &key(number))? else {
                if items.is_empty() && number == newest {
                    continue;
                }
                break;
            };
            items.push(row);
            last = Some(number);
        }
    }
    let next = last.filter(|_| more).map(|number| number.to_string());
    Ok(Page {
        items,
        next,
        height: Height(view.height()),
    })
}

/// A row that must be there.
pub(super) fn found<K: Key, V: BorshSerialize + BorshDeserialize>(
    snapshot: &dyn Snapshot,
    table: &Table<K, V>,
    key: &K,
    what: impl FnOnce() -> String,
) -> Result<V, Failure> {
    table
        .read(snapshot, key)?
        .ok_or_else(|| Failure::absent(format!("there is no {}", what())))
}

/// The one row of a table that genesis writes.
pub(super) fn the_row<V: BorshSerialize + BorshDeserialize>(
    snapshot: &dyn Snapshot,
    table: &Table<(), V>,
) -> Result<V, Failure> {
    table
        .read(snapshot, &())?
        .ok_or_else(|| Failure::not_yet("the chain has no block yet; ask again in a second"))
}
