//! Connections that come and go, most of which misbehave.

use super::keys::Ended;
use super::work::{Client, Talk};
use crate::harness::{DEMO_KEY, DEMO_KEYS, encode_request};
use std::io;

pub struct MisbehavingClient;

impl Client for MisbehavingClient {
    fn name(&self) -> String {
        "misbehaving".to_owned()
    }

    fn act(&mut self, talk: &mut Talk) -> io::Result<()> {
        match talk.random.below(8) {
            0 => drop(talk.connect()?),
            1 => talk.connect()?.try_send(b"GET /healthz HTT")?,
            2 => {
                let mut connection = talk.connect()?;
                connection.try_send(b"nonsense\r\n\r\n")?;
                assert_eq!(connection.try_read_response("GET")?.status, 400);
            }
            3 => {
                // Half a body, then the end of the connection: nothing of it may be stored.
                let whole =
                    encode_request("PUT", &format!("{DEMO_KEYS}/half"), Some(DEMO_KEY), &[], b"123456");
                talk.connect()?.try_send(&whole[..whole.len() - 3])?;
            }
            4 => {
                let mut connection = talk.connect()?;
                let listing = encode_request("GET", DEMO_KEYS, Some(DEMO_KEY), &[], b"");
                connection.try_send(&listing.repeat(4))?; // and not read
            }
            5 => {
                let mut connection = talk.connect()?;
                connection.try_send(&encode_request("GET", "/readyz", None, &[], b"").repeat(5))?;
                for _ in 0..5 {
                    let answer = connection.try_read_response("GET")?;
                    assert_eq!(answer.status, 200, "{answer:?}");
                }
            }
            6 => {
                talk.send("GET", DEMO_KEYS, ("X-API-Key", "wrong-key-0123456789abcdef"), "")?.expect(401);
            }
            _ => {
                let path = format!("{DEMO_KEYS}/half");
                talk.send("GET", &path, ("X-API-Key", DEMO_KEY), "")?.expect(404);
            }
        }
        Ok(())
    }

    fn settle(&mut self, talk: &mut Talk, _: Ended) -> io::Result<u64> {
        let path = format!("{DEMO_KEYS}/half");
        talk.send("GET", &path, ("X-API-Key", DEMO_KEY), "")?.expect(404);
        talk.send("GET", "/readyz", ("X-API-Key", DEMO_KEY), "")?.expect(200);
        Ok(0)
    }
}
