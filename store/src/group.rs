//! A stream read in a consumer group: whose it is, and what comes out.

/// A consumer of a stream's group (<https://redis.io/docs/latest/develop/data-types/streams/#consumer-groups>): what
/// it was given stays pending in its name until it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The stream.
    pub stream: String,
    /// The group that shares its entries out.
    pub name: String,
    /// The consumer that this caller is.
    pub consumer: String,
}

/// An entry of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry {
    /// `ms-seq`: milliseconds since 1970 and a counter within them.
    pub id: String,
    /// Its fields; none where it was removed while it was pending.
    pub fields: Option<Vec<(Vec<u8>, Vec<u8>)>>,
    /// How often consumers were given it before this one claimed it; 0 where it was not claimed.
    pub deliveries: u32,
}

/// Entries whose results are part of a commit, which acknowledges them.
#[derive(Debug, Clone)]
pub struct Taken<'a> {
    /// Whose they are.
    pub group: &'a Group,
    /// Their ids, oldest first; at least one.
    pub ids: Vec<&'a str>,
}
