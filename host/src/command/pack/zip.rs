//! Writes a ZIP that depends on nothing but names and contents.

use std::io::{Cursor, Write};

use anyhow::{Context, Result};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::File;

/// The files in the order given, each with the same time and rights.
///
/// # Errors
///
/// A name is too long for a ZIP.
pub(super) fn pack(files: &[File]) -> Result<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        zip.start_file(file.name.as_str(), options)
            .map_err(anyhow::Error::from)
            .and_then(|()| Ok(zip.write_all(&file.bytes)?))
            .with_context(|| format!("can't pack {}", file.source.display()))?;
    }
    Ok(zip.finish()?.into_inner())
}
