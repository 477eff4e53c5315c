//! XML as a stream of elements: well-formed to the end, no entities, bounded depth. Knows no report.

use std::borrow::Cow;
use std::io::BufRead;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::Fault;

/// Deepest nesting of elements.
const MAX_DEPTH: usize = 256;

/// What a handler is told.
pub(super) enum Step<'a> {
    /// An element begins.
    Open(&'a Element<'a>),
    /// An element of this name ends.
    Close(&'a str),
    /// Text between two tags; in several pieces where it has references or sections.
    Text(&'a str),
}

/// An element's name and attributes.
pub(super) struct Element<'a> {
    /// Its name without a namespace prefix.
    pub(super) name: &'a str,
    start: &'a BytesStart<'a>,
}

impl Element<'_> {
    /// An attribute's value, unescaped.
    pub(super) fn attr(&self, name: &str) -> Result<Option<String>, String> {
        let attribute = self.start.try_get_attribute(name).map_err(|error| error.to_string())?;
        attribute
            .map(|attribute| attribute.normalized_value(XmlVersion::Implicit1_0).map(Cow::into_owned))
            .transpose()
            .map_err(|error| format!("attribute `{name}`: {error}"))
    }

    /// An attribute that is a whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let parse = |text: String| {
            text.trim().parse().map_err(|_| format!("`{name}=\"{}\"` is not a whole number", text.escape_debug()))
        };
        self.attr(name)?.map(parse).transpose()
    }
}

/// Reads the whole document, element by element.
pub(super) fn walk(input: impl BufRead, mut on: impl FnMut(Step<'_>) -> Result<(), String>) -> Result<(), Fault> {
    let mut reader = Reader::from_reader(input);
    let mut buffer = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut elements = 0_u64;
    loop {
        buffer.clear();
        let before = reader.buffer_position();
        let event = match reader.read_event_into(&mut buffer) {
            Ok(event) => event,
            Err(error) => return Err(Fault::At(reader.error_position(), format!("it is not XML: {error}"))),
        };
        let told = match event {
            Event::Start(start) => {
                elements += 1;
                open.push(start.local_name().as_ref().to_owned());
                if open.len() > MAX_DEPTH {
                    return Err(Fault::At(before, format!("it is nested deeper than {MAX_DEPTH}")));
                }
                on(Step::Open(&Element { name: start.local_name().as_ref(), start: &start }))
            }
            Event::Empty(start) => {
                elements += 1;
                let name = start.local_name();
                on(Step::Open(&Element { name: name.as_ref(), start: &start }))
                    .and_then(|()| on(Step::Close(name.as_ref())))
            }
            Event::End(end) => {
                open.pop();
                on(Step::Close(end.local_name().as_ref()))
            }
            Event::Text(text) => on(Step::Text(&text.xml10_content())),
            Event::CData(text) => on(Step::Text(&text.xml10_content())),
            Event::DocType(doctype) if doctype.to_ascii_uppercase().contains("<!ENTITY") => {
                Err("it declares entities, which are never expanded: refused".to_owned())
            }
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::DocType(_) | Event::GeneralRef(_) => Ok(()),
        };
        told.map_err(|why| Fault::At(before, why))?;
    }
    match open.pop() {
        Some(name) => Err(Fault::At(reader.buffer_position(), format!("it ends inside `<{name}>`: it was cut off"))),
        None if elements == 0 => Err(Fault::At(reader.buffer_position(), "it has no element".to_owned())),
        None => Ok(()),
    }
}

/// The name of the outermost element.
pub(super) fn root(input: impl BufRead) -> Result<String, Fault> {
    let mut root = None;
    let result = walk(input, |step| match step {
        Step::Open(element) => {
            root = Some(element.name.to_owned());
            // Seen enough: the rest is read by whoever knows the format.
            Err(String::new())
        }
        _ => Ok(()),
    });
    match (root, result) {
        (Some(root), _) => Ok(root),
        (None, Err(fault)) => Err(fault),
        (None, Ok(())) => Err(Fault::All("it has no element".to_owned())),
    }
}
