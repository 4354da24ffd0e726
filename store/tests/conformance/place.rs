//! A fresh store of each kind, and a way in beside it, for what `Store` rightly can't do.

use std::sync::Arc;

use rusqlite::params;
use store::testing::RedisServer;
use store::{Address, Credentials, Opening, Options, Store, Stream, Transport};
use tempfile::TempDir;
use tokio::net::TcpStream;

pub trait Place {
    fn start() -> Self;

    /// Another store there, with a connection of its own.
    fn store(&self) -> Store;

    /// Sets a field of a hash, past all rules.
    fn set_field(&self, key: &str, field: &str, value: &str);

    /// The output's bytes and the env's field `env`, read in one transaction.
    fn output_and_env(&self, output: &str, env: &str) -> (Option<Vec<u8>>, Option<Vec<u8>>);
}

pub struct RedisPlace {
    server: RedisServer,
}

impl RedisPlace {
    fn connection(&self) -> redis::Connection {
        let client = redis::Client::open(self.server.url()).expect("the server's URL is one");
        client.get_connection().expect("the server takes connections")
    }
}

impl Place for RedisPlace {
    fn start() -> RedisPlace {
        RedisPlace { server: RedisServer::start() }
    }

    fn store(&self) -> Store {
        Store::new(Address::redis("127.0.0.1", self.server.port()), Credentials::default())
    }

    fn set_field(&self, key: &str, field: &str, value: &str) {
        redis::cmd("HSET").arg(key).arg(field).arg(value).exec(&mut self.connection()).expect("HSET works");
    }

    fn output_and_env(&self, output: &str, env: &str) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let mut transaction = redis::pipe();
        transaction.atomic().cmd("GET").arg(output).cmd("HGET").arg(env).arg("env");
        transaction.query(&mut self.connection()).expect("MULTI works")
    }
}

/// The same server, reached by TLS through a way of the caller's own.
pub struct TransportPlace {
    redis: RedisPlace,
}

/// Leads to a port of this machine.
struct Way {
    port: u16,
}

impl Transport for Way {
    fn open(&self) -> Opening<'_> {
        Box::pin(async {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

impl Place for TransportPlace {
    fn start() -> TransportPlace {
        TransportPlace { redis: RedisPlace { server: RedisServer::options().tls().start() } }
    }

    fn store(&self) -> Store {
        let server = &self.redis.server;
        let address = Address::parse(&server.tls_url()).expect("the server's URL is one").with_tls(server.tls_files());
        let transport: Arc<dyn Transport> = Arc::new(Way { port: server.tls_port() });
        Store::with(address, Options { transport: Some(transport), ..Options::default() })
    }

    fn set_field(&self, key: &str, field: &str, value: &str) {
        self.redis.set_field(key, field, value);
    }

    fn output_and_env(&self, output: &str, env: &str) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        self.redis.output_and_env(output, env)
    }
}

pub struct SqlitePlace {
    folder: TempDir,
}

impl SqlitePlace {
    fn connection(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.folder.path().join("below/store.db")).expect("it opens");
        connection.busy_timeout(std::time::Duration::from_secs(5)).expect("it takes a time-out");
        connection
    }
}

impl Place for SqlitePlace {
    fn start() -> SqlitePlace {
        SqlitePlace { folder: tempfile::tempdir().expect("a temporary folder can be created") }
    }

    fn store(&self) -> Store {
        Store::new(Address::sqlite(self.folder.path().join("below/store.db")), Credentials::default())
    }

    fn set_field(&self, key: &str, field: &str, value: &str) {
        self.connection()
            .execute("REPLACE INTO keys (key, field, value) VALUES (?1, ?2, ?3)", params![key, field, value.as_bytes()])
            .expect("REPLACE works");
    }

    fn output_and_env(&self, output: &str, env: &str) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let mut connection = self.connection();
        let transaction = connection.transaction().expect("BEGIN works");
        let field = |key: &str, field: &str| {
            use rusqlite::OptionalExtension;
            transaction
                .query_row("SELECT value FROM keys WHERE key = ?1 AND field = ?2", [key, field], |row| row.get(0))
                .optional()
                .expect("SELECT works")
        };
        (field(output, ""), field(env, "env"))
    }
}
