//! What the stand-in answers to which request.

use serde_json::{Value as Json, json};

use super::filter::{attributes, lets, parse};
use super::state::{Index, State, Work};
use super::{Fault, Request, problem};

type Answer = (u16, Json);

impl State {
    pub(super) fn routed(&mut self, request: &Request, fault: Option<Fault>) -> Answer {
        let path = request.path.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let body = || serde_json::from_slice::<Json>(&request.body).unwrap_or_default();
        match (request.method.as_str(), &parts[..]) {
            ("GET", ["version"]) => (200, json!({ "pkgVersion": self.version })),
            ("GET", ["tasks", uid]) => self.look(uid.parse().unwrap_or(usize::MAX)),
            ("GET", ["indexes"]) => {
                let uids = self.indexes.keys().map(|uid| json!({ "uid": uid }));
                let results: Vec<Json> = uids.collect();
                (200, json!({ "total": results.len(), "results": results }))
            }
            ("POST", ["indexes"]) => {
                let uid = body()["uid"].as_str().unwrap_or_default().to_owned();
                self.enqueue(Work::Create(uid), fault)
            }
            ("DELETE", ["indexes", uid]) => self.enqueue(Work::Drop((*uid).into()), fault),
            ("PATCH", ["indexes", uid, "settings"]) => {
                self.enqueue(Work::Settle((*uid).into(), body()), fault)
            }
            ("POST" | "PUT", ["indexes", uid, "documents"]) => {
                let is_whole = request.method == "POST";
                match documents(request) {
                    Some(documents) => {
                        self.enqueue(Work::Write((*uid).into(), documents, is_whole), fault)
                    }
                    None => (400, problem("malformed_payload")),
                }
            }
            ("DELETE", ["indexes", uid, "documents", id]) => {
                self.enqueue(Work::Delete((*uid).into(), (*id).into()), fault)
            }
            (method, ["indexes", uid, rest @ ..]) => match self.indexes.get(*uid) {
                Some(index) => asked(index, method, rest, &body()),
                None => (404, problem("index_not_found")),
            },
            _ => (404, problem("not_found")),
        }
    }
}

fn documents(request: &Request) -> Option<Vec<Json>> {
    if !request.is_lines {
        return serde_json::from_slice(&request.body).ok();
    }
    let lines = request.body.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_slice(line).ok())
        .collect()
}

fn asked(index: &Index, method: &str, path: &[&str], body: &Json) -> Answer {
    match (method, path) {
        ("GET", ["settings"]) => {
            let mut echo = json!({ "stopWords": [], "typoTolerance": { "enabled": true } });
            if let (Some(echo), Some(set)) = (echo.as_object_mut(), index.settings.as_object()) {
                echo.extend(set.clone());
            }
            (200, echo)
        }
        ("POST", ["documents", "fetch"]) => match chosen(index, body) {
            Ok(found) => page(&found, body),
            Err(code) => (400, problem(code)),
        },
        ("POST", ["search"]) => match chosen(index, body) {
            Ok(found) => {
                let q = body["q"].as_str().unwrap_or_default();
                let hits = found.into_iter().filter(|document| is_near(document, q));
                (200, json!({ "hits": hits.collect::<Vec<&Json>>() }))
            }
            Err(code) => (400, problem(code)),
        },
        _ => (404, problem("not_found")),
    }
}

fn page(found: &[&Json], body: &Json) -> Answer {
    let limit = body["limit"].as_u64().unwrap_or(20) as usize;
    let results: Vec<&&Json> = found.iter().take(limit).collect();
    (
        200,
        json!({ "results": results, "total": found.len(), "offset": 0, "limit": limit }),
    )
}

/// Documents that the filter lets through, in the order that is asked for.
fn chosen<'a>(index: &'a Index, body: &Json) -> Result<Vec<&'a Json>, &'static str> {
    let all = index.documents.values();
    let mut found: Vec<&Json> = match body["filter"].as_str() {
        Some(text) => {
            let filter = parse(text).map_err(|_| "invalid_document_filter")?;
            let mut is_allowed = true;
            attributes(&filter, &mut |attribute, is_compared| {
                is_allowed &= may_filter(&index.settings, attribute, is_compared);
            });
            match is_allowed {
                true => all.filter(|document| lets(&filter, document)).collect(),
                false => return Err("invalid_document_filter"),
            }
        }
        None => all.collect(),
    };
    if let Some((by, way)) = body["sort"][0]
        .as_str()
        .and_then(|sort| sort.split_once(':'))
    {
        let may_sort = index.settings["sortableAttributes"].as_array();
        if !may_sort.is_some_and(|names| names.contains(&by.into())) {
            return Err("invalid_document_sort");
        }
        found.sort_by_key(|document| document[by].as_i64());
        if way == "desc" {
            found.reverse();
        }
    }
    Ok(found)
}

fn may_filter(settings: &Json, attribute: &str, is_compared: bool) -> bool {
    let rules = settings["filterableAttributes"].as_array();
    rules.into_iter().flatten().any(|rule| {
        let names = rule["attributePatterns"].as_array();
        let filter = &rule["features"]["filter"];
        let feature = if is_compared {
            "comparison"
        } else {
            "equality"
        };
        names.is_some_and(|names| names.contains(&attribute.into())) && filter[feature] == true
    })
}

/// Whether every word has one in the document that differs in one letter at most.
fn is_near(document: &Json, words: &str) -> bool {
    let text = format!("{} {}", document["key"], document["text"]).to_lowercase();
    let has: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    words
        .split(' ')
        .all(|word| has.iter().any(|other| differ_little(word, other)))
}

fn differ_little(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let pairs = one.iter().zip(&other);
    one.len() == other.len() && pairs.filter(|(a, b)| a != b).count() <= 1
}
