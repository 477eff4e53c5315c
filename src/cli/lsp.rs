//! The language server, as words of the command line. Reads no file.

use clap::Args;

use super::PlanArgs;

/// Serves editors.
#[derive(Args, Clone, Debug)]
pub struct Lsp {
    #[command(flatten)]
    pub plan: PlanArgs,
    /// What many clients add: it speaks over stdin and stdout in any case.
    #[arg(long, hide = true)]
    pub(super) stdio: bool,
}
