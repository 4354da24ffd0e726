//! A pod: a container's process with the variables, volumes, user, rights and limit of its template.
//!
//! As in the cluster, its root is of its own and holds the image and the volumes, and nothing else: a path that the
//! template does not mount is not there; and so is its network, unless it has its node's. What is not as in the cluster: the memory that the limit counts is the process's
//! own (`RLIMIT_DATA`), not what the kernel holds for it besides; the limit of processor time, the seccomp profile and
//! the NetworkPolicy don't apply.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;

use super::image::Image;
use super::manifest::{Identity, Manifest, SOME_POD};
use super::node::{Network, program, run};
use super::{at, list, text_at};
use crate::support::volume::{Links, Rights, Volume};
use crate::support::{get, wait_for};

/// The files of ConfigMaps and Secrets, by their names.
pub type Files = BTreeMap<&'static str, Vec<(String, Vec<u8>)>>;

/// A pod that runs, ended with the value.
pub struct Pod {
    template: Value,
    child: Child,
    volumes: BTreeMap<String, Mounted>,
    /// None where it has its node's.
    network: Option<Network>,
    log: PathBuf,
    /// Its root, its empty volumes and its log.
    folder: tempfile::TempDir,
}

/// A volume on its place in the pod.
enum Mounted {
    /// Of a ConfigMap or Secret.
    Files(Volume),
    Empty,
}

impl Pod {
    /// Starts a pod's only container. A name in `hosts` is an address as in the cluster's DNS.
    pub fn start(manifest: &Manifest, name: &str, image: &Image, files: &Files, hosts: &str) -> Pod {
        Pod::start_as(SOME_POD, manifest, name, image, files, hosts)
    }

    /// Starts one that is told who it is.
    pub fn start_as(
        identity: Identity,
        manifest: &Manifest,
        name: &str,
        image: &Image,
        files: &Files,
        hosts: &str,
    ) -> Pod {
        let template = manifest.pods()[name].clone();
        let spec = &template["spec"];
        let container = only_container(&template);
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let root = folder.path().join("root");
        lay_image(&root, image, hosts);

        let group = number(spec, "securityContext/fsGroup");
        let mut volumes = BTreeMap::new();
        for mount in list(container, "volumeMounts") {
            let name = text_at(mount, "name");
            let volume = list(spec, "volumes").find(|volume| volume["name"] == name);
            let volume = volume.unwrap_or_else(|| panic!("there is no volume {name}"));
            let (source, mounted) = make_volume(volume, group, files, folder.path());
            let target = root.join(text_at(mount, "mountPath").trim_start_matches('/'));
            fs::create_dir_all(&target).unwrap();
            run(Command::new("mount").arg("--bind").args([&source, &target]));
            if mount["readOnly"] == true {
                run(Command::new("mount").args(["-o", "remount,bind,ro"]).arg(&target));
            }
            volumes.insert(name.to_owned(), mounted);
        }
        if at(container, "securityContext/readOnlyRootFilesystem") == true {
            run(Command::new("mount").args(["-o", "remount,ro"]).arg(&root));
        }

        let log = folder.path().join("log");
        let network = (spec["hostNetwork"] != true).then(|| Network::new(folder.path()));
        let mut command = confined(container, spec, &root, network.as_ref());
        let words = |path| list(container, path).map(|word| word.as_str().unwrap());
        match at(container, "command") {
            Value::Null => command.args(image.entrypoint),
            _ => command.args(words("command")),
        };
        let child = command
            .args(words("args"))
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(image.variables.iter().copied())
            .envs(manifest.variables(container, identity))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Pod { template, child, volumes, network, log, folder }
    }

    /// Writes new files into the volume of a ConfigMap or Secret, as the kubelet does it.
    pub fn update(&mut self, volume: &str, files: &[(&str, &[u8])]) {
        match self.volumes.get_mut(volume) {
            Some(Mounted::Files(volume)) => volume.write(files, Links::AfterIt),
            _ => panic!("{volume} is no volume of files"),
        }
    }

