//! What is wrong with a configuration: collected while it is read, and told all at once, each thing with its place.

use std::fmt;

use super::source::{Snippet, Source, Span};

/// Where something was configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// Where in the file; `None` for a variable or a flag.
    pub(super) span: Option<Span>,
    /// The path of its key (`mcpServers.github.timeout`), or the name of the variable or flag.
    pub(super) path: String,
}

impl At {
    /// Something that was configured beside the file: a flag, a variable, or the file as a whole.
    pub(super) fn outside(name: impl Into<String>) -> Self {
        Self { span: None, path: name.into() }
    }
}

/// What is wrong with a value: the rest of a sentence that begins with the value.
#[derive(Debug, PartialEq)]
pub(super) struct Flaw {
    pub(super) says: String,
    pub(super) remedy: Option<String>,
}

impl Flaw {
    pub(super) fn new(says: impl Into<String>) -> Self {
        Self { says: says.into(), remedy: None }
    }

    pub(super) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

/// Something to tell, before it is known how its line may be shown.
#[derive(Debug, PartialEq)]
pub(super) struct Finding {
    at: At,
    message: String,
    remedy: Option<String>,
}

impl Finding {
    /// Says what to do about it.
    pub(super) fn remedy(&mut self, remedy: impl Into<String>) {
        self.remedy = Some(remedy.into());
    }
}

/// Everything there is to tell about one configuration.
#[derive(Debug, Default)]
pub(super) struct Findings {
    problems: Vec<Finding>,
    warnings: Vec<Finding>,
    masks: Vec<Span>,
}

impl Findings {
    /// Notes something that makes the configuration unusable.
    pub(super) fn problem(&mut self, at: &At, message: impl Into<String>) -> &mut Finding {
        push(&mut self.problems, at, message.into())
    }

    /// Notes what is wrong with a value, called `subject` where it may be told.
    pub(super) fn flaw(&mut self, at: &At, subject: Option<&str>, Flaw { says, remedy }: Flaw) {
        let message = subject.map_or_else(|| says.clone(), |subject| format!("{subject} {says}"));
        self.problem(at, message).remedy = remedy;
    }

    /// Notes something that was understood otherwise than it may have been meant.
    pub(super) fn warning(&mut self, at: &At, message: impl Into<String>) -> &mut Finding {
        push(&mut self.warnings, at, message.into())
    }

    /// Notes that a part of the file must never be shown.
    pub(super) fn mask(&mut self, span: Span) {
        self.masks.push(span);
    }

    /// Whether a part of what stands at `path` could not be read: then it is not known what is missing in it.
    pub(super) fn is_broken(&self, path: &str) -> bool {
        let within =
            |other: &str| other.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        self.problems.iter().any(|problem| within(&problem.at.path))
    }

    /// Ends the collection: `value` with the warnings, unless there are problems.
    pub(super) fn settle<T>(self, source: &Source, value: Option<T>) -> Result<(T, Vec<Warning>), Problems> {
        let Self { problems, warnings, masks } = self;
        let warnings = reports(source, &masks, warnings).into_iter().map(Warning).collect();
        match value {
            Some(value) if problems.is_empty() => Ok((value, warnings)),
            Some(_) | None => Err(Problems { reports: reports(source, &masks, problems), warnings }),
        }
    }
}

fn push<'a>(findings: &'a mut Vec<Finding>, at: &At, message: String) -> &'a mut Finding {
    findings.push(Finding { at: at.clone(), message, remedy: None });
    let last = findings.len() - 1;
    #[expect(clippy::indexing_slicing, reason = "the element was pushed two lines above")]
    &mut findings[last]
}

/// In the order of the file; what was configured outside of it comes first.
fn reports(source: &Source, masks: &[Span], mut findings: Vec<Finding>) -> Vec<Report> {
    findings.sort_by_key(|finding| finding.at.span.map(|span| span.start));
    // A variable that is wrong for one upstream is wrong for all of them.
    findings.dedup();
    let report = |Finding { at, message, remedy }| match at.span {
        None => Report { place: at.path, message, remedy, snippet: None },
        Some(span) => {
            let (line, column) = source.position(span.start);
            let separator = if at.path.is_empty() { "" } else { ": " };
            let place = format!("{}:{line}:{column}{separator}{}", source.name, at.path);
            Report { place, message, remedy, snippet: Some(source.snippet(span, masks)) }
        }
    };
    findings.into_iter().map(report).collect()
}

/// One thing to tell, ready to be shown.
#[derive(Clone, Debug, PartialEq)]
struct Report {
    place: String,
    message: String,
    remedy: Option<String>,
    snippet: Option<Snippet>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        let remedy = self.remedy.as_deref();
        let Some(Snippet { line, text, column, width }) = &self.snippet else {
            return remedy.map_or(Ok(()), |remedy| write!(f, "\n  hint: {remedy}"));
        };
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(*column);
        let carets = "^".repeat(*width);
        write!(f, "\n  {number} | {text}\n  {margin} | {indent}{carets}")?;
        remedy.map_or(Ok(()), |remedy| write!(f, " {remedy}"))
    }
}

/// Something that was understood otherwise than it may have been meant; shown like a problem, but harmless.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning(Report);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a configuration cannot be used: everything that is wrong with it, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Problems {
    reports: Vec<Report>,
    warnings: Vec<Warning>,
}

impl Problems {
    /// What is harmless beside them.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.reports.len()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, report) in self.reports.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{report}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
