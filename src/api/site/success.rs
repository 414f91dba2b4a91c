//! The JSON of successful requests to `/api/register` to `/api/data`.

use crate::api::json_body::json_response;
use crate::http::response::Response;
use crate::json;

/// `{"status":"success","message":…,"data":…}`; `push_data` appends a JSON text.
pub(crate) fn with_data(status: u16, message: &str, push_data: impl FnOnce(&mut Vec<u8>)) -> Response {
    with_members(status, message, |out| {
        out.extend_from_slice(b",\"data\":");
        push_data(out);
    })
}

/// `{"status":"success","message":…` and more members; `push_members` appends a comma before each.
pub(crate) fn with_members(status: u16, message: &str, push_members: impl FnOnce(&mut Vec<u8>)) -> Response {
    let mut body = b"{\"status\":\"success\",\"message\":".to_vec();
    json::encode_string(message, &mut body);
    push_members(&mut body);
    body.extend_from_slice(b"}\n");
    json_response(status, body)
}
