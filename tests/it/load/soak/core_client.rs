//! A client of the core API that owns the keys with its prefix in a project.

use super::keys::{Edit, Ended, Found, Model, Promise, Span};
use super::work::{Client, Talk};
use serde_json::{Value, json};
use std::io;

/// Names that a client uses, so that what is stored stays bounded.
const NAMES: u64 = 120;

pub struct CoreClient {
    project: &'static str,
    key: String,
    prefix: String,
    model: Model,
    promise: Promise,
    /// Makes every value another one.
    count: u64,
    /// The highest revision that a write of this client got.
    revision: u64,
}

impl CoreClient {
    pub fn new(project: &'static str, key: &str, prefix: &str, promise: Promise) -> CoreClient {
        CoreClient {
            project,
            key: key.to_owned(),
            prefix: prefix.to_owned(),
            model: Model::new(promise),
            promise,
            count: 0,
            revision: 0,
        }
    }

    fn path(&self, name: &str) -> String {
        format!("/api/v1/projects/{}/keys/{name}", self.project)
    }

    fn some_name(&self, talk: &mut Talk) -> String {
        format!("{}{}", self.prefix, talk.random.below(NAMES))
    }

    fn some_value(&mut self, talk: &mut Talk) -> Value {
        self.count += 1;
        match talk.random.below(20) {
            0 => json!({"n": self.count, "pad": "y".repeat(20_000)}),
            1..=6 => json!({"n": self.count, "pad": "x".repeat(talk.random.below(2_000) as usize)}),
            7..=12 => json!([self.count, null, "é\n\u{1}", {"a": {}}]),
            _ => json!(self.count),
        }
    }

    fn some_put(&mut self, talk: &mut Talk) -> Edit {
        let ttl_seconds = (talk.random.below(5) == 0).then(|| 1 + talk.random.below(6));
        Edit::Put { name: self.some_name(talk), value: self.some_value(talk), ttl_seconds }
    }

    fn send(
        &self,
        talk: &mut Talk,
        method: &str,
        path: &str,
        body: &str,
    ) -> io::Result<crate::harness::Response> {
        talk.send(method, path, ("X-API-Key", &self.key), body)
    }

    fn note_revision(&mut self, revision: u64) {
        assert!(revision > self.revision, "{}: revision {revision} after {}", self.project, self.revision);
        self.revision = revision;
    }

    fn get(&mut self, talk: &mut Talk) -> io::Result<()> {
        let name = self.some_name(talk);
        let is_item = talk.random.below(8) == 0;
        let path = if is_item { format!("/item/{name}") } else { self.path(&name) };
        let from_ms = talk.now_ms();
        let answer = self.send(talk, "GET", &path, "")?;
        self.model.keys.presence(&name, Span::since(from_ms)).expect(answer.status, 200, 404, &path);
        if answer.status == 200 {
            let member = if is_item { &name } else { "value" };
            assert_eq!(self.model.keys.value(&name), Some(&answer.json()[member]), "{path}");
        }
        Ok(())
    }

    fn put(&mut self, talk: &mut Talk) -> io::Result<()> {
        let edit = self.some_put(talk);
        let Edit::Put { name, value, ttl_seconds } = edit.clone() else { unreachable!("it is one") };
        let mut path = self.path(&name);
        if let Some(seconds) = ttl_seconds {
            path.push_str(&format!("?ttl={seconds}"));
        }
        self.model.intend(vec![edit]);
        let from_ms = talk.now_ms();
        let answer = self.send(talk, "PUT", &path, &value.to_string())?;
        self.model.keys.presence(&name, Span::since(from_ms)).expect(answer.status, 200, 201, &path);
        assert_eq!(answer.json()["expires_at"].is_string(), ttl_seconds.is_some(), "{path}");
        self.model.acknowledged();
        self.note_revision(answer.revision());
        Ok(())
    }

    fn item(&mut self, talk: &mut Talk) -> io::Result<()> {
        let (name, value) = (self.some_name(talk), self.some_value(talk));
        self.model.intend(vec![Edit::Put { name: name.clone(), value: value.clone(), ttl_seconds: None }]);
        let body = json!({ "value": value }).to_string();
        self.send(talk, "PUT", &format!("/item/{name}"), &body)?.expect(200);
        self.model.acknowledged();
        Ok(())
    }

    fn delete(&mut self, talk: &mut Talk) -> io::Result<()> {
        let name = self.some_name(talk);
        let path = self.path(&name);
        self.model.intend(vec![Edit::Delete { name: name.clone() }]);
        let from_ms = talk.now_ms();
        let answer = self.send(talk, "DELETE", &path, "")?;
        self.model.keys.presence(&name, Span::since(from_ms)).expect(answer.status, 204, 404, &path);
        self.model.acknowledged();
        Ok(())
    }