    /// The code of a probe's answer; none where nobody answers.
    pub fn probe(&self, probe: &str) -> Option<u16> {
        let http = at(only_container(&self.template), &format!("{probe}/httpGet"));
        Some(self.ask(text_at(http, "path"))?.0)
    }

    /// The code and body of an answer on the port that the probes name.
    pub fn ask(&self, path: &str) -> Option<(u16, String)> {
        let container = only_container(&self.template);
        let name = at(container, "readinessProbe/httpGet/port");
        let port = list(container, "ports").find(|port| port["name"] == *name).unwrap();
        get(&format!("{}:{}", self.address(), port["containerPort"]), path)
    }

    /// Where it is for the others of its node.
    pub fn address(&self) -> &str {
        self.network.as_ref().map_or("127.0.0.1", |network| &network.address)
    }

    pub fn status(&self) -> Value {
        wait_for("an answer of /status", || serde_json::from_str(&self.ask("/status")?.1).ok())
    }

    pub fn wait_until_ready(&self) {
        wait_for("a pod that is ready", || self.probe("readinessProbe").filter(|code| *code == 200));
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// A line of `/proc/PID/status`, without its name.
    pub fn process(&self, name: &str) -> String {
        line_of(self.child.id(), name)
    }

    /// Checks that the process has what its template says and no more.
    pub fn assert_confined(&self) {
        let spec = &self.template["spec"];
        let user = number(spec, "securityContext/runAsUser").to_string();
        assert!(self.process("Uid").split('\t').all(|id| id == user), "{}", self.process("Uid"));
        assert_eq!(self.process("NoNewPrivs"), "1");
        assert_eq!(u64::from_str_radix(&self.process("CapEff"), 16).unwrap(), 0);
        let mounts = fs::read_to_string(format!("/proc/{}/mounts", self.child.id())).unwrap();
        let root = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).unwrap();
        assert!(root.split(' ').nth(3).unwrap().starts_with("ro"), "{root}");
    }

    /// The most memory that its processes had, in KiB, and its limit.
    pub fn memory(&self) -> (u64, u64) {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let pids = children.split_whitespace().map(|child| child.parse().unwrap()).chain([pid]);
        let most = pids.map(|pid| line_of(pid, "VmHWM").trim_end_matches(" kB").parse::<u64>().unwrap()).sum();
        (most, memory_limit(only_container(&self.template)) / 1024)
    }

    /// Sends SIGTERM and waits for the end.
    pub fn stop(mut self) -> ExitStatus {
        run(Command::new("kill").arg(self.child.id().to_string()));
        wait_for("the pod's end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("the pod's log:\n{}", self.log());
        }
        // What is mounted below it has to go before the folder.
        Command::new("umount").args(["--recursive"]).arg(self.folder.path().join("root")).status().ok();
    }
}

/// A line of a process's `/proc/PID/status`, without its name.
fn line_of(pid: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {status}")).trim().to_owned()
}

/// The container of a pod that has one.
pub fn only_container(template: &Value) -> &Value {
    let containers: Vec<_> = list(template, "spec/containers").collect();
    assert_eq!(containers.len(), 1);
    containers[0]
}

/// The command that makes a process what the template says, to be given the container's own words.
fn confined(container: &Value, spec: &Value, root: &Path, network: Option<&Network>) -> Command {
    let id = |path| number(spec, &format!("securityContext/{path}"));
    let mut command = network.map_or_else(|| Command::new(program("env")), Network::enter);
    command.arg(program("prlimit")).arg(format!("--data={}", memory_limit(container)));
    if at(container, "securityContext/allowPrivilegeEscalation") == false {
        command.arg(program("setpriv")).arg("--no-new-privs");
    }
    // Whoever stops being root has no capability left.
    assert_eq!(at(container, "securityContext/capabilities/drop"), &serde_json::json!(["ALL"]));
    command
        .arg(program("chroot"))
        .arg(format!("--userspec={}:{}", id("runAsUser"), id("runAsGroup")))
        .arg(format!("--groups={}", id("fsGroup")))
        .arg(root);
    command
}

