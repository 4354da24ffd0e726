//! The host's HTTP server, and clients that mean no good.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use support::{Host, plugin, wait_for};

fn host() -> (Host, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    let host = Host::start(&plugin("fixture"), &[("STORE_URL", &url), ("HANDLER_FUNCTION", "count")]);
    host.wait_until_ready();
    (host, folder)
}

/// How many sockets a process has.
fn sockets(pid: u32) -> usize {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    links.filter(|file| file.to_string_lossy().starts_with("socket:")).count()
}

#[test]
fn connections_that_ask_nothing_are_bounded_and_end() {
    let (host, _folder) = host();
    let before = sockets(host.pid());
    let mut idle: Vec<_> = (0..300)
        .map(|number| {
            let mut stream = TcpStream::connect(host.http()).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            if number % 2 == 0 {
                stream.write_all(b"GET /livez HTTP/1.1\r\nHost: ").unwrap();
            }
            stream
        })
        .collect();
    assert_eq!(host.get("/livez").map(|(code, _)| code), Some(200));
    wait_for("all are taken", || (sockets(host.pid()) >= before + 50).then_some(()));
    assert_eq!(host.get("/readyz").map(|(code, _)| code), Some(200));
    assert!(sockets(host.pid()) <= before + 70, "{} sockets", sockets(host.pid()));
    // Those that are left have not asked in time.
    for stream in &mut idle {
        let mut said = Vec::new();
        // A reset is an end too.
        if let Err(error) = stream.read_to_end(&mut said) {
            assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "it is still open");
        }
    }
    wait_for("their end", || (sockets(host.pid()) <= before + 1).then_some(()));
    assert_eq!(host.get("/status").map(|(code, _)| code), Some(200));
}

#[test]
fn a_connection_is_used_for_several_requests() {
    let (host, _folder) = host();
    let mut stream = BufReader::new(TcpStream::connect(host.http()).unwrap());
    for _ in 0..3 {
        stream.get_mut().write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).unwrap(), 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200 OK") && head.to_lowercase().contains("content-length: 6"), "{head}");
        let mut body = [0; 6];
        stream.read_exact(&mut body).unwrap();
        assert_eq!(&body, b"alive\n");
    }
}