    fn clear(&mut self, talk: &mut Talk) -> io::Result<()> {
        let prefix = format!("{}{}", self.prefix, 1 + talk.random.below(9));
        let path = format!("/api/v1/projects/{}/keys?prefix={prefix}", self.project);
        self.model.intend(vec![Edit::Clear { prefix }]);
        self.send(talk, "DELETE", &path, "")?.expect(200);
        self.model.acknowledged();
        Ok(())
    }

    fn batch(&mut self, talk: &mut Talk) -> io::Result<()> {
        let count = 2 + talk.random.below(12);
        let edits: Vec<Edit> = (0..count)
            .map(|_| match talk.random.below(4) {
                0 => Edit::Delete { name: self.some_name(talk) },
                _ => self.some_put(talk),
            })
            .collect();
        let operations: Vec<Value> = edits.iter().map(operation).collect();
        let path = format!("/api/v1/projects/{}/batch", self.project);
        self.model.intend(edits);
        let answer = self.send(talk, "POST", &path, &json!({ "operations": operations }).to_string())?;
        let results = answer.expect(200).json();
        self.model.acknowledged();
        let revisions = results["results"].as_array().unwrap().iter();
        let written: Vec<u64> = revisions.filter_map(|result| result["revision"].as_u64()).collect();
        written.into_iter().for_each(|revision| self.note_revision(revision));
        Ok(())
    }

    /// Replaces a key on the condition that it is as read, then tries once more on that condition.
    fn replace_if_unchanged(&mut self, talk: &mut Talk) -> io::Result<()> {
        let (name, value) = (self.some_name(talk), self.some_value(talk));
        let path = self.path(&name);
        let read = self.send(talk, "GET", &path, "")?;
        if read.status == 404 {
            return Ok(());
        }
        let key = self.key.clone();
        let fields = [("X-API-Key", &*key), ("If-Match", &read.etag())];
        self.model.intend(vec![Edit::Put { name: name.clone(), value: value.clone(), ttl_seconds: None }]);
        let from_ms = talk.now_ms();
        let answer = talk.send_with("PUT", &path, &fields, &value.to_string())?;
        self.model.keys.presence(&name, Span::since(from_ms)).expect(answer.status, 200, 412, &path);
        if answer.status == 412 {
            self.model.refused();
            return Ok(());
        }
        self.model.acknowledged();
        self.note_revision(answer.revision());
        talk.send_with("PUT", &path, &fields, "0")?.expect(412);
        Ok(())
    }

    fn check_all(&mut self, talk: &mut Talk) -> io::Result<()> {
        let (found, asked) = self.list(talk)?;
        let checked = self.model.keys.check(&found, asked);
        checked.unwrap_or_else(|difference| panic!("{}: {difference}", self.name()));
        Ok(())
    }

    /// All keys of this client, at once or page by page.
    fn list(&self, talk: &mut Talk) -> io::Result<(Found, Span)> {
        let from_ms = talk.now_ms();
        let limit = if talk.random.below(2) == 0 { "" } else { "&limit=50" };
        let path = format!("/api/v1/projects/{}/keys?prefix={}{limit}", self.project, self.prefix);
        let mut found = Found::new();
        let mut cursor = String::new();
        loop {
            let page = self.send(talk, "GET", &format!("{path}{cursor}"), "")?.expect(200).json();
            let keys = page["keys"].as_object().unwrap().clone();
            found.extend(keys);
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok((found, Span::since(from_ms))),
            }
        }
    }
}

fn operation(edit: &Edit) -> Value {
    match edit {
        Edit::Put { name, value, ttl_seconds: None } => json!({"op": "set", "key": name, "value": value}),
        Edit::Put { name, value, ttl_seconds } => {
            json!({"op": "set", "key": name, "value": value, "ttl": ttl_seconds})
        }
        Edit::Delete { name } => json!({"op": "delete", "key": name}),
        Edit::Clear { .. } => unreachable!("a batch has no such operation"),
    }
}

impl Client for CoreClient {
    fn name(&self) -> String {
        format!("keys {}* of {}", self.prefix, self.project)
    }

    fn act(&mut self, talk: &mut Talk) -> io::Result<()> {
        match talk.random.below(100) {
            0..=39 => self.get(talk),
            40..=66 => self.put(talk),
            67..=76 => self.batch(talk),
            77..=84 => self.delete(talk),
            85..=89 => self.replace_if_unchanged(talk),
            90..=92 => self.item(talk),
            93 => self.clear(talk),
            _ => self.check_all(talk),
        }
    }

    fn settle(&mut self, talk: &mut Talk, ended: Ended) -> io::Result<u64> {
        if self.promise != Promise::All {
            // The revisions of what was lost are not known to the next start.
            self.revision = 0;
        }
        let (found, asked) = self.list(talk)?;
        let settled = self.model.settle(&found, asked, ended);
        let lost = settled.unwrap_or_else(|difference| panic!("{}: {difference}", self.name()));
        assert!(self.promise == Promise::AllButTheEnd || lost == 0, "{}", self.name());
        Ok(lost)
    }
}
