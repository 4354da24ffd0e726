//! A fresh store of each kind, and a way in beside it, for what `Store` rightly can't do.

use rusqlite::params;
use store::testing::RedisServer;
use store::{Address, Credentials, Store};
use tempfile::TempDir;

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
