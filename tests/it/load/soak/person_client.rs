//! Somebody with an account: the same keys over `/api/object`, `/item` and `/api/data`, with tokens and
//! sessions that come and go.

use super::keys::{Edit, Ended, Found, Model, Presence, Promise, Span};
use super::work::{Client, Talk};
use crate::harness::Response;
use crate::harness::people::{PASSWORD, registration};
use serde_json::{Value, json};
use std::io;

/// Names that a person uses one by one.
const SINGLE_NAMES: u64 = 40;
/// Names that a person uses in batches only, without a time to live.
const BATCH_NAMES: u64 = 20;

pub struct PersonClient {
    username: String,
    bearer: String,
    /// The session that is kept, as a `Cookie`.
    cookie: String,
    /// A session that has ended.
    ended_cookie: Option<String>,
    model: Model,
    count: u64,
}

impl PersonClient {
    /// Registers `username` and signs in.
    pub fn register(talk: &mut Talk, username: &str) -> io::Result<PersonClient> {
        let body = registration(username).to_string();
        talk.send_with("POST", "/api/register", &[], &body)?.expect(201);
        let mut person = PersonClient {
            username: username.to_owned(),
            bearer: String::new(),
            cookie: String::new(),
            ended_cookie: None,
            model: Model::new(Promise::All),
            count: 0,
        };
        person.take_token(talk)?;
        person.cookie = person.log_in(talk)?;
        Ok(person)
    }

    fn credentials(&self) -> String {
        json!({ "username": self.username, "password": PASSWORD }).to_string()
    }

    fn take_token(&mut self, talk: &mut Talk) -> io::Result<()> {
        let (path, pointer) = match talk.random.below(2) {
            0 => ("/api/token", "/data/access_token"),
            _ => ("/login", "/token"),
        };
        let answer = talk.send_with("POST", path, &[], &self.credentials())?.expect(200).json();
        self.bearer = format!("Bearer {}", answer.pointer(pointer).unwrap().as_str().unwrap());
        Ok(())
    }

    fn log_in(&self, talk: &mut Talk) -> io::Result<String> {
        let answer = talk.send_with("POST", "/api/login", &[], &self.credentials())?.expect(200);
        let cookie = answer.field("set-cookie").unwrap().split(';').next().unwrap();
        Ok(cookie.to_owned())
    }

