//! What can be asked of `serve`, as words of the command line. Opens no socket.

use clap::Args;

/// Shows runs in a browser of this machine.
#[derive(Args, Clone, Debug)]
pub struct Serve {
    /// Port of 127.0.0.1 and ::1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,
    /// Folder that has `.runplan` (default: here or above)
    #[arg(long, value_name = "DIR")]
    pub log_dir: Option<String>,
}
