//! Files that are written to by several: of each only what stands between `<!-- begin NAME -->` and `<!-- end NAME -->`.

use std::path::Path;
use std::{fs, io};

/// What there is, or a beginning. Whatever else goes wrong is an error, lest what people wrote be lost.
pub fn read(path: &Path, heading: &str) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(format!("# {heading}\n")),
        read => read,
    }
}

/// `report` with `content` in its place; at the end under a heading where it has none.
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
