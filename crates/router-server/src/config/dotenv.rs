//! `.env` files: `NAME=value` lines, with comments, quotes and `export`, as shells and other tools read them.

use router_core::Secret;

/// One variable of a `.env` file. Any of them may be a secret.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) value: Secret<String>,
    /// Where it stands, from 1.
    pub(super) number: usize,
}

/// Reads a file; beside the variables, what is wrong with lines that are none, by their number.
pub(super) fn parse(text: &str) -> (Vec<Line>, Vec<(usize, &'static str)>) {
    let mut lines = Vec::new();
    let mut flaws = Vec::new();
    for (index, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        let number = index + 1;
        match assignment(line.trim()) {
            Ok(Some((name, value))) => lines.push(Line { name, value: Secret::new(value), number }),
            Ok(None) => {}
            Err(flaw) => flaws.push((number, flaw)),
        }
    }
    (lines, flaws)
}

fn assignment(line: &str) -> Result<Option<(String, String)>, &'static str> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').ok_or("there is no \"=\" in this line")?;
    let name = name.trim();
    if name.is_empty() || !name.chars().all(|character| character.is_ascii_alphanumeric() || "_.-".contains(character))
    {
        return Err("what stands before the \"=\" is no name");
    }
    Ok(Some((name.to_owned(), value_of(value.trim())?)))
}

fn value_of(written: &str) -> Result<String, &'static str> {
    let Some(quote @ ('"' | '\'')) = written.chars().next() else {
        // A comment begins at a `#` after a space; one inside of a word is part of a password.
        let end = written.find(" #").or_else(|| written.find("\t#")).unwrap_or(written.len());
        return Ok(written.get(..end).unwrap_or(written).trim_end().to_owned());
    };
    let mut value = String::new();
    let mut characters = written.chars().skip(1);
    while let Some(character) = characters.next() {
        match character {
            '\\' if quote == '"' => value.push(match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some(other) => other,
                None => '\\',
            }),
            end if end == quote => return Ok(value),
            other => value.push(other),
        }
    }
    Err("a quote is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_shells_read() {
        let cases = [
            ("A=1", Ok(Some(("A", "1")))),
            ("  export A = b c  # why", Ok(Some(("A", "b c")))),
            ("A=pass#word", Ok(Some(("A", "pass#word")))),
            (r#"A="x # \"y\"\n" # why"#, Ok(Some(("A", "x # \"y\"\n")))),
            (r"A='x\n'", Ok(Some(("A", r"x\n")))),
            ("A=", Ok(Some(("A", "")))),
            ("A=b=c", Ok(Some(("A", "b=c")))),
            ("# A=1", Ok(None)),
            ("", Ok(None)),
            ("A", Err("there is no \"=\" in this line")),
            ("=1", Err("what stands before the \"=\" is no name")),
            ("A='x", Err("a quote is not closed")),
        ];
        for (line, expected) in cases {
            let read = assignment(line.trim());
            let expected = expected.map(|found| found.map(|(name, value)| (name.to_owned(), value.to_owned())));
            assert_eq!(read, expected, "{line}");
        }
    }

    #[test]
    fn numbers_lines_and_hides_values() {
        let (lines, flaws) = parse("# c\nA=canary\nbroken\n");
        assert_eq!(format!("{lines:?}"), r#"[Line { name: "A", value: ****, number: 2 }]"#);
        assert_eq!(flaws, [(3, "there is no \"=\" in this line")]);
    }
}
