//! The comparison servers, written the way each library's documentation would.
//!
//! `inkring-bench-peers axum|axum-broadcast|tiny-http [WORKERS]`: one process each, so that CPU and memory are its
//! alone. They print their address as inkring does.

use std::{env, thread};

use axum::extract::ws::{Message, Utf8Bytes, WebSocketUpgrade};
use axum::routing::{get, post};
use axum::serve::ListenerExt;

use tokio::sync::broadcast;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const HEALTHY: &str = r#"{"status":"ok"}"#;

/// The cores this process may use, unless told otherwise: the same number for every server.
fn workers(word: Option<String>) -> Result<usize> {
    match word {
        Some(word) => Ok(word.parse()?),
        None => Ok(thread::available_parallelism()?.get()),
    }
}

fn main() -> Result<()> {
    let mut words = env::args().skip(1);
    match words.next().as_deref() {
        Some("axum") => axum(words.next()),
        Some("axum-broadcast") => axum_broadcast(words.next()),
        Some("tiny-http") => tiny_http(words.next()),
        _ => Err("usage: inkring-bench-peers axum|axum-broadcast|tiny-http [WORKERS]".into()),
    }
}

fn axum(word: Option<String>) -> Result<()> {
    let healthz = || async { ([("content-type", "application/json")], HEALTHY) };
    // What inkring says with every answer, so that one comparison is between equal answers.
    let sealed = || async {
        let request_id = uuid::Uuid::new_v4().to_string();
        let headers = [
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("referrer-policy", "no-referrer"),
            ("vary", "Origin"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ];
        (headers, [("x-request-id", request_id)], HEALTHY)
    };
    let app = axum::Router::new().route("/healthz", get(healthz)).route("/sealed", get(sealed));
    serve(app, word)
}

/// What is posted goes to everyone who listens, through a channel and a task for each, as in axum's chat example.
fn axum_broadcast(word: Option<String>) -> Result<()> {
    let (events, _) = broadcast::channel::<Utf8Bytes>(1024);
    let published = events.clone();
    let publish = move |text: String| async move {
        // Nobody may be listening.
        published.send(text.into()).ok();
    };
    let listen = move |upgrade: WebSocketUpgrade| async move {
        let mut events = events.subscribe();
        upgrade.on_upgrade(move |mut socket| async move {
            while let Ok(text) = events.recv().await {
                if socket.send(Message::Text(text)).await.is_err() {
                    return;
                }
            }
        })
    };
    serve(axum::Router::new().route("/publish", post(publish)).route("/events", get(listen)), word)
}

fn serve(app: axum::Router, word: Option<String>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers(word)?).enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("axum on http://{}", listener.local_addr()?);
        // As its documentation advises for small answers; a failure only costs latency.
        let listener = listener.tap_io(|stream| {
            stream.set_nodelay(true).ok();
        });
        axum::serve(listener, app).await?;
        Ok(())
    })
}

/// tiny_http reads each connection on a thread of its own pool and hands requests to `recv`.
///
/// Its pool counts a thread as idle from when it slept until it has actually woken, so a burst of
/// new connections is queued behind threads that are already spoken for, and a keep-alive
/// connection queued like that is not read until another one closes. The load generator paces its
/// connects for that reason, gives up on a connection that stays silent, and says how many did.
fn tiny_http(word: Option<String>) -> Result<()> {
    let server = tiny_http::Server::http("127.0.0.1:0").map_err(|error| error.to_string())?;
    println!("tiny_http on http://{}", server.server_addr());
    thread::scope(|scope| {
        for _ in 0..workers(word)? {
            scope.spawn(|| {
                let json = tiny_http::Header::from_bytes("Content-Type", "application/json");
                let json = json.expect("a valid header");
                while let Ok(request) = server.recv() {
                    let response = match request.url() {
                        "/healthz" => tiny_http::Response::from_string(HEALTHY),
                        _ => tiny_http::Response::from_string("").with_status_code(404),
                    };
                    // The client may be gone by now; that is its own affair.
                    request.respond(response.with_header(json.clone())).ok();
                }
            });
        }
        Ok(())
    })
}
