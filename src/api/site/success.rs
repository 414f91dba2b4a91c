//! How `/api/register` to `/api/data` say in JSON that something was done.

use crate::api::json_body::json_response;
use crate::http::response::Response;
use crate::json;

/// `{"status":"success","message":…,"data":…}`; `push_data` appends a JSON text.
pub(crate) fn with_data(status: u16, message: &str, push_data: impl FnOnce(&mut Vec<u8>)) -> Response {
    with_members(status, message, |out| {
        out.extend_from_slice(b"\"data\":");
        push_data(out);
    })
}

/// `{"status":"success","message":…,MEMBERS}`; `push_members` appends at least one member, without a
/// comma before the first.
pub(crate) fn with_members(status: u16, message: &str, push_members: impl FnOnce(&mut Vec<u8>)) -> Response {
    let mut body = begin(message);
    body.push(b',');
    push_members(&mut body);
    end(status, body)
}

/// `{"status":"success","message":…}`
pub(crate) fn without_data(status: u16, message: &str) -> Response {
    end(status, begin(message))
}

fn begin(message: &str) -> Vec<u8> {
    let mut body = b"{\"status\":\"success\",\"message\":".to_vec();
    json::encode_string(message, &mut body);
    body
}

fn end(status: u16, mut body: Vec<u8>) -> Response {
    body.extend_from_slice(b"}\n");
    json_response(status, body)
}
