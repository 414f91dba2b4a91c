use super::*;
use std::net::TcpListener;
use std::thread::JoinHandle;

/// A server that receives one request for each of `answers` on one connection, and returns the requests.
fn serve(answers: &'static [&'static str]) -> (HttpClient, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client =
        HttpClient::connect(listener.local_addr().unwrap(), "kv.example".to_owned(), second()).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let receive = |answer: &&str| {
            let mut request = Vec::new();
            while !request.ends_with(b"END") {
                let mut buffer = [0; 1000];
                let read = stream.read(&mut buffer).unwrap();
                assert_ne!(read, 0, "the request is complete");
                request.extend_from_slice(&buffer[..read]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        };
        answers.iter().map(receive).collect()
    });
    (client, server)
}

fn second() -> Duration {
    Duration::from_secs(1)
}

fn exchange(client: &mut HttpClient, timeout: Duration) -> Result<Answer, ExchangeError> {
    let request = ClientRequest { method: "POST", target: "/a?b", fields: &[("x-a", "1")], body: b"{}END" };
    client.exchange(&request, clock::monotonic() + timeout, 10)
}

#[test]
fn one_connection_carries_several_exchanges() {
    let (mut client, server) = serve(&[
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
        "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n",
        "HTTP/1.1 204 Fine\r\nConnection: close\r\n\r\n",
    ]);
    let answers: Vec<Answer> = (0..3).map(|_| exchange(&mut client, second()).unwrap()).collect();
    assert_eq!(answers[0], Answer { status: 200, body: b"abc".to_vec(), closes: false });
    assert_eq!(answers[1], Answer { status: 503, body: b"def".to_vec(), closes: false });
    assert_eq!(answers[2], Answer { status: 204, body: Vec::new(), closes: true });
    let expected = "POST /a?b HTTP/1.1\r\nhost: kv.example\r\ncontent-type: application/json\r\n\
                    content-length: 5\r\nx-a: 1\r\n\r\n{}END";
    assert_eq!(server.join().unwrap(), [expected; 3]);
}

#[test]
fn an_answer_that_is_incomplete_or_ambiguous_leaves_the_outcome_open() {
    for answer in [
        &[""],
        &["HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab"],
        &["HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcd"],
        &["HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n01234567890"],
        &["HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0"],
        &["HTTP/1.1 200 OK\r\n\r\nabc"],
        &["HTTP/1.1 100 Continue\r\n\r\n"],
        &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n"],
        &["<html>"],
    ] {
        let (mut client, server) = serve(answer);
        let failed = exchange(&mut client, second());
        assert!(matches!(failed, Err(ExchangeError::Unanswered(_))), "{answer:?}: {failed:?}");
        server.join().unwrap();
    }
}

#[test]
fn an_exchange_ends_at_its_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = HttpClient::connect(listener.local_addr().unwrap(), String::new(), second()).unwrap();
    let failed = exchange(&mut client, Duration::from_millis(20));
    let Err(ExchangeError::Unanswered(error)) = failed else { panic!("{failed:?}") };
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let late = exchange(&mut client, Duration::ZERO);
    assert!(matches!(late, Err(ExchangeError::NotSent(_))), "{late:?}");
}

#[test]
fn a_connection_that_the_server_closed_is_not_idle() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = HttpClient::connect(listener.local_addr().unwrap(), String::new(), second()).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    assert!(client.is_idle());
    stream.write_all(b"?").unwrap();
    while client.is_idle() {
        std::thread::yield_now();
    }
    let client = HttpClient::connect(listener.local_addr().unwrap(), String::new(), second()).unwrap();
    drop(listener.accept().unwrap());
    while client.is_idle() {
        std::thread::yield_now();
    }
}
