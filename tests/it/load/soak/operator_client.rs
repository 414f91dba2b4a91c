//! Who runs the server: projects and accounts that are made, changed and deleted again.

use super::keys::Ended;
use super::work::{Client, Talk};
use crate::harness::people::PASSWORD;
use crate::harness::{GLOBAL_KEY, Response};
use serde_json::{Value, json};
use std::io;

const PROJECTS: &str = "/api/v1/projects";
const ACCOUNTS: &str = "/api/v1/accounts";
/// Names that are used again and again.
const NAMES: u64 = 4;
const OTHER_PASSWORD: &str = "Other@456";

/// How far a thing has come that is made and deleted again.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Absent,
    /// It is there and its owner has this key or token.
    There(String),
    /// A change of it was sent, of which no answer has come.
    Unknown,
}

pub struct OperatorClient {
    round: u64,
    project: Stage,
    /// Numbers stored in the project, as the values of keys with these names.
    stored: u64,
    account: Stage,
}

impl OperatorClient {
    pub fn new() -> OperatorClient {
        OperatorClient { round: 0, project: Stage::Absent, stored: 0, account: Stage::Absent }
    }

    fn id(&self) -> String {
        format!("passing-{}", self.round % NAMES)
    }

    fn username(&self) -> String {
        format!("guest-{}", self.round % NAMES)
    }

    fn project_path(&self) -> String {
        format!("{PROJECTS}/{}", self.id())
    }

    fn account_path(&self) -> String {
        format!("{ACCOUNTS}/{}", self.username())
    }

    fn create_project(&mut self, talk: &mut Talk) -> io::Result<()> {
        let sync = ["always", "interval"][talk.random.below(2) as usize];
        let storage = json!({ "cache_in_memory": talk.random.below(2) == 0, "sync": sync });
        self.project = Stage::Unknown;
        let body = json!({ "id": self.id(), "storage": storage });
        let made = send(talk, "POST", PROJECTS, &body)?.expect(201).json();
        self.project = Stage::There(made["api_key"].as_str().unwrap().to_owned());
        self.stored = 0;
        Ok(())
    }

    fn use_project(&mut self, talk: &mut Talk, key: &str) -> io::Result<()> {
        let keys = format!("{}/keys", self.project_path());
        let path = format!("{keys}/{}", self.stored);
        talk.send("PUT", &path, ("X-API-Key", key), &self.stored.to_string())?.expect(201);
        self.stored += 1;
        let listed = talk.send("GET", &keys, ("X-API-Key", key), "")?.expect(200).json();
        assert_eq!(listed["count"], self.stored, "{path}");
        Ok(())
    }

    fn renew_key(&mut self, talk: &mut Talk, old: &str) -> io::Result<()> {
        self.project = Stage::Unknown;
        let path = format!("{}/api-key/regenerate", self.project_path());
        let answer = send(talk, "POST", &path, &Value::Null)?.expect(200).json();
        let key = answer["api_key"].as_str().unwrap().to_owned();
        talk.send("GET", &self.project_path(), ("X-API-Key", old), "")?.expect(401);
        talk.send("GET", &self.project_path(), ("X-API-Key", &key), "")?.expect(200);
        self.project = Stage::There(key);
        Ok(())
    }

    fn delete_project(&mut self, talk: &mut Talk) -> io::Result<()> {
        self.project = Stage::Unknown;
        send(talk, "DELETE", &self.project_path(), &Value::Null)?.expect(204);
        send(talk, "GET", &self.project_path(), &Value::Null)?.expect(404);
        self.project = Stage::Absent;
        Ok(())
    }

    fn create_account(&mut self, talk: &mut Talk) -> io::Result<()> {
        self.account = Stage::Unknown;
        let body = json!({ "username": self.username(), "password": PASSWORD });
        send(talk, "POST", ACCOUNTS, &body)?.expect(201);
        let token = sign_in(talk, &self.username(), PASSWORD)?;
        let object = json!({ "key": "a", "data": self.round }).to_string();
        talk.send("POST", "/api/object", ("Authorization", &token), &object)?.expect(201);
        self.account = Stage::There(token);
        Ok(())
    }

    fn use_account(&mut self, talk: &mut Talk, token: &str) -> io::Result<()> {
        let object = talk.send("GET", "/api/object/a", ("Authorization", token), "")?.expect(200).json();
        assert_eq!(object["data"], self.round);
        let accounts = send(talk, "GET", ACCOUNTS, &Value::Null)?.expect(200).json();
        let accounts = accounts["accounts"].as_array().unwrap();
        assert!(accounts.iter().any(|account| account["username"] == *self.username()), "{accounts:?}");
        Ok(())
    }