    fn send(&self, talk: &mut Talk, method: &str, path: &str, body: &Value) -> io::Result<Response> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        talk.send(method, path, ("Authorization", &self.bearer), &body)
    }

    fn some_value(&mut self, talk: &mut Talk) -> Value {
        self.count += 1;
        json!([self.count, "z".repeat(talk.random.below(600) as usize)])
    }

    fn get(&mut self, talk: &mut Talk, name: &str) -> io::Result<()> {
        let (path, member) = match talk.random.below(3) {
            0 => (format!("/api/object/{name}"), "/data".to_owned()),
            1 => (format!("/item/{name}"), format!("/{name}")),
            _ => (format!("/api/data/{name}"), "/data/value".to_owned()),
        };
        let from_ms = talk.now_ms();
        let answer = self.send(talk, "GET", &path, &Value::Null)?;
        self.model.keys.presence(name, Span::since(from_ms)).expect(answer.status, 200, 404, &path);
        if answer.status == 200 {
            assert_eq!(self.model.keys.value(name), answer.json().pointer(&member), "{path}");
        }
        Ok(())
    }

    /// Sends a change that depends on whether `name` is there, and takes it over where it was made.
    fn change(
        &mut self,
        talk: &mut Talk,
        (method, path): (&str, &str),
        body: &Value,
        edit: Edit,
        [if_there, if_gone]: [u16; 2],
    ) -> io::Result<()> {
        let (Edit::Put { name, .. } | Edit::Delete { name }) = edit.clone() else {
            unreachable!("a person changes one key")
        };
        self.model.intend(vec![edit]);
        let from_ms = talk.now_ms();
        let answer = self.send(talk, method, path, body)?;
        let presence = self.model.keys.presence(&name, Span::since(from_ms));
        presence.expect(answer.status, if_there, if_gone, path);
        if answer.status < 300 {
            self.model.acknowledged()
        } else {
            self.model.refused()
        }
        Ok(())
    }

    fn write(&mut self, talk: &mut Talk, name: &str) -> io::Result<()> {
        let value = self.some_value(talk);
        let way = talk.random.below(5);
        let ttl_seconds = (way < 2 && talk.random.below(3) == 0).then(|| 1 + talk.random.below(6));
        let edit = Edit::Put { name: name.to_owned(), value: value.clone(), ttl_seconds };
        let timed = |mut body: Value| {
            if let Some(seconds) = ttl_seconds {
                body["ttl"] = seconds.into();
            }
            body
        };
        let object = format!("/api/object/{name}");
        match way {
            0 => {
                let body = timed(json!({ "key": name, "data": value }));
                self.change(talk, ("POST", "/api/object"), &body, edit, [409, 201])
            }
            1 => self.change(talk, ("PUT", &object), &timed(json!({ "data": value })), edit, [200, 404]),
            2 => {
                let item = format!("/item/{name}");
                self.change(talk, ("PUT", &item), &json!({ "value": value }), edit, [200, 200])
            }
            3 => {
                let body = json!({ "key": name, "value": value });
                self.change(talk, ("POST", "/api/data"), &body, edit, [409, 201])
            }
            _ => {
                let data = format!("/api/data/{name}");
                self.change(talk, ("PUT", &data), &json!({ "value": value }), edit, [200, 404])
            }
        }
    }

    fn delete(&mut self, talk: &mut Talk, name: &str) -> io::Result<()> {
        let base = ["/api/object", "/item", "/api/data"][talk.random.below(3) as usize];
        let edit = Edit::Delete { name: name.to_owned() };
        self.change(talk, ("DELETE", &format!("{base}/{name}")), &Value::Null, edit, [200, 404])
    }

    fn batch(&mut self, talk: &mut Talk) -> io::Result<()> {
        let is_there = |model: &Model, name: &String| model.keys.value(name).is_some();
        let all = (0..BATCH_NAMES).map(|number| format!("b{number}"));
        let names: Vec<String> = all.filter(|_| talk.random.below(3) == 0).collect();
        let (there, gone): (Vec<_>, Vec<_>) =
            names.iter().cloned().partition(|name| is_there(&self.model, name));
        if talk.random.below(2) == 0 {
            self.model.intend(there.iter().map(|name| Edit::Delete { name: name.clone() }).collect());
            let answer = self.send(talk, "POST", "/api/batch/object/delete", &json!({ "keys": names }))?;
            assert_eq!(answer.expect(200).json(), json!({ "deleted": there.len(), "missing": gone }));
        } else {
            let value = self.some_value(talk);
            let put =
                |name: &String| Edit::Put { name: name.clone(), value: value.clone(), ttl_seconds: None };
            self.model.intend(gone.iter().map(put).collect());
            let objects: Vec<_> = names.iter().map(|name| json!({ "key": name, "data": value })).collect();
            let answer = self.send(talk, "POST", "/api/batch/object", &json!(objects))?.expect(201).json();
            assert_eq!((&answer["created"], &answer["skipped"]), (&json!(gone.len()), &json!(there)));
        }
        self.model.acknowledged();
        Ok(())
    }

    /// Another session begins, is good, ends, and is no longer good.
    fn visit(&mut self, talk: &mut Talk) -> io::Result<()> {
        let cookie = self.log_in(talk)?;
        talk.send("GET", "/api/data", ("Cookie", &cookie), "")?.expect(200);
        talk.send("GET", "/api/logout", ("Cookie", &cookie), "")?;
        talk.send("GET", "/api/data", ("Cookie", &cookie), "")?.expect(401);
        self.ended_cookie = Some(cookie);
        Ok(())
    }

    fn check_sessions(&self, talk: &mut Talk) -> io::Result<()> {
        talk.send("GET", "/api/data", ("Cookie", &self.cookie), "")?.expect(200);
        if let Some(cookie) = &self.ended_cookie {
            talk.send("GET", "/api/data", ("Cookie", cookie), "")?.expect(401);
        }
        Ok(())
    }

    fn find_all(&self, talk: &mut Talk) -> io::Result<(Found, Span)> {
        let from_ms = talk.now_ms();
        let singles = (0..SINGLE_NAMES).map(|number| format!("p{number}"));
        let names: Vec<_> = singles.chain((0..BATCH_NAMES).map(|number| format!("b{number}"))).collect();
        let answer = self.send(talk, "POST", "/api/batch/object/get", &json!({ "keys": names }))?;
        let answer = answer.expect(200).json();
        let mut found = Found::new();
        for object in answer["objects"].as_array().unwrap() {
            found.insert(object["key"].as_str().unwrap().to_owned(), object["data"].clone());
        }
        Ok((found, Span::since(from_ms)))
    }

    /// The names of all keys, page by page, are those of the model.
    fn check_names(&self, talk: &mut Talk) -> io::Result<()> {
        let from_ms = talk.now_ms();
        let (mut names, mut target) = (Vec::new(), "/api/data".to_owned());
        loop {
            let page = self.send(talk, "GET", &target, &Value::Null)?.expect(200).json()["data"].clone();
            names.extend(
                page["keys"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()),
            );
            match page["cursor"].as_str() {
                Some(cursor) => target = format!("/api/data?cursor={cursor}"),
                None => break,
            }
        }
        let asked = Span::since(from_ms);
        for name in &names {
            assert_ne!(self.model.keys.presence(name, asked), Presence::Gone, "{}: {name}", self.username);
        }
        Ok(())
    }

    fn check_all(&mut self, talk: &mut Talk) -> io::Result<()> {
        let (found, asked) = self.find_all(talk)?;
        let checked = self.model.keys.check(&found, asked);
        checked.unwrap_or_else(|difference| panic!("{}: {difference}", self.username));
        self.check_names(talk)
    }
}

impl Client for PersonClient {
    fn name(&self) -> String {
        format!("account {}", self.username)
    }

    fn act(&mut self, talk: &mut Talk) -> io::Result<()> {
        let name = format!("p{}", talk.random.below(SINGLE_NAMES));
        match talk.random.below(100) {
            0..=39 => self.get(talk, &name),
            40..=69 => self.write(talk, &name),
            70..=77 => self.delete(talk, &name),
            78..=87 => self.batch(talk),
            88..=90 => self.visit(talk),
            91 => self.take_token(talk),
            92..=94 => self.check_sessions(talk),
            _ => self.check_all(talk),
        }
    }

    fn settle(&mut self, talk: &mut Talk, ended: Ended) -> io::Result<u64> {
        // The token from before is still good, and so is the session.
        let (found, asked) = self.find_all(talk)?;
        let settled = self.model.settle(&found, asked, ended);
        settled.unwrap_or_else(|difference| panic!("account {}: {difference}", self.username));
        self.check_names(talk)?;
        self.check_sessions(talk)?;
        self.take_token(talk)?;
        Ok(0)
    }
}
