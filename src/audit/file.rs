//! The destination of records: stdout, or a file that somebody else rotates.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The process' standard output, which carries nothing else: the application's log goes to stderr.
    Stdout,
    /// A file, by its path.
    File(PathBuf),
}

/// An open destination.
pub(super) struct Sink {
    /// `None` for stdout.
    path: Option<PathBuf>,
    file: File,
}

impl Sink {
    /// Opens `destination`, for appending.
    pub(super) fn open(destination: &Destination) -> io::Result<Self> {
        Ok(match destination {
            // A separate handle: the standard library's buffers, and does not tell what was written.
            Destination::Stdout => {
                Self { path: None, file: File::from(io::stdout().as_fd().try_clone_to_owned()?) }
            }
            Destination::File(path) => Self { path: Some(path.clone()), file: open(path)? },
        })
    }

    /// Reopens the file if its path now leads elsewhere because the file was renamed or removed; returns
    /// whether it did.
    ///
    /// Costs one `stat`, which is negligible beside a write, and needs neither a signal nor a timer. What was
    /// written before stays in the old file.
    pub(super) fn follow(&mut self) -> io::Result<bool> {
        let Some(path) = &self.path else { return Ok(false) };
        let is_same = match fs::metadata(path) {
            Ok(there) => identity(&there) == identity(&self.file.metadata()?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if !is_same {
            self.file = open(path)?;
        }
        Ok(!is_same)
    }

    /// Writes a part of `text` and returns how many bytes.
    pub(super) fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        match self.file.write(text)? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            written => Ok(written),
        }
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

fn open(path: &Path) -> io::Result<File> {
    if let Ok(there) = fs::metadata(path) {
        let kind = there.file_type();
        if kind.is_fifo() || kind.is_socket() {
            let what = "it is a pipe or a socket, where records could be lost: use a file, or `-` for stdout";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
    }
    // Only the owner needs to read who acted for whom.
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    if is_torn(path) {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Returns whether the file ends in the middle of a line, because its writer was killed or the disk was full.
/// The next record then starts on a new line.
fn is_torn(path: &Path) -> bool {
    let last = || -> io::Result<u8> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        Ok(last[0])
    };
    let is_file = fs::metadata(path).is_ok_and(|there| there.is_file());
    is_file && last().is_ok_and(|last| last != b'\n')
}

/// Checks that `destination` can be opened, and removes the file again if this check created it.
///
/// # Errors
/// When it cannot be opened.
pub fn try_out(destination: &Destination) -> io::Result<()> {
    let Destination::File(path) = destination else { return Ok(()) };
    let is_new = !path.exists();
    open(path)?;
    if is_new { fs::remove_file(path) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn sink(path: &Path) -> Sink {
        Sink::open(&Destination::File(path.to_owned())).expect("it opens")
    }

    #[test]
    fn a_new_file_is_for_its_owner_alone_and_an_old_one_grows() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        sink(&path).write(b"one\n").expect("it is written");
        sink(&path).write(b"two\n").expect("it is written");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "one\ntwo\n");
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_was_renamed_or_removed_is_opened_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, old) = (folder.path().join("audit.log"), folder.path().join("audit.log.1"));
        let mut sink = sink(&path);
        assert!(!sink.follow().expect("it is there"));
        fs::rename(&path, &old).expect("it is renamed");
        assert!(sink.follow().expect("a new one can be made"));
        fs::remove_file(&path).expect("it is removed");
        assert!(sink.follow().expect("a new one can be made"));
        fs::copy(&old, folder.path().join("other")).expect("it is copied");
        fs::rename(folder.path().join("other"), &path).expect("it is replaced");
        assert!(sink.follow().expect("the other one can be opened"));
        assert!(!sink.follow().expect("it is there"));
    }

    #[test]
    fn a_torn_line_stays_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        for (before, expected) in [("one\ntw", "one\ntw\nnext\n"), ("one\n", "one\nnext\n"), ("", "next\n")] {
            fs::write(&path, before).expect("it is written");
            sink(&path).write(b"next\n").expect("it is written");
            assert_eq!(fs::read_to_string(&path).expect("it is there"), expected);
        }
    }

    #[test]
    fn what_is_no_file_is_refused_and_a_trial_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let at = |path: &Path| Destination::File(path.to_owned());
        assert!(try_out(&at(folder.path())).is_err(), "a folder");
        assert!(try_out(&at(&path.join("below"))).is_err(), "no folder");
        let socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).expect("a socket");
        assert!(try_out(&at(&folder.path().join("socket"))).is_err());
        drop(socket);
        try_out(&at(&path)).expect("it can be made");
        assert!(!path.exists());
        fs::write(&path, "one\n").expect("it is written");
        try_out(&at(&path)).expect("it can be opened");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "one\n");
    }
}
