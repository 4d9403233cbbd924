//! Indexes, documents and tasks of the stand-in.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value as Json, json};

use super::{Fault, KEY, Request, problem};

pub(in super::super) struct State {
    pub(in super::super) indexes: BTreeMap<String, Index>,
    tasks: Vec<Task>,
    /// Methods and paths, as they came.
    pub(in super::super) requests: Vec<String>,
    pub(super) script: VecDeque<(String, Fault)>,
    pub(in super::super) version: &'static str,
    pub(super) is_over: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            indexes: BTreeMap::new(),
            tasks: Vec::new(),
            requests: Vec::new(),
            script: VecDeque::new(),
            version: "1.29.0",
            is_over: false,
        }
    }
}

#[derive(Default)]
pub(in super::super) struct Index {
    pub(in super::super) documents: BTreeMap<String, Json>,
    pub(in super::super) settings: Json,
}

pub(super) enum Work {
    Create(String),
    Drop(String),
    Settle(String, Json),
    /// Whole documents, or members of them.
    Write(String, Vec<Json>, bool),
    Delete(String, String),
}

struct Task {
    work: Option<Work>,
    looks: u32,
    end: Option<Fault>,
    error: Option<&'static str>,
}

type Answer = (u16, Json);

impl State {
    /// Faults that nobody has met yet.
    pub(in super::super) fn script_left(&self) -> usize {
        self.script.len()
    }

    pub(in super::super) fn script_cleared(&mut self) {
        self.script.clear();
    }

    /// The next fault of the script, if it is for this request.
    pub(super) fn fault(&mut self, request: &Request) -> Option<Fault> {
        let line = format!("{} {}", request.method, request.path);
        self.requests.push(line.clone());
        let is_meant = |(begin, _): &(String, Fault)| line.starts_with(begin.as_str());
        let at = self.script.iter().position(is_meant)?;
        self.script.remove(at).map(|(_, fault)| fault)
    }

    pub(super) fn answer(&mut self, request: &Request, fault: Option<Fault>) -> Answer {
        match request.key.as_deref() {
            Some(KEY) => self.routed(request, fault),
            Some(_) => (403, problem("invalid_api_key")),
            None => (401, problem("missing_authorization_header")),
        }
    }

    pub(super) fn enqueue(&mut self, work: Work, end: Option<Fault>) -> Answer {
        self.tasks.push(Task {
            work: Some(work),
            looks: 0,
            end,
            error: None,
        });
        let uid = self.tasks.len() - 1;
        (
            202,
            json!({ "taskUid": uid, "indexUid": null, "status": "enqueued", "type": "any" }),
        )
    }

    /// The first look finds it waiting; the second does its work, after that of all before it.
    pub(super) fn look(&mut self, uid: usize) -> Answer {
        let Some(task) = self.tasks.get_mut(uid) else {
            return (404, problem("task_not_found"));
        };
        task.looks += 1;
        if task.looks < 2 {
            return (
                200,
                json!({ "uid": uid, "status": "enqueued", "error": null }),
            );
        }
        (0..=uid).for_each(|uid| self.work_on(uid));
        let task = &self.tasks[uid];
        let error = |code: &str, kind: &str| json!({ "message": "", "code": code, "type": kind, "link": "" });
        let (status, error) = match (task.end, task.error) {
            (Some(Fault::TaskEndless), _) => ("processing", Json::Null),
            (Some(Fault::TaskCanceled), _) => ("canceled", Json::Null),
            (Some(Fault::TaskFails(code, kind)), _) => ("failed", error(code, kind)),
            (_, Some(code)) => ("failed", error(code, "invalid_request")),
            _ => ("succeeded", Json::Null),
        };
        (200, json!({ "uid": uid, "status": status, "error": error }))
    }

    fn work_on(&mut self, uid: usize) {
        let task = &mut self.tasks[uid];
        let is_cut = matches!(
            task.end,
            Some(Fault::TaskFails(..) | Fault::TaskCanceled | Fault::TaskEndless)
        );
        let Some(work) = task.work.take().filter(|_| !is_cut) else {
            return;
        };
        let done = self.done(work);
        self.tasks[uid].error = done.err();
    }

    fn done(&mut self, work: Work) -> Result<(), &'static str> {
        match work {
            Work::Create(uid) => match self.indexes.contains_key(&uid) {
                true => return Err("index_already_exists"),
                false => drop(self.indexes.insert(uid, Index::default())),
            },
            Work::Drop(uid) => drop(self.indexes.remove(&uid).ok_or("index_not_found")?),
            Work::Settle(uid, settings) => {
                self.indexes.entry(uid).or_default().settings = settings;
            }
            Work::Write(uid, documents, is_whole) => {
                let index = self.indexes.entry(uid).or_default();
                for document in documents {
                    write(index, document, is_whole)?;
                }
            }
            Work::Delete(uid, id) => {
                let index = self.indexes.get_mut(&uid).ok_or("index_not_found")?;
                index.documents.remove(&id);
            }
        }
        Ok(())
    }
}

fn write(index: &mut Index, document: Json, is_whole: bool) -> Result<(), &'static str> {
    let is_id = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let id = document["id"]
        .as_str()
        .ok_or("missing_document_id")?
        .to_owned();
    if id.is_empty() || id.len() > 511 || !id.chars().all(is_id) {
        return Err("invalid_document_id");
    }
    let kept = index
        .documents
        .entry(id)
        .or_insert_with(|| Json::Object(Map::new()));
    match (is_whole, document) {
        (false, Json::Object(members)) => {
            kept.as_object_mut().ok_or("bad_request")?.extend(members);
        }
        (_, document) => *kept = document,
    }
    Ok(())
}
