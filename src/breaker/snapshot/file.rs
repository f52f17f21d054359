//! Snapshots in files.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::Snapshot;

impl Snapshot {
    /// Keeps it in the file at `path`, which is replaced as a whole: whoever reads it, at any time and after a crash or
    /// a power cut at any moment, finds this snapshot or the one before.
    ///
    /// That holds for one writer at a time: it is written to `path` with `.new` added, to the disk, and renamed; of two at
    /// once one may rename what the other has begun, and a reader finds neither, by an error. It blocks until the disk has
    /// it, which takes milliseconds: on an asynchronous runtime, call it where that may be.
    pub fn write_to(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let mut beside = OsString::from(path);
        beside.push(".new");
        let mut file = File::create(&beside)?;
        file.write_all(&self.bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        // The new name itself is on the disk once the folder is. Elsewhere a folder cannot be opened as a file.
        #[cfg(unix)]
        {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    /// Reads what [`write_to`](Self::write_to) kept. A file that holds no snapshot is an error of kind
    /// [`InvalidData`](io::ErrorKind::InvalidData) around a [`SnapshotError`](super::SnapshotError), a missing one of kind
    /// [`NotFound`](io::ErrorKind::NotFound).
    pub fn read_from(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::from_bytes(&fs::read(path)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}
