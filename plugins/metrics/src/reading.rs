//! An input in which every figure that a result needs is a number: what the handler takes.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    figure::Fault,
    input::{self, Counters, Input, Memory},
    number::Number,
    ordered::Ordered,
};

/// The figures that results are made of.
#[derive(Deserialize)]
#[serde(try_from = "Input")]
pub struct Reading {
    pub timestamp: Box<RawValue>,
    pub memory: Memory,
    /// Bytes sent by the interfaces that count.
    pub sent: Number,
    /// Bytes received by the interfaces that count.
    pub recv: Number,
    /// `cpu_percent-N` by N.
    pub cpus: Ordered<f64>,
}

impl TryFrom<Input> for Reading {
    type Error = Fault;

    fn try_from(input: Input) -> Result<Self, Fault> {
        let memory = input.memory()?;
        let (sent, recv) = moved(&input.interfaces)?;
        Ok(Self {
            memory,
            sent,
            recv,
            cpus: input.cpus.try_map(|name, value| Ok(value.number(|| input::cpu_key(name))?.to_f64()))?,
            timestamp: input.timestamp.ok_or(Fault::Missing("timestamp"))?,
        })
    }
}

/// What was sent and received: by `eth0`, or by every interface but `lo` where there is no `eth0`.
fn moved(interfaces: &Ordered<Counters>) -> Result<(Number, Number), Fault> {
    let has_eth0 = interfaces.iter().any(|(name, _)| name == "eth0");
    let (mut sent, mut recv) = (Number::Int(0), Number::Int(0));
    for (name, counters) in interfaces.iter() {
        let counts = if has_eth0 { name == "eth0" } else { name != "lo" };
        if counts {
            sent = sent + counters.sent(name)?;
            recv = recv + counters.recv(name)?;
        }
    }
    Ok((sent, recv))
}
