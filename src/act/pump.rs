//! Carries a child's output from a pipe into its spool file and masks secrets on the way. Knows bytes only.

use std::fs::File;
use std::io::{self, PipeReader, Write as _};
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::mask::{Mask, MaskStream};

/// Bytes taken from the pipe at once.
const CHUNK: usize = 32 * 1024;

/// A running pump: one task, constant memory.
pub(super) struct Pump {
    task: JoinHandle<io::Result<()>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Pump {
    /// Starts on the current runtime.
    ///
    /// # Errors
    /// When the pipe can't be watched.
    pub(super) fn start(reader: PipeReader, file: File, mask: &Mask) -> io::Result<Self> {
        let receiver = Receiver::from_owned_fd(OwnedFd::from(reader))?;
        let (stop, stopped) = oneshot::channel();
        let spool = Spool { file, stream: mask.stream(), masked: Vec::new(), error: None };
        Ok(Self { task: tokio::spawn(run(receiver, stopped, spool)), stop: Some(stop) })
    }

    /// Waits for the end of the pipe, for at most `grace`: a process that escaped may hold it open for ever. What is in it by then
    /// is stored.
    ///
    /// # Errors
    /// When the output could not be stored.
    pub(super) async fn finish(&mut self, grace: Duration) -> io::Result<()> {
        let ended = match tokio::time::timeout(grace, &mut self.task).await {
            Ok(ended) => ended,
            Err(_) => {
                drop(self.stop.take());
                (&mut self.task).await
            }
        };
        ended.map_err(io::Error::other)?
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(mut receiver: Receiver, mut stopped: oneshot::Receiver<()>, mut spool: Spool) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        tokio::select! {
            read = receiver.read(&mut chunk) => match read? {
                0 => break,
                length => spool.store(&chunk[..length]),
            },
            _ = &mut stopped => {
                // Whatever is in the pipe now, and no more: someone may be writing for ever.
                for _ in 0..64 {
                    match receiver.try_read(&mut chunk) {
                        Ok(length) if length > 0 => spool.store(&chunk[..length]),
                        _ => break,
                    }
                }
                break;
            }
        }
    }
    spool.close()
}

struct Spool {
    file: File,
    stream: MaskStream,
    masked: Vec<u8>,
    /// The first error. The pipe is read on, so that the child isn't blocked by a full disk.
    error: Option<io::Error>,
}

impl Spool {
    fn store(&mut self, bytes: &[u8]) {
        self.stream.push(bytes, &mut self.masked);
        self.write();
    }

    fn write(&mut self) {
        if self.error.is_none() {
            self.error = self.file.write_all(&self.masked).err();
        }
        self.masked.clear();
    }

    fn close(mut self) -> io::Result<()> {
        self.stream.finish(&mut self.masked);
        self.write();
        self.error.map_or(Ok(()), Err)
    }
}
