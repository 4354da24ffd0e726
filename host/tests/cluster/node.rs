//! A node of a test's own: namespaces of processes, mounts and network in which a test runs once more.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

/// Set in the namespaces, to the folder that was prepared outside.
const INSIDE: &str = "PLUGIN_HOST_TEST_NODE";

/// A program of this machine, which root's own folders may hold.
pub fn program(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from));
    let found = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("there is no program {name}"))
}

/// Runs a test on a node of its own, with these addresses besides 127.0.0.1. Nothing of it is left on this machine: no
/// mount, no process, no address. Where that can't be, the test is skipped, with a word why.
///
/// What needs more than such a node has (cargo, the network) is prepared before, in a folder that `body` is given.
pub fn on_a_node(test: &str, addresses: &[&str], prepare: impl FnOnce(&Path), body: impl FnOnce(&Path)) {
    if let Some(prepared) = env::var_os(INSIDE) {
        for address in addresses {
            run(Command::new(program("ip")).args(["address", "add", address, "dev", "lo"]));
        }
        run(Command::new(program("ip")).args(["link", "set", "lo", "up"]));
        // From pod to pod.
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        return body(Path::new(&prepared));
    }
    let namespaces = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let tried = Command::new("unshare").args(namespaces).args(["sh", "-c", "ip link set lo up"]).output();
    match tried {
        Ok(tried) if tried.status.success() => {}
        Ok(tried) => {
            let why = String::from_utf8_lossy(&tried.stderr).into_owned();
            return eprintln!("skipped: {test} wants namespaces and iproute2, as root: {}", why.trim_end());
        }
        Err(error) => return eprintln!("skipped: {test} wants unshare of util-linux: {error}"),
    }
    let prepared = tempfile::tempdir().unwrap();
    prepare(prepared.path());
    let status = Command::new("unshare")
        .args(namespaces)
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, prepared.path())
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed on its node");
}

/// A pod's own network, joined to its node's.
pub struct Network {
    /// What the processes of the pod are to be put into; gone with the value.
    pub namespace: PathBuf,
    /// Where the pod is for all others.
    pub address: String,
}

impl Network {
    /// Makes one, with a file for it in a folder.
    pub fn new(folder: &Path) -> Network {
        static NUMBER: AtomicU8 = AtomicU8::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (link, gateway, address) =
            (format!("pod{number}"), format!("10.88.{number}.1"), format!("10.88.{number}.2"));
        let namespace = folder.join("network");
        fs::File::create(&namespace).unwrap();
        run(Command::new("unshare").arg(format!("--net={}", namespace.display())).arg(program("true")));
        let network = Network { namespace, address };
        let outside = |words: &[&str]| run(Command::new(program("ip")).args(words));
        let peer = network.namespace.to_str().unwrap();
        outside(&["link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", peer]);
        outside(&["address", "add", &format!("{gateway}/30"), "dev", &link]);
        outside(&["link", "set", &link, "up"]);
        let inside = |words: &[&str]| run(network.enter().arg(program("ip")).args(words));
        inside(&["link", "set", "lo", "up"]);
        inside(&["address", "add", &format!("{}/30", network.address), "dev", "eth0"]);
        inside(&["link", "set", "eth0", "up"]);
        inside(&["route", "add", "default", "via", &gateway]);
        network
    }

    /// A command that runs its arguments there.
    pub fn enter(&self) -> Command {
        let mut command = Command::new(program("nsenter"));
        command.arg(format!("--net={}", self.namespace.display()));
        command
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.namespace).status().ok();
    }
}

/// Runs a command that has to succeed.
pub fn run(command: &mut Command) {
    let said = command.output().unwrap();
    assert!(said.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said.stderr));
}
