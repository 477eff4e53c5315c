//! Manual pages, made from the help of the command line. Writes nothing.

use clap::error::ErrorKind;

/// The manual page of the program, or of one of its commands.
///
/// # Errors
/// Where there is no such command.
pub(super) fn page(mut top: clap::Command, command: Option<&str>) -> Result<String, clap::Error> {
    top.build();
    let man = match command {
        None => clap_mangen::Man::new(top),
        Some(name) => match top.find_subcommand(name) {
            Some(sub) => clap_mangen::Man::new(sub.clone()).title(format!("runplan-{name}")),
            None => return Err(top.error(ErrorKind::InvalidSubcommand, format!("there is no command `{name}`"))),
        },
    };
    let mut page = Vec::new();
    let rendered = man.render(&mut page);
    rendered.map_err(clap::Error::from)?;
    // Any roff can read ASCII.
    let mut out = String::new();
    for c in String::from_utf8_lossy(&page).chars() {
        if c.is_ascii() { out.push(c) } else { out.push_str(&format!("\\[u{:04X}]", c as u32)) }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let top = super::super::Top::command();
        assert!(page(top.clone(), None).unwrap().contains(".TH runplan 1"));
        for sub in top.get_subcommands() {
            let text = page(top.clone(), Some(sub.get_name())).unwrap();
            assert!(text.contains(".SH OPTIONS") && text.contains("runplan-"), "{text}");
        }
        assert!(page(top, Some("nope")).is_err());
    }
}