/// Lays an image's files into a new root, with the libraries that they ask for.
fn lay_image(root: &Path, image: &Image, hosts: &str) {
    fs::create_dir(root).unwrap();
    run(Command::new("mount").args(["-t", "tmpfs", "-o", "mode=755", "root"]).arg(root));
    let lay = |source: &Path, target: &str| {
        let target = root.join(target.trim_start_matches('/'));
        if !target.exists() {
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::File::create(&target).unwrap();
            run(Command::new("mount").arg("--bind").arg(source).arg(&target));
        }
    };
    for (source, target) in &image.files {
        lay(source, target);
        let libraries = Command::new("ldd").arg(source).output().unwrap();
        for library in String::from_utf8_lossy(&libraries.stdout).split_whitespace().filter(|w| w.starts_with('/')) {
            lay(Path::new(library), library);
        }
    }
    for (source, target) in &image.folders {
        let target = root.join(target.trim_start_matches('/'));
        fs::create_dir_all(&target).unwrap();
        run(Command::new("mount").arg("--bind").arg(source).arg(&target));
    }
    for folder in ["proc", "etc", "dev"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(root.join("etc/hosts"), hosts).unwrap();
    run(Command::new("mount").args(["-t", "proc", "proc"]).arg(root.join("proc")));
    lay(Path::new("/dev/null"), "/dev/null");
    lay(Path::new("/dev/urandom"), "/dev/urandom");
}

/// Makes a volume; gives the folder to mount.
fn make_volume<'a>(volume: &'a Value, group: u32, files: &'a Files, folder: &Path) -> (PathBuf, Mounted) {
    let name = text_at(volume, "name");
    // Where the files of some keys go; without any, each key is a file.
    let items: Vec<_> = list(volume, "configMap/items").collect();
    let (source, mode) = match (&volume["configMap"], &volume["secret"], &volume["emptyDir"]) {
        (config_map @ Value::Object(_), _, _) => (text_at(config_map, "name"), &config_map["defaultMode"]),
        (_, secret @ Value::Object(_), _) => (text_at(secret, "secretName"), &secret["defaultMode"]),
        (_, _, Value::Object(_)) => {
            let empty = folder.join(name);
            fs::create_dir(&empty).unwrap();
            chown(&empty, None, Some(group)).unwrap();
            fs::set_permissions(&empty, fs::Permissions::from_mode(0o2777)).unwrap();
            return (empty, Mounted::Empty);
        }
        _ => panic!("{name} is a volume of a kind that pods here don't have"),
    };
    let mode = mode.as_u64().unwrap_or(0o644) as u32;
    let mut volume = Volume::with(Rights { mode, group });
    let files = files.get(source).unwrap_or_else(|| panic!("the test has no files of {source}"));
    let named = |(key, bytes): &'a (String, Vec<u8>)| {
        let item = items.iter().find(|item| item["key"] == *key);
        let path = item.map_or(key.as_str(), |item| text_at(item, "path"));
        (item.is_some() || items.is_empty()).then_some((path, bytes.as_slice()))
    };
    let files: Vec<_> = files.iter().filter_map(named).collect();
    volume.write(&files, Links::AfterIt);
    (volume.folder().to_owned(), Mounted::Files(volume))
}

/// The limit of memory in bytes.
fn memory_limit(container: &Value) -> u64 {
    let limit = text_at(container, "resources/limits/memory");
    limit.strip_suffix("Mi").unwrap().parse::<u64>().unwrap() << 20
}

fn number(value: &Value, path: &str) -> u32 {
    at(value, path).as_u64().unwrap_or_else(|| panic!("no {path} in {value:#}")) as u32
}
