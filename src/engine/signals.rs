//! Signals to the engine, as values: the first ends the run politely, the second at once; a terminal stop passes through.

use std::io;

use tokio::signal::unix::{self, SignalKind};

use crate::act::contain;

/// A signal that reached the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// Asked to end.
    Terminate,
    /// The terminal is gone.
    Hangup,
    /// Ctrl-\.
    Quit,
    /// Ctrl-Z.
    Pause,
}

impl Signal {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Hangup => "SIGHUP",
            Self::Quit => "SIGQUIT",
            Self::Pause => "SIGTSTP",
        }
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> i32 {
        let signal = match self {
            Self::Interrupt => rustix::process::Signal::INT,
            Self::Terminate => rustix::process::Signal::TERM,
            Self::Hangup => rustix::process::Signal::HUP,
            Self::Quit => rustix::process::Signal::QUIT,
            Self::Pause => rustix::process::Signal::TSTP,
        };
        signal.as_raw()
    }

    /// Stops the engine for a while instead of ending it.
    #[must_use]
    pub fn only_pauses(self) -> bool {
        self == Self::Pause
    }
}

/// The listeners.
pub struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hangup: unix::Signal,
    quit: unix::Signal,
    pause: unix::Signal,
}

impl Signals {
    /// Starts to listen.
    ///
    /// # Errors
    /// When a handler can't be installed.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
            hangup: unix::signal(SignalKind::hangup())?,
            quit: unix::signal(SignalKind::quit())?,
            pause: unix::signal(SignalKind::from_raw(Signal::Pause.number()))?,
        })
    }

    /// The next signal.
    pub async fn next(&mut self) -> Option<Signal> {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Some(Signal::Interrupt),
            Some(()) = self.terminate.recv() => Some(Signal::Terminate),
            Some(()) = self.hangup.recv() => Some(Signal::Hangup),
            Some(()) = self.quit.recv() => Some(Signal::Quit),
            Some(()) = self.pause.recv() => Some(Signal::Pause),
            else => None,
        }
    }
}

/// Ctrl-Z: children stop, the engine stops; when it goes on, so do they.
pub fn pause() {
    contain::suspend_all(true);
    // Stops this very process; returns when it is continued.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
    contain::suspend_all(false);
}
