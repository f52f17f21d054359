//! The list of mutations, `loom-tests/mutations.txt`:
//!
//! ```text
//! # The purpose of the line.
//! src/file.rs
//! - the text as it is (several lines may follow one another)
//! + the text instead (without this line, the text is left out)
//! ? the check that must notice
//! ```

use std::fmt;

/// One broken line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mutation {
    /// The purpose of the line.
    pub(crate) why: String,
    pub(crate) file: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) check: Check,
}

impl Mutation {
    /// `text` with the change; `None` unless the text to change is found exactly once.
    pub(crate) fn apply(&self, text: &str) -> Option<String> {
        (text.matches(&self.from).count() == 1).then(|| text.replacen(&self.from, &self.to, 1))
    }
}

/// The check that must notice a mutation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Check {
    /// A model: test binary and name.
    Loom(String, String),
    /// A test under random schedules.
    Shuttle(String),
    /// An integration test: binary and name (empty: all of it).
    Test(String, String),
    /// A unit test: the end of its path.
    Unit(String),
    /// A test on atomics that count and can be interrupted: binary and name.
    Counting(String, String),
    /// A test of the server's integrations: binary and name.
    Server(String, String),
    /// The stress run.
    Stress,
}

impl Check {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace().map(str::to_owned);
        let check = match (words.next()?.as_str(), words.next(), words.next()) {
            ("loom", Some(binary), Some(model)) => Self::Loom(binary, model),
            ("shuttle", Some(test), None) => Self::Shuttle(test),
            ("test", Some(binary), test) => Self::Test(binary, test.unwrap_or_default()),
            ("unit", Some(test), None) => Self::Unit(test),
            ("counting", Some(binary), Some(test)) => Self::Counting(binary, test),
            ("server", Some(binary), Some(test)) => Self::Server(binary, test),
            ("stress", None, None) => Self::Stress,
            _ => return None,
        };
        words.next().is_none().then_some(check)
    }

    /// The arguments for `cargo`.
    pub(crate) fn arguments(&self) -> Vec<&str> {
        let mut arguments = vec!["test", "--quiet"];
        let (of, test): (&[&str], &str) = match self {
            // Models run in `release`, and not in `measure` as `cargo loom` does: each mutation builds a model anew and
            // runs it once, mostly up to an early failure. `measure` would save a quarter of the run, and build three
            // times as long.
            Self::Loom(binary, model) => {
                (&["--release", "-p", "loom-tests", "--features", "models", "--test", binary], model)
            }
            Self::Shuttle(test) => (&["--release", "-p", "shuttle-tests", "--features", "models"], test),
            Self::Test(binary, test) => (&["-p", "microbreaker", "--features", "std", "--test", binary], test),
            Self::Unit(test) => (&["-p", "microbreaker", "--features", "std", "--lib"], test),
            Self::Counting(binary, test) => (&["-p", "counting", "--test", binary], test),
            Self::Server(binary, test) => (&["-p", "server", "--test", binary], test),
            Self::Stress => return vec!["run", "--quiet", "--release", "-p", "stress", "--", "2_000_000", "8"],
        };
        arguments.extend(of);
        if !test.is_empty() {
            arguments.extend(["--", test]);
        }
        arguments
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kind, binary, test] = match self {
            Self::Loom(binary, model) => ["loom", binary, model],
            Self::Shuttle(test) => ["shuttle", "", test],
            Self::Test(binary, test) => ["test", binary, test],
            Self::Unit(test) => ["unit", "", test],
            Self::Counting(binary, test) => ["counting", binary, test],
            Self::Server(binary, test) => ["server", binary, test],
            Self::Stress => ["stress", "", ""],
        };
        let words = [kind, binary, test];
        f.write_str(&words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" "))
    }
}

/// All mutations of a list, or an error that quotes the invalid entry.
pub(crate) fn parse(text: &str) -> Result<Vec<Mutation>, String> {
    let mut mutations = Vec::new();
    for block in text.split("\n\n") {
        let block: Vec<&str> = block.lines().filter(|line| !line.is_empty()).collect();
        // The head of the file has comments only.
        if block.iter().all(|line| line.starts_with('#')) {
            continue;
        }
        mutations.push(mutation(&block).ok_or_else(|| format!("not a mutation:\n{}", block.join("\n")))?);
    }
    Ok(mutations)
}

fn mutation(block: &[&str]) -> Option<Mutation> {
    let after = |mark: char| {
        let lines: Vec<&str> = block.iter().filter_map(|line| line.strip_prefix(mark)).collect();
        lines.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
    };
    let file = block.iter().find(|line| !line.starts_with(['#', '-', '+', '?']))?;
    let (from, to) = (after('-'), after('+'));
    let valid = !from.is_empty() && from != to;
    valid.then_some(Mutation {
        why: after('#').replace('\n', " "),
        file: (*file).to_owned(),
        from,
        to,
        check: Check::parse(&after('?'))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn root() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."))
    }

    fn list() -> Vec<Mutation> {
        parse(&fs::read_to_string(root().join("loom-tests/mutations.txt")).unwrap()).unwrap()
    }

    #[test]
    fn every_mutation_finds_its_place() {
        let lost = list().into_iter().filter(|mutation| {
            let text = fs::read_to_string(root().join(&mutation.file)).unwrap();
            mutation.apply(&text).is_none()
        });
        let lost: Vec<String> = lost.map(|mutation| format!("{}: {}", mutation.file, mutation.from)).collect();
        assert!(lost.is_empty(), "no place, or several: {lost:#?}");
    }

    #[test]
    fn every_model_has_a_mutation_that_it_must_notice() {
        let list = list();
        for binary in fs::read_dir(root().join("loom-tests/tests")).unwrap() {
            let path = binary.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let binary = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            for model in text.split("#[test]\nfn ").skip(1).map(|rest| rest.split('(').next().unwrap()) {
                let check = Check::Loom(binary.clone(), model.to_owned());
                assert!(list.iter().any(|mutation| mutation.check == check), "{check}");
            }
        }
    }

    #[test]
    fn what_is_no_mutation_is_told() {
        for wrong in [
            "src/a.rs\n- a\n+ b",
            "src/a.rs\n- a\n+ b\n? pray",
            "src/a.rs\n- a\n+ b\n? stress c",
            "- a\n+ b\n? unit c",
            "src/a.rs\n+ b\n? unit c",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let right = parse("# why\nsrc/a.rs\n- a\n-   b\n+ c\n? test d e").unwrap();
        assert_eq!(right[0].from, "a\n  b");
        assert_eq!(right[0].check.to_string(), "test d e");
    }
}
