//! A server as operations see it: what they ask goes through its connection, in the manner that it wants to be asked.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisFuture, Value, pipe};

/// A connection for one operation.
pub(super) struct Server {
    connection: MultiplexedConnection,
    manner: Manner,
}

/// How a server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// As it is.
    Plain,
    /// Each command after `ASKING`, by which a server of a cluster answers for a slot that is being moved to it
    /// (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#ask-redirection>). They are sent as
    /// one, since others use the connection too.
    Asking,
}

impl Server {
    pub fn new(connection: MultiplexedConnection, manner: Manner) -> Server {
        Server { connection, manner }
    }
}

impl ConnectionLike for Server {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self.manner {
            Manner::Plain => self.connection.req_packed_command(command),
            Manner::Asking => Box::pin(async {
                let mut both = pipe();
                both.cmd("ASKING").add_command(command.clone());
                let answers = self.connection.req_packed_commands(&both, 1, 1).await?;
                Ok(answers.into_iter().next().unwrap_or(Value::Nil))
            }),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self.manner {
            Manner::Plain => self.connection.req_packed_commands(commands, offset, count),
            Manner::Asking => Box::pin(async move {
                let mut all = pipe();
                for command in commands.cmd_iter() {
                    all.cmd("ASKING").add_command(command.clone());
                }
                let answers = self.connection.req_packed_commands(&all, 2 * offset, 2 * count).await?;
                Ok(answers.into_iter().skip(1).step_by(2).collect())
            }),
        }
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}
