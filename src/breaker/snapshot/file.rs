//! Snapshots in files.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::Snapshot;

impl Snapshot {
    /// Writes the snapshot to the file at `path`, which is replaced as a whole. A reader finds this snapshot or the
    /// previous one, at any time, even after a crash or a power cut at any moment.
    ///
    /// That holds for one writer at a time. The snapshot is written to `path` with `.new` added, synced to the disk,
    /// and renamed. If two writers work at once, one may rename a file that the other has only begun. A reader then
    /// finds neither snapshot and gets an error.
    ///
    /// The method blocks until the disk has the file, which takes milliseconds. On an asynchronous runtime, call it
    /// where blocking is allowed.
    pub fn write_to(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let mut beside = OsString::from(path);
        beside.push(".new");
        let mut file = File::create(&beside)?;
        file.write_all(&self.bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        // The new name is on the disk once the folder is synced. On other systems a folder cannot be opened as a file.
        #[cfg(unix)]
        {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    /// Reads a snapshot that [`write_to`](Self::write_to) wrote. If the file holds no snapshot, the error has the kind
    /// [`InvalidData`](io::ErrorKind::InvalidData) and contains a [`SnapshotError`](super::SnapshotError). If there is
    /// no file, the error has the kind [`NotFound`](io::ErrorKind::NotFound).
    pub fn read_from(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::from_bytes(&fs::read(path)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}
