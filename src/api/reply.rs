//! The reply of a handler: a response, and what must happen before it may be sent.

use super::error::ApiError;
use crate::http::response::Response;
use crate::storage::Outcome;
use crate::store::commit::{Commit, Pending};
use crate::store::decide::Conflict;
use crate::store::error::StorageError;
use std::net::IpAddr;

/// A response, or a failure that the server renders in the form of the request's API.
pub(crate) type Answer = Result<Response, ApiError>;

pub(crate) type Job = Box<dyn FnOnce() -> Reply + Send>;

/// The answer to a request.
pub enum Reply {
    /// It may be sent once the commit, if there is one, is resolved.
    Ready(Answer, Option<Commit>),
    /// A job that produces the reply in a lane, once the commit, if there is one, is resolved.
    Job(Lane, Option<Commit>, Job),
    /// A head, and a body that is produced while it is sent.
    Stream(Response, Source),
}

/// The threads that produce a reply, or a piece of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The event loop: memory only.
    Loop,
    /// For reading values from the disk, and for deletions by prefix that must wait for expired keys.
    Disk,
    /// One thread that creates, changes, deletes and counts projects and accounts, so that no read waits for that.
    Admin,
    /// For requests to the cell of this index, which block. Each cell has threads of its own, so one that does not answer
    /// holds up no other.
    Cell(usize),
    /// For hashing passwords, which takes a large part of a second. Clients share it.
    Password(Share),
}

/// The share of the password lane that a job uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub standing: Standing,
    /// From `counted_address` in `auth/client.rs`.
    pub address: IpAddr,
}

/// What the server knows of a client whose password is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has the global key.
    Operator,
    /// It has logged in to this account before.
    Known,
    Unknown,
}

impl Reply {
    /// A response that may be sent at once.
    pub fn now(response: Response) -> Reply {
        Reply::Ready(Ok(response), None)
    }

    /// A failure that may be sent at once.
    pub fn failed(error: ApiError) -> Reply {
        Reply::Ready(Err(error), None)
    }

    pub fn job(lane: Lane, job: impl FnOnce() -> Result<Reply, ApiError> + Send + 'static) -> Reply {
        Reply::Job(lane, None, Box::new(|| Reply::of_result(job())))
    }

    /// The result of a read; a job in the disk lane if a value must be read from the disk.
    pub fn of(outcome: Outcome<Answer>) -> Reply {
        match outcome {
            Outcome::Ready(Pending { answer, commit }) => Reply::Ready(answer, commit),
            Outcome::Blocking(commit, run) => {
                let job = move || Reply::Ready(run().unwrap_or_else(|error| Err(error.into())), None);
                Reply::Job(Lane::Disk, commit, Box::new(job))
            }
        }
    }

    /// The result of a write: the response of `respond`, or the conflict.
    pub fn of_write<T>(written: Pending<Result<T, Conflict>>, respond: impl FnOnce(T) -> Response) -> Reply {
        Reply::Ready(written.answer.map(respond).map_err(ApiError::from), written.commit)
    }

    /// The reply of a handler that may have failed.
    pub fn of_result(result: Result<Reply, ApiError>) -> Reply {
        result.unwrap_or_else(Reply::failed)
    }

    /// Whether something must be on disk before it may be sent.
    pub fn waits(&self) -> bool {
        match self {
            Reply::Ready(_, commit) | Reply::Job(_, commit, _) => commit.is_some(),
            Reply::Stream(..) => false,
        }
    }

    /// A JSON body in pieces. `next` runs in `lane`, appends the piece at a position and advances that. It holds
    /// `bytes_held` of memory until the last piece.
    pub fn json_stream<P: Clone + Send + 'static>(
        lane: Lane,
        bytes_held: usize,
        mut position: P,
        next: impl Fn(&mut P, &mut Vec<u8>) -> Result<Piece, StorageError> + Send + 'static,
    ) -> Reply {
        let mut before = position.clone();
        let next = Box::new(move |pull, out: &mut Vec<u8>| {
            match pull {
                Pull::Next => before.clone_from(&position),
                Pull::Again => position.clone_from(&before),
            }
            next(&mut position, out).unwrap_or_else(|error| Piece::Broken(error.into()))
        });
        let response = Response::new(200).field("content-type", "application/json");
        Reply::Stream(response, Source { lane, next, pull: Pull::Next, bytes_held })
    }
}

/// Which piece of a stream to produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    Next,
    /// The last one, which was not sent: the data that it used was rolled back.
    Again,
}

/// Appends a piece to its argument.
pub(crate) type NextPiece = Box<dyn FnMut(Pull, &mut Vec<u8>) -> Piece + Send>;

/// The body of a stream, piece by piece.
pub struct Source {
    /// The lane in which [`Source::next`] runs.
    pub lane: Lane,
    pub next: NextPiece,
    pub pull: Pull,
    /// Bytes of memory that it holds until the last piece.
    pub bytes_held: usize,
}

/// The result of [`Source::next`]. A piece may be sent once its commit, if there is one, is resolved.
#[derive(Debug)]
pub enum Piece {
    More(Option<Commit>),
    Last(Option<Commit>),
    /// The stream failed. If nothing was sent yet, this is the answer; otherwise the connection is cut, so that
    /// the client does not mistake it for the end.
    Broken(ApiError),
}
