//! Reports that several programs and people write to. A program replaces only the part between `<!-- begin NAME -->`
//! and `<!-- end NAME -->`.

use std::path::Path;
use std::{fs, io};

/// The text of the file, or a new beginning if there is no file. Any other failure is an error, so that no text that
/// people wrote is lost.
pub fn read(path: &Path, heading: &str) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(format!("# {heading}\n")),
        read => read,
    }
}

/// `report` with `content` in its section. If the section is missing, it is added at the end, under a heading.
pub fn with_section(report: &str, name: &str, title: Option<&str>, content: &str) -> String {
    let (begin, end) = (format!("<!-- begin {name} -->"), format!("<!-- end {name} -->"));
    let section = format!("{begin}\n{}\n{end}", content.trim_end());
    let parts = report
        .split_once(&begin)
        .and_then(|(before, rest)| rest.split_once(&end).map(|(_, after)| format!("{before}{section}{after}")));
    parts.unwrap_or_else(|| {
        let heading = title.map(|title| format!("## {title}\n\n")).unwrap_or_default();
        format!("{}\n\n{heading}{section}\n", report.trim_end())
    })
}
