//! What a handler answers, and what has to happen before it may leave.

use super::error::ApiError;
use crate::http::response::Response;
use crate::storage::Outcome;
use crate::store::commit::{Commit, Pending};
use crate::store::decide::Conflict;
use crate::store::error::StorageError;
use std::net::IpAddr;

/// A response, or why the request failed: the server says so in the form of the request's API.
pub(crate) type Answer = Result<Response, ApiError>;

/// Makes a reply.
pub(crate) type Job = Box<dyn FnOnce() -> Reply + Send>;

/// The answer to a request.
pub enum Reply {
    /// An answer. It may leave once the commit, if there is one, is resolved.
    Ready(Answer, Option<Commit>),
    /// It is made in a lane, once the commit, if there is one, says so.
    Job(Lane, Option<Commit>, Job),
    /// A head, and a body that is produced while it is sent.
    Stream(Response, Source),
}

/// Where a reply, or a piece of one, is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// On the event loop: memory only.
    Loop,
    /// Where values are read from the disk.
    Disk,
    /// Where projects are created, changed and deleted, and all of them counted: one job after the other, so that no
    /// read waits for it.
    Admin,
    /// Where passwords are hashed, which takes a good part of a second. Clients share it.
    Password(Share),
}

/// Whose share of the password lane a job takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// What the server knows of the client.
    pub standing: Standing,
    /// The client's address, as it is counted.
    pub address: IpAddr,
}

/// What the server knows of a client whose password is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has the global key.
    Operator,
    /// It has signed in to this account before.
    Known,
    /// Neither.
    Stranger,
}

impl Reply {
    /// A response that may leave at once.
    pub fn now(response: Response) -> Reply {
        Reply::Ready(Ok(response), None)
    }

    /// A failure that may be told at once.
    pub fn failed(error: ApiError) -> Reply {
        Reply::Ready(Err(error), None)
    }

    /// What a read gives; in the disk lane if a value has to be read there.
    pub fn of(outcome: Outcome<Answer>) -> Reply {
        match outcome {
            Outcome::Ready(Pending { answer, commit }) => Reply::Ready(answer, commit),
            Outcome::Blocking(commit, run) => {
                let job = move || Reply::Ready(run().unwrap_or_else(|error| Err(error.into())), None);
                Reply::Job(Lane::Disk, commit, Box::new(job))
            }
        }
    }

    /// What a write gives: the response that `respond` makes of what was done, or the conflict.
    pub fn of_write<T>(written: Pending<Result<T, Conflict>>, respond: impl FnOnce(T) -> Response) -> Reply {
        Reply::Ready(written.answer.map(respond).map_err(ApiError::from), written.commit)
    }

    /// The reply of a handler that may have failed.
    pub fn of_result(result: Result<Reply, ApiError>) -> Reply {
        result.unwrap_or_else(Reply::failed)
    }

    /// Whether something has to be on disk before it may leave.
    pub fn waits(&self) -> bool {
        match self {
            Reply::Ready(_, commit) | Reply::Job(_, commit, _) => commit.is_some(),
            Reply::Stream(..) => false,
        }
    }

    /// A JSON body that `next` appends in pieces, called in `lane`. It appends the piece at the position that it is
    /// given, and advances that. It holds `bytes_held` until the last piece.
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

/// Which piece of a stream is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// The one behind the last.
    Next,
    /// The last one anew: it rested on changes that were taken back, and was not sent.
    Again,
}

/// Appends the piece that is wanted to its argument.
pub(crate) type NextPiece = Box<dyn FnMut(Pull, &mut Vec<u8>) -> Piece + Send>;

/// The body of a stream, piece by piece.
pub struct Source {
    /// Where [`Source::next`] is called.
    pub lane: Lane,
    /// Makes the pieces.
    pub next: NextPiece,
    /// Which one is wanted.
    pub pull: Pull,
    /// Bytes of memory that it holds until the last piece is made.
    pub bytes_held: usize,
}

/// What a call for a piece gave.
#[derive(Debug)]
pub enum Piece {
    /// There is more. The piece may leave once the commit says so.
    More(Option<Commit>),
    /// That was the last one.
    Last(Option<Commit>),
    /// It cannot go on: the answer where nothing of it was sent yet, else the connection is cut, so that
    /// the client does not take it for the end.
    Broken(ApiError),
}
