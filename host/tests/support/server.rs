//! A web server for one test, which behaves as badly as it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What the server does with a request.
#[derive(Clone)]
pub enum Answer {
    /// Sends this, with a tag if there is one.
    Body(Vec<u8>, Option<&'static str>),
    /// Sends this code and nothing else.
    Code(u16),
    /// Leads to another address.
    Redirect(String),
    /// Never ends.
    Endless,
    /// Says that more comes than there is room for.
    Huge,
    /// A byte now and then.
    Drip,
    /// Ends in the middle.
    Cut(Vec<u8>),
    /// Accepts, and says nothing.
    Silence,
}

/// What was asked: its first line and headers.
pub type Request = String;

/// A server on a free port of this machine, until the test ends.
pub struct Server {
    url: String,
    answers: Arc<Mutex<Vec<(String, Answer)>>>,
    requests: Arc<Mutex<Vec<Request>>>,
    /// The certificate to trust, where it speaks TLS.
    certificate: Option<(PathBuf, tempfile::TempDir)>,
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

impl Server {
    pub fn http() -> Server {
        Server::start("http", None, |stream| Box::new(stream))
    }

    pub fn https() -> Server {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let tls = move |stream| -> Box<dyn Stream> {
            Box::new(StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream))
        };
        Server::start("https", Some((path, folder)), tls)
    }

    fn start(
        scheme: &str,
        certificate: Option<(PathBuf, tempfile::TempDir)>,
        wrap: impl Fn(TcpStream) -> Box<dyn Stream> + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let (answers, requests) = (Arc::default(), Arc::default());
        let server = Server { url, answers, requests, certificate };
        let (answers, requests, wrap) = (Arc::clone(&server.answers), Arc::clone(&server.requests), Arc::new(wrap));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answers, requests, wrap) = (Arc::clone(&answers), Arc::clone(&requests), Arc::clone(&wrap));
                // A client that has heard enough ends the connection.
                thread::spawn(move || serve(wrap(stream), &answers, &requests).ok());
            }
        });
        server
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Answers a path so from now on; what nobody told about is not found.
    pub fn answer(&self, path: &str, answer: Answer) {
        let mut answers = self.answers.lock().unwrap();
        answers.retain(|(other, _)| other != path);
        answers.push((path.to_owned(), answer));
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The certificate to trust.
    pub fn certificate(&self) -> &str {
        self.certificate.as_ref().unwrap().0.to_str().unwrap()
    }
}

fn serve(
    stream: Box<dyn Stream>,
    answers: &Mutex<Vec<(String, Answer)>>,
    requests: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
    }
    let path = request.split(' ').nth(1).unwrap().split('?').next().unwrap().to_owned();
    requests.lock().unwrap().push(request.clone());
    let answer = answers.lock().unwrap().iter().find(|(other, _)| *other == path).map(|(_, answer)| answer.clone());
    let stream = reader.get_mut();
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n");
    match answer.unwrap_or(Answer::Code(404)) {
        Answer::Body(body, tag) => {
            let known = tag.is_some_and(|tag| request.to_lowercase().contains(&format!("if-none-match: {tag}\r\n")));
            let tag = tag.map(|tag| format!("ETag: {tag}\r\n")).unwrap_or_default();
            if known {
                write!(stream, "HTTP/1.1 304 Not Modified\r\n{tag}Connection: close\r\n\r\n")?;
            } else {
                write!(stream, "{}{tag}\r\n", head(body.len()))?;
                stream.write_all(&body)?;
            }
        }
        Answer::Code(code) => {
            write!(stream, "HTTP/1.1 {code} Told\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        }
        Answer::Redirect(to) => {
            let rest = "Content-Length: 0\r\nConnection: close";
            write!(stream, "HTTP/1.1 302 Found\r\nLocation: {to}\r\n{rest}\r\n\r\n")?;
        }
        Answer::Endless => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b'x'; 65536])?;
            }
        }
        Answer::Huge => write!(stream, "{}\r\n", head(1 << 40))?,
        Answer::Drip => {
            write!(stream, "{}\r\n", head(1 << 20))?;
            loop {
                stream.write_all(b"x")?;
                stream.flush()?;
                thread::sleep(Duration::from_millis(100));
            }
        }
        Answer::Cut(body) => {
            write!(stream, "{}\r\n", head(body.len()))?;
            stream.write_all(&body[..body.len() / 2])?;
        }
        Answer::Silence => thread::sleep(Duration::from_secs(60)),
    }
    stream.flush()
}