    fn change_password(&mut self, talk: &mut Talk, token: &str) -> io::Result<()> {
        self.account = Stage::Unknown;
        send(talk, "PUT", &self.account_path(), &json!({ "password": OTHER_PASSWORD }))?.expect(200);
        talk.send("GET", "/api/object/a", ("Authorization", token), "")?.expect(401);
        self.account = Stage::There(sign_in(talk, &self.username(), OTHER_PASSWORD)?);
        Ok(())
    }

    fn delete_account(&mut self, talk: &mut Talk, token: &str) -> io::Result<()> {
        self.account = Stage::Unknown;
        send(talk, "DELETE", &self.account_path(), &Value::Null)?.expect(204);
        talk.send("GET", "/api/object/a", ("Authorization", token), "")?.expect(401);
        self.account = Stage::Absent;
        Ok(())
    }

    fn settle_project(&mut self, talk: &mut Talk) -> io::Result<()> {
        let path = self.project_path();
        match self.project.clone() {
            Stage::Absent => drop(send(talk, "GET", &path, &Value::Null)?.expect(404)),
            Stage::There(key) => {
                let keys = format!("{path}/keys");
                let listed = talk.send("GET", &keys, ("X-API-Key", &key), "")?.expect(200).json();
                // One more where its answer was not seen; the last ones less where it is not synced.
                let count = listed["count"].as_u64().unwrap();
                assert!(count <= self.stored + 1, "{path}: {count} of {}", self.stored);
                let is_strict = send(talk, "GET", &path, &Value::Null)?.json()["storage"]["sync"] == "always";
                assert!(!is_strict || count >= self.stored, "{path}: {count} of {}", self.stored);
                self.stored = count;
            }
            Stage::Unknown => {
                let answer = send(talk, "GET", &path, &Value::Null)?;
                assert!([200, 404].contains(&answer.status), "{answer:?}");
                if answer.status == 200 {
                    send(talk, "DELETE", &path, &Value::Null)?.expect(204);
                }
                self.project = Stage::Absent;
            }
        }
        Ok(())
    }

    fn settle_account(&mut self, talk: &mut Talk) -> io::Result<()> {
        match self.account.clone() {
            Stage::Absent => drop(send(talk, "DELETE", &self.account_path(), &Value::Null)?.expect(404)),
            Stage::There(token) => self.use_account(talk, &token)?,
            Stage::Unknown => {
                let answer = send(talk, "DELETE", &self.account_path(), &Value::Null)?;
                assert!([204, 404].contains(&answer.status), "{answer:?}");
                self.account = Stage::Absent;
            }
        }
        Ok(())
    }
}

fn send(talk: &mut Talk, method: &str, path: &str, body: &Value) -> io::Result<Response> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    talk.send(method, path, ("X-API-Key", GLOBAL_KEY), &body)
}

fn sign_in(talk: &mut Talk, username: &str, password: &str) -> io::Result<String> {
    let body = json!({ "username": username, "password": password }).to_string();
    let answer = talk.send_with("POST", "/api/token", &[], &body)?.expect(200).json();
    Ok(format!("Bearer {}", answer["data"]["access_token"].as_str().unwrap()))
}

impl Client for OperatorClient {
    fn name(&self) -> String {
        "operator".to_owned()
    }

    fn act(&mut self, talk: &mut Talk) -> io::Result<()> {
        match (self.project.clone(), talk.random.below(8)) {
            (Stage::Absent, _) => {
                self.round += u64::from(self.account == Stage::Absent);
                self.create_project(talk)?;
            }
            (Stage::There(_), 0) => self.delete_project(talk)?,
            (Stage::There(key), 1) => self.renew_key(talk, &key)?,
            (Stage::There(key), _) => self.use_project(talk, &key)?,
            (Stage::Unknown, _) => unreachable!("it was settled"),
        }
        match (self.account.clone(), talk.random.below(8)) {
            // The name of its project goes with the round, which both have in common.
            (Stage::Absent, 0..=3) => self.create_account(talk),
            (Stage::Absent, _) => Ok(()),
            (Stage::There(token), 0) => self.delete_account(talk, &token),
            (Stage::There(token), 1) => self.change_password(talk, &token),
            (Stage::There(token), _) => self.use_account(talk, &token),
            (Stage::Unknown, _) => unreachable!("it was settled"),
        }
    }

    fn settle(&mut self, talk: &mut Talk, _: Ended) -> io::Result<u64> {
        self.settle_project(talk)?;
        self.settle_account(talk)?;
        Ok(0)
    }
}
