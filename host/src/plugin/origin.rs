//! Where a plugin comes from, as the operator names it.

use std::fmt;
use std::path::{Path, PathBuf};

use reqwest::Url;

/// Where a plugin comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A library, a ZIP, a module in Python, or a folder that holds one of them.
    Path(PathBuf),
    /// A ZIP on a web server.
    Url(ZipUrl),
}

/// The address of a ZIP on a web server. What is shown of it holds no secret: neither user and password nor the query.
#[derive(Clone, PartialEq, Eq)]
pub struct ZipUrl {
    /// The address.
    pub(super) url: Url,
    /// `http://` may be used, where everybody on the way can change what is sent.
    pub(super) allow_http: bool,
}

impl Origin {
    /// Where a plugin is looked for that nobody has named: at `/opt/plugin`, or else, where the Python runtime had its
    /// module.
    pub fn usual() -> Origin {
        let (plugin, module) = (Path::new("/opt/plugin"), Path::new("/opt/usermodule.py"));
        Origin::Path(if !plugin.exists() && module.exists() { module } else { plugin }.to_owned())
    }

    /// What an address means.
    ///
    /// # Errors
    ///
    /// It is neither `https://` nor `file://`, nor `http://` where that is allowed.
    pub fn of_url(url: Url, allow_http: bool) -> Result<Origin, String> {
        match url.scheme() {
            "file" => url
                .to_file_path()
                .map(Origin::Path)
                .map_err(|()| "a file:// address names a file of this machine: file:///PATH".to_owned()),
            "https" => Ok(Origin::Url(ZipUrl { url, allow_http })),
            "http" if allow_http => Ok(Origin::Url(ZipUrl { url, allow_http })),
            "http" => Err("over http:// everybody on the way can change what is loaded: use https://, or set \
                           ZIP_ALLOW_HTTP=true"
                .to_owned()),
            other => Err(format!("{other}:// is not taken: use https:// or file://")),
        }
    }
}

impl ZipUrl {
    /// The address of the ZIP's minisign signature.
    pub(super) fn signature(&self) -> ZipUrl {
        let mut signature = self.clone();
        signature.url.set_path(&format!("{}.minisig", self.url.path()));
        signature
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Path(path) => path.display().fmt(f),
            Origin::Url(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for ZipUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.url.scheme(), self.url.host_str().unwrap_or_default())?;
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.url.path())
    }
}

impl fmt::Debug for ZipUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZipUrl({self})")
    }
}
