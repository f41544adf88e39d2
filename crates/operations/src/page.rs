//! Pages of lists.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::OperationError;

/// Items on a page, unless the query says otherwise.
pub const DEFAULT_LIMIT: usize = 100;
/// The most items on a page: some megabytes of the largest items.
pub const LARGEST_LIMIT: usize = 1000;

/// A page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ListPage<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// The cursor of the next page; missing on the last one. A cursor stays valid when items come or go.
    pub next_cursor: Option<String>,
}

/// A page that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageQuery {
    /// The key of the last item of the page before.
    after: Option<String>,
    limit: usize,
}

impl PageQuery {
    /// Reads cursor and limit.
    ///
    /// # Errors
    /// When one of them is not acceptable.
    pub fn parse(cursor: Option<&str>, limit: Option<usize>) -> Result<Self, OperationError> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if limit == 0 || limit > LARGEST_LIMIT {
            return Err(OperationError::invalid(
                "limit",
                format!("is not from 1 to {LARGEST_LIMIT}"),
            ));
        }
        let after = cursor.map(decoded).transpose()?;
        Ok(Self { after, limit })
    }

    /// The most items on the page.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// The cursor as the number of an item.
    pub(crate) fn after_number(&self) -> Result<Option<i64>, OperationError> {
        let number = self.after.as_deref().map(str::parse).transpose();
        number.map_err(|_| not_of_this_list())
    }

    /// The page of these items, which are one more than its limit where there is a further page.
    pub(crate) fn cut<T>(&self, mut items: Vec<T>, key: impl Fn(&T) -> String) -> ListPage<T> {
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let last = items.last().filter(|_| more);
        let next_cursor = last.map(|item| URL_SAFE_NO_PAD.encode(key(item)));
        ListPage { items, next_cursor }
    }

    /// The page of a list that is sorted by `key`.
    pub fn take<T>(&self, sorted: impl IntoIterator<Item = T>, key: impl Fn(&T) -> String) -> ListPage<T> {
        let is_before = |item: &T| self.after.as_ref().is_some_and(|after| key(item) <= *after);
        let mut rest = sorted.into_iter().skip_while(is_before);
        let items: Vec<T> = rest.by_ref().take(self.limit).collect();
        let more = rest.next().is_some();
        let last = items.last().filter(|_| more);
        let next_cursor = last.map(|item| URL_SAFE_NO_PAD.encode(key(item)));
        ListPage { items, next_cursor }
    }
}

fn decoded(cursor: &str) -> Result<String, OperationError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(not_of_this_list)
}

fn not_of_this_list() -> OperationError {
    OperationError::invalid("cursor", "is not a cursor of this list")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(all: &[&str], limit: usize) -> Vec<Vec<String>> {
        let (mut pages, mut cursor) = (Vec::new(), None);
        loop {
            let query = PageQuery::parse(cursor.as_deref(), Some(limit)).unwrap();
            let page = query.take(all.iter().map(ToString::to_string), Clone::clone);
            pages.push(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return pages;
            }
        }
    }

    #[test]
    fn pages_give_each_item_once_and_the_last_has_no_cursor() {
        assert_eq!(pages(&["a", "b", "c"], 2), [vec!["a", "b"], vec!["c"]]);
        assert_eq!(pages(&["a", "b"], 2), [vec!["a", "b"]]);
        assert_eq!(pages(&[], 2), [Vec::<String>::new()]);
    }

    #[test]
    fn a_cursor_or_limit_that_is_not_acceptable_names_its_member() {
        let field = |error: OperationError| error.field;
        assert_eq!(
            PageQuery::parse(Some("*"), None).map_err(field),
            Err(Some("cursor".into()))
        );
        assert_eq!(
            PageQuery::parse(None, Some(0)).map_err(field),
            Err(Some("limit".into()))
        );
    }
}
