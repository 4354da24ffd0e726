//! Forges archives byte by byte, so that they can lie.

use std::io::{Cursor, Read, Write};

use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

/// An entry of an archive. What its headers say is free to be a lie.
#[derive(Clone, Default)]
pub struct Entry {
    pub name: Vec<u8>,
    /// What lies in the archive.
    pub data: Vec<u8>,
    pub flags: u16,
    pub method: u16,
    pub crc: u32,
    pub packed: u32,
    pub size: u32,
    /// The size in the header before the data, where it is another one.
    pub local_size: Option<u32>,
    pub mode: u32,
    /// The extra field of both headers.
    pub extra: Vec<u8>,
    /// Where the directory says that the entry begins, where it doesn't begin there; then nothing is written for it.
    pub at: Option<u32>,
}

impl Entry {
    pub fn stored(name: &str, content: &[u8]) -> Entry {
        let size = content.len() as u32;
        let (name, data) = (name.into(), content.into());
        Entry { name, data, crc: crc32(content), packed: size, size, mode: 0o100_644, ..Entry::default() }
    }

    pub fn deflated(name: &str, content: &[u8]) -> Entry {
        let (data, crc) = deflate(content);
        let packed = data.len() as u32;
        Entry { data, crc, packed, size: content.len() as u32, method: 8, ..Entry::stored(name, b"") }
    }

    /// The part that both headers have.
    fn header(&self, size: u32) -> Vec<u8> {
        let mut header = Vec::new();
        for word in [20, self.flags, self.method, 0, 0x21] {
            header.extend(word.to_le_bytes());
        }
        for word in [self.crc, self.packed, size] {
            header.extend(word.to_le_bytes());
        }
        header.extend((self.name.len() as u16).to_le_bytes());
        header.extend((self.extra.len() as u16).to_le_bytes());
        header
    }

    /// What stands before the directory.
    pub fn local(&self) -> Vec<u8> {
        let header = self.header(self.local_size.unwrap_or(self.size));
        [b"PK\x03\x04".as_slice(), &header, &self.name, &self.extra, &self.data].concat()
    }

    /// What stands in the directory.
    pub fn central(&self, at: u32) -> Vec<u8> {
        let mut header = [b"PK\x01\x02\x14\x03".as_slice(), &self.header(self.size), &[0; 6]].concat();
        header.extend((self.mode << 16).to_le_bytes());
        header.extend(at.to_le_bytes());
        [header, self.name.clone(), self.extra.clone()].concat()
    }
}

/// The checksum of ZIP, bit by bit.
pub fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

/// Content deflated, and its checksum.
fn deflate(content: &[u8]) -> (Vec<u8>, u32) {
    let mut archive = ZipArchive::new(Cursor::new(honest(&[("x", content)]))).unwrap();
    let mut packed = Vec::new();
    let mut file = archive.by_index_raw(0).unwrap();
    file.read_to_end(&mut packed).unwrap();
    (packed, file.crc32())
}

/// An archive of these entries.
pub fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut files, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        directory.extend(entry.central(entry.at.unwrap_or(files.len() as u32)));
        if entry.at.is_none() {
            files.extend(entry.local());
        }
    }
    let end = end(entries.len() as u16, directory.len() as u32, files.len() as u32);
    [files, directory, end].concat()
}

/// The record at an archive's end: of a directory of this many entries and bytes, that begins there.
pub fn end(count: u16, size: u32, at: u32) -> Vec<u8> {
    let count = count.to_le_bytes();
    [b"PK\x05\x06".as_slice(), &[0; 4], &count, &count, &size.to_le_bytes(), &at.to_le_bytes(), &[0; 2]].concat()
}

/// The records at the end of an archive of more than 65,535 entries; `here` is where they begin.
pub fn end_of_zip64(count: u64, size: u64, at: u64, here: usize) -> Vec<u8> {
    let mut record = [b"PK\x06\x06".as_slice(), &44_u64.to_le_bytes(), &[45, 3, 45, 0], &[0; 8]].concat();
    for number in [count, count, size, at] {
        record.extend(number.to_le_bytes());
    }
    let locator = [b"PK\x06\x07".as_slice(), &[0; 4], &(here as u64).to_le_bytes(), &1_u32.to_le_bytes()].concat();
    [record, locator, end(u16::MAX, u32::MAX, u32::MAX)].concat()
}

/// An archive that an honest program made.
pub fn honest(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
