//! Answers whose bodies are produced while they are sent, piece by piece.

use super::answer::Progress;
use super::connection::{Connection, Deferred, Phase, Stage, Streaming};
use super::event_loop::{Disposition, EventLoop};
use super::mailbox::Message;
use super::pool::Turn;
use crate::api::error::ApiError;
use crate::api::reply::{Lane, Piece, Pull, Source};
use crate::clock;
use crate::http::request::Method;
use crate::http::response::{self, BodySize, ReplyFraming};
use crate::limits::RETRIES_MAX;
use std::sync::Arc;

impl EventLoop {
    pub(super) fn stream(&mut self, connection: &mut Connection) -> Progress {
        if self.holds_back(connection) {
            return Progress::None;
        }
        let phase = std::mem::replace(&mut connection.phase, Phase::Closing);
        let Phase::Streaming(streaming, mut source) = phase else {
            unreachable!("drive() calls this only in this phase");
        };
        if let (Stage::Begun(response), Method::Head) = (&streaming.stage, streaming.in_flight.method) {
            let head = self.encode_head(connection, &streaming.in_flight, response, BodySize::Stream);
            self.log(&streaming.in_flight, response.status(), 0);
            self.finish(connection, head, response.status());
            return Progress::Made;
        }
        match source.lane {
            Lane::Loop => {
                let mut bytes = Vec::new();
                let piece = next_piece(&mut source, &mut bytes);
                self.piece(connection, streaming, source, bytes, piece)
            }
            lane @ (Lane::Disk | Lane::Admin | Lane::Cell(_) | Lane::Password(_)) => {
                let (mailbox, id) = (Arc::clone(&self.shared.mailbox), connection.id);
                let work = move |turn| {
                    let mut bytes = Vec::new();
                    let piece = match turn {
                        Turn::Run => next_piece(&mut source, &mut bytes),
                        Turn::Refused => Piece::Broken(ApiError::Overloaded),
                    };
                    mailbox.post(Message::PieceDone(id, bytes, piece, source));
                };
                connection.enter(Phase::AwaitPiece(streaming), clock::monotonic());
                self.shared.pools.push(lane, Box::new(work));
                Progress::None
            }
        }
    }

    pub(super) fn piece_done(
        &mut self,
        connection: &mut Connection,
        bytes: Vec<u8>,
        piece: Piece,
        source: Source,
    ) -> Disposition {
        let phase = std::mem::replace(&mut connection.phase, Phase::Closing);
        let Phase::AwaitPiece(streaming) = phase else {
            unreachable!("a connection waits for its only piece");
        };
        match self.piece(connection, streaming, source, bytes, piece) {
            Progress::Over => Disposition::Close,
            Progress::Made | Progress::None => self.drive(connection),
        }
    }

    fn piece(
        &mut self,
        connection: &mut Connection,
        streaming: Streaming,
        source: Source,
        bytes: Vec<u8>,
        piece: Piece,
    ) -> Progress {
        let (commit, is_last) = match piece {
            Piece::More(commit) => (commit, false),
            Piece::Last(commit) => (commit, true),
            Piece::Broken(error) => return self.break_off(connection, streaming, error),
        };
        match commit {
            Some(commit) => {
                let held = Deferred::Piece { streaming, source, bytes, is_last };
                self.await_commit(connection, commit, held);
            }
            None => self.send_piece(connection, streaming, source, bytes, is_last),
        }
        Progress::Made
    }

    pub(super) fn send_piece(
        &mut self,
        connection: &mut Connection,
        mut streaming: Streaming,
        source: Source,
        bytes: Vec<u8>,
        is_last: bool,
    ) {
        if let Stage::Begun(response) = &streaming.stage {
            let head = self.encode_head(connection, &streaming.in_flight, response, BodySize::Stream);
            streaming.stage = Stage::Body { head, status: response.status() };
        }
        let Stage::Body { head, status } = streaming.stage else {
            unreachable!("set in the lines above");
        };
        streaming.body_bytes += bytes.len() as u64;
        streaming.retries_left = RETRIES_MAX;
        let is_chunked = head.framing == ReplyFraming::Chunked;
        if is_chunked {
            connection.output.append(|out| response::encode_chunk(&bytes, out));
        } else {
            connection.output.push(bytes);
        }
        if !is_last {
            connection.enter(Phase::Streaming(streaming, source), clock::monotonic());
            return;
        }
        if is_chunked {
            connection.output.append(response::encode_last_chunk);
        }
        self.log(&streaming.in_flight, status, streaming.body_bytes);
        self.finish(connection, head, status);
    }

    /// Ends a stream that has failed: with a proper answer if nothing of it was sent, else by closing the connection,
    /// so that the client does not mistake it for complete.
    pub(super) fn break_off(
        &mut self,
        connection: &mut Connection,
        streaming: Streaming,
        error: ApiError,
    ) -> Progress {
        match streaming.stage {
            Stage::Begun(_) => {
                self.respond(connection, streaming.in_flight, Err(error));
                Progress::Made
            }
            Stage::Body { status, .. } => {
                self.log(&streaming.in_flight, status, streaming.body_bytes);
                let id = streaming.in_flight.request_id;
                log::warn!("response truncated, because the rest of it could not be read: request {id}");
                Progress::Over
            }
        }
    }
}

fn next_piece(source: &mut Source, bytes: &mut Vec<u8>) -> Piece {
    let pull = std::mem::replace(&mut source.pull, Pull::Next);
    let run = std::panic::AssertUnwindSafe(|| (source.next)(pull, bytes));
    std::panic::catch_unwind(run).unwrap_or(Piece::Broken(ApiError::Internal))
}
