//! What somebody signs, as words of the command line. Reads no file.

use clap::Args;

use super::Command;

/// A signature that somebody wants to give about a run.
#[derive(Clone, Debug)]
pub struct Sign {
    /// The run.
    pub run: String,
    /// The `signoff` step that is approved, instead of the whole run.
    pub gate: Option<String>,
    /// Role that is signed for.
    pub role: String,
    /// Who signs, as the allowed-signers file says it.
    pub who: String,
    /// The key; the usual one if not given.
    pub key: Option<String>,
    /// Says no.
    pub reject: bool,
    /// What they add.
    pub comment: Option<String>,
}

#[derive(Args)]
pub(super) struct SignArgs {
    /// The run: its id, its folder, or `latest`
    #[arg(default_value = "latest")]
    run: String,
    /// The `signoff` step that you approve, instead of the whole run
    #[arg(long, value_name = "STEP")]
    gate: Option<String>,
    /// Role that you sign for, as in `[signoffs] roles`
    #[arg(long, value_name = "ROLE", required_unless_present = "record")]
    role: Option<String>,
    /// Who you are, as the allowed-signers file names you
    #[arg(long = "as", value_name = "WHO", env = "RUNPLAN_SIGN_AS", required_unless_present = "record")]
    who: Option<String>,
    /// Key: a private one, or a public one whose private half an agent holds (default: ~/.ssh/id_ed25519)
    #[arg(long, value_name = "FILE", env = "RUNPLAN_SIGN_KEY")]
    key: Option<String>,
    /// Says no: the run, or the step, fails
    #[arg(long)]
    reject: bool,
    /// What you want to add
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Signs the record itself: that this key vouches for these bytes; nothing is approved by it
    #[arg(long, conflicts_with_all = ["gate", "role", "reject", "comment"])]
    record: bool,
}

impl SignArgs {
    pub(super) fn checked(self) -> Command {
        let Self { run, gate, role, who, key, reject, comment, record } = self;
        if record {
            return Command::SignRecord { run, key };
        }
        let (role, who) = (role.unwrap_or_default(), who.unwrap_or_default());
        Command::Sign(Sign { run, gate, role, who, key, reject, comment })
    }
}
