//! Connections that are reset in the middle of a reply: what was asked for has been done, and nobody knows.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::support::redis::Redis;
use super::{consumer, dead, host, wait_for_sum};

/// What a commit asks for and nothing else does.
const COMMIT: &str = "{out}:history";

/// The same of the lease.
const LEASE: &str = "{out}:lease";

/// Stands between hosts and a Redis, and passes on what they say until it is told to cut.
struct Proxy {
    port: u16,
    cut: Arc<Mutex<Option<Cut>>>,
    _runtime: tokio::runtime::Runtime,
}

/// The reply to the next request with this text breaks off after so many bytes.
struct Cut {
    request: &'static str,
    after: usize,
}

impl Proxy {
    fn to(redis: &Redis) -> Proxy {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (port, cut, server) = (listener.local_addr().unwrap().port(), Arc::default(), redis.server.port());
        let cuts = Arc::clone(&cut);
        runtime.spawn(async move {
            while let Ok((host, _)) = listener.accept().await {
                tokio::spawn(pass_on(host, server, Arc::clone(&cuts)));
            }
        });
        Proxy { port, cut, _runtime: runtime }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn cut(&self, request: &'static str, after: usize) {
        *self.cut.lock().unwrap() = Some(Cut { request, after });
    }

    fn has_cut(&self) -> bool {
        self.cut.lock().unwrap().is_none()
    }
}

/// Passes on both ways, until either ends or the reply is cut.
async fn pass_on(mut host: TcpStream, server: u16, cut: Arc<Mutex<Option<Cut>>>) -> io::Result<()> {
    let mut redis = TcpStream::connect(("127.0.0.1", server)).await?;
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut left = None;
    loop {
        tokio::select! {
            read = host.read(&mut asked) => {
                let bytes = &asked[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                if left.is_none() {
                    let is_asked = |cut: &mut Cut| contains(bytes, cut.request);
                    left = cut.lock().unwrap().take_if(is_asked).map(|cut| cut.after);
                }
                redis.write_all(bytes).await?;
            }
            read = redis.read(&mut answered) => {
                let bytes = &answered[..read?];
                match &mut left {
                    _ if bytes.is_empty() => return Ok(()),
                    Some(left) if *left < bytes.len() => {
                        host.write_all(&bytes[..*left]).await?;
                        // A reset, not an orderly end.
                        return host.set_zero_linger();
                    }
                    left => {
                        *left = left.map(|left| left - bytes.len());
                        host.write_all(bytes).await?;
                    }
                }
            }
        }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Checks that each of so many inputs of 1 is counted once, and nothing else.
fn is_counted_once(redis: &Redis, inputs: u64, case: &str) {
    let env: serde_json::Value = serde_json::from_slice(&redis.saved().unwrap().env).unwrap();
    assert_eq!(env, json!({"calls": inputs, "sum": inputs as f64}), "{case}");
    let sums: Vec<_> = redis.history().iter().map(|result| result["sum"].as_f64().unwrap()).collect();
    assert_eq!(sums, (1..=inputs).map(|sum| sum as f64).collect::<Vec<_>>(), "{case}");
    assert_eq!(dead(redis).len(), 0, "{case}");
}

#[test]
fn an_entry_is_counted_once_wherever_a_reply_breaks_off() {
    let redis = Redis::start();
    let proxy = Proxy::to(&redis);
    let url = proxy.url();
    let _host = consumer(&redis, &[("STORE_URL", &url), ("STREAM_BATCH", "10")]);
    let mut inputs = 0;
    let commit = [0, 1, 3, 4, 7, 12, 20].map(|after| (COMMIT, after));
    let read = [0, 1, 30, 100, 300].map(|after| ("XREADGROUP", after));
    for (request, after) in commit.into_iter().chain(read).chain([(LEASE, 0), (LEASE, 5)]) {
        proxy.cut(request, after);
        redis.append((0..20).map(|_| json!({"add": 1}).to_string()));
        inputs += 20;
        wait_for_sum(&redis, inputs as f64);
        super::support::wait_for("the cut", || proxy.has_cut().then_some(()));
    }
    is_counted_once(&redis, inputs, "stream");
    assert_eq!(redis.cli(&["xpending", "events", "plugin-host"]).lines().next(), Some("0"), "all are acknowledged");
}

#[test]
fn a_value_is_counted_once_wherever_a_reply_breaks_off() {
    for trigger in ["push", "poll"] {
        let redis = Redis::start();
        let proxy = Proxy::to(&redis);
        let url = proxy.url();
        let _host = host(&redis, &[("STORE_URL", &url), ("TRIGGER", trigger)]);
        let mut inputs = 0;
        let commit = [0, 1, 3, 4, 7, 12, 20].map(|after| (COMMIT, after));
        let read = [0, 1, 2, 10].map(|after| ("\r\nmetrics\r\n", after));
        for (request, after) in commit.into_iter().chain(read) {
            proxy.cut(request, after);
            inputs += 1;
            redis.write(&json!({"add": 1, "number": inputs}).to_string());
            wait_for_sum(&redis, inputs as f64);
            super::support::wait_for("the cut", || proxy.has_cut().then_some(()));
        }
        is_counted_once(&redis, inputs, trigger);
        assert_eq!(redis.sequence(), inputs, "{trigger}");
    }
}
