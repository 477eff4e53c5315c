//! `runplan schema`: the JSON Schema of plans on stdout, or in a file that editors find without a network. Writes only the
//! file it was asked for.

use crate::exit::Exit;
use crate::plan;
use crate::report::escape;
use crate::report::terminal::{Stream, Terminal};

use super::log;
use super::past::wrong;

pub(super) fn schema(output: Option<&str>, terminal: &Terminal) -> Exit {
    let text = format!("{:#}\n", plan::schema::blueprint());
    let Some(file) = output.filter(|file| *file != "-") else {
        terminal.write(Stream::Out, &text);
        return Exit::Done;
    };
    if let Err(error) = std::fs::write(file, text) {
        return log::refused(terminal, &wrong(format!("`{file}` can't be written: {error}")));
    }
    let name = file.rsplit('/').next().unwrap_or(file);
    let told = format!("{}\nfirst line of a plan beside it:  #:schema ./{}\n", escape::line(file), escape::line(name));
    terminal.write(Stream::Out, &told);
    Exit::Done
}
