//! Writes a ZIP that depends on nothing but names and contents.

use std::io::{Cursor, Write};

use anyhow::{Context, Result};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::File;
use crate::plugin::is_suspicious;

/// The files in the order given, each with the same time and rights.
///
/// # Errors
///
/// A name is too long for a ZIP.
pub(super) fn pack(files: &[File]) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        add(&mut zip, file, method(file)?)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// Deflate, but for what would shrink so much that a host takes it for a bomb: much of the same.
fn method(file: &File) -> Result<CompressionMethod> {
    // Smaller ones may shrink as they like.
    if !is_suspicious(file.bytes.len() as u64, 0) {
        return Ok(CompressionMethod::Deflated);
    }
    let mut alone = ZipWriter::new(Cursor::new(Vec::new()));
    add(&mut alone, file, CompressionMethod::Deflated)?;
    let packed = alone.finish()?.into_inner().len() as u64;
    // Names and headers are no part of the file: a little less than what was measured.
    let packed = packed.saturating_sub(2 * file.name.len() as u64 + 200);
    Ok(if is_suspicious(file.bytes.len() as u64, packed) {
        CompressionMethod::Stored
    } else {
        CompressionMethod::Deflated
    })
}

fn add(zip: &mut ZipWriter<Cursor<Vec<u8>>>, file: &File, method: CompressionMethod) -> Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(method)
        .compression_level((method == CompressionMethod::Deflated).then_some(9))
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    zip.start_file(file.name.as_str(), options)
        .map_err(anyhow::Error::from)
        .and_then(|()| Ok(zip.write_all(&file.bytes)?))
        .with_context(|| format!("can't pack {}", file.source.display()))
}
