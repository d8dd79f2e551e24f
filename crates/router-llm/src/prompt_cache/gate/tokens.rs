//! Cuts a question into tokens: words in small letters, and what must stay as it is written.

/// A piece of a question.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    /// As it is written.
    pub(super) text: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// A word of which the case says nothing.
    Word,
    /// Capitalised where a sentence goes on: probably a name.
    Name,
    /// Code, a path, a quotation, a number, a sign.
    Fixed,
}

impl Token {
    /// The token as it is compared: in small letters where its case says nothing (US is not us).
    pub(super) fn plain(self) -> String {
        match self.kind {
            Kind::Fixed | Kind::Name => self.text,
            Kind::Word => self.text.to_lowercase(),
        }
    }
}

/// The tokens of `text`.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let text = text.replace(['’', '‘'], "'").replace(['“', '”', '«', '»', '„'], "\"");
    let mut tokens = Vec::new();
    let mut rest = text.as_str();
    while let Some(first) = rest.trim_start().chars().next() {
        rest = rest.trim_start();
        let length = match quoted(rest, first) {
            Some(length) => length,
            None => rest.find(char::is_whitespace).unwrap_or(rest.len()),
        };
        let (piece, after) = rest.split_at(length);
        if first == '"' || first == '`' {
            tokens.push(Token { text: piece.to_owned(), kind: Kind::Fixed });
        } else {
            let begins = tokens.is_empty();
            word(piece, begins, &mut tokens);
        }
        rest = after;
    }
    tokens
}

/// How long the quotation is that `text` begins with.
fn quoted(text: &str, first: char) -> Option<usize> {
    let body = text.strip_prefix(['"', '`'])?;
    body.find(first).map(|end| end + 2)
}

fn word(piece: &str, begins: bool, tokens: &mut Vec<Token>) {
    if piece.chars().any(is_han) {
        return tokens.extend(han(piece));
    }
    let opening = ['(', '[', '{', '¿', '¡', '"', '\''];
    let closing = ['.', ',', ';', ':', '!', '?', ')', ']', '}', '…', '"', '\''];
    let bare = if is_call(piece) { piece } else { piece.trim_start_matches(opening).trim_end_matches(closing) };
    let bare = if bare.is_empty() { return } else { bare };
    if let Some((number, unit)) = measure(bare) {
        tokens.push(Token { text: number, kind: Kind::Fixed });
        tokens.extend((!unit.is_empty()).then_some(Token { text: unit, kind: Kind::Fixed }));
        return;
    }
    let parts = contracted(bare);
    for (place, part) in parts.into_iter().enumerate() {
        let kind = kind(&part, begins && place == 0);
        tokens.push(Token { text: part, kind });
    }
}

fn is_call(piece: &str) -> bool {
    piece.contains("()") || piece.contains("::")
}

fn kind(text: &str, begins: bool) -> Kind {
    let is_plain = text.chars().all(|letter| letter.is_alphabetic() || matches!(letter, '\'' | '-'));
    let mut letters = text.chars();
    let begins_large = letters.next().is_some_and(char::is_uppercase);
    let goes_on_large = letters.any(char::is_uppercase);
    match (is_plain, begins_large, goes_on_large) {
        (false, ..) | (_, false, true) => Kind::Fixed,
        (_, true, true) => Kind::Name,
        (_, true, false) if !begins && text != "I" => Kind::Name,
        _ => Kind::Word,
    }
}

/// A number and the unit that is glued to it: `5km`, `20%`, `$5`, `1,000`. Dates, versions and times stay whole.
fn measure(text: &str) -> Option<(String, String)> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let length = digits.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ',')).unwrap_or(digits.len());
    let (number, unit) = digits.split_at(length);
    if !number.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let is_unit = unit.chars().all(|c| c.is_alphabetic() || c == '%' || c == '°');
    if !is_unit {
        return None;
    }
    let groups: Vec<&str> = number.split(',').collect();
    let grouped = groups.len() > 1 && groups.iter().skip(1).all(|group| group.len() == 3);
    let number = if grouped { groups.concat() } else { number.to_owned() };
    let sign = if digits.len() < text.len() { "-" } else { "" };
    Some((format!("{sign}{number}"), unit.to_owned()))
}

/// "don't" is "do not", "what's" is "what is", "France's" is "France".
fn contracted(text: &str) -> Vec<String> {
    const WHOLE: [(&str, [&str; 2]); 4] =
        [("can't", ["can", "not"]), ("won't", ["will", "not"]), ("cannot", ["can", "not"]), ("let's", ["let", "us"])];
    const ENDS: [(&str, &str); 5] = [("n't", "not"), ("'m", "am"), ("'re", "are"), ("'ve", "have"), ("'ll", "will")];
    const BEFORE_IS: [&str; 9] = ["what", "who", "where", "when", "how", "why", "it", "that", "there"];
    let small = text.to_lowercase();
    if let Some((_, parts)) = WHOLE.iter().find(|(whole, _)| *whole == small) {
        return parts.map(str::to_owned).into();
    }
    for (end, meant) in ENDS {
        if let Some(begin) = small.strip_suffix(end).filter(|begin| !begin.is_empty()) {
            return vec![begin.to_owned(), meant.to_owned()];
        }
    }
    match text.strip_suffix("'s").or_else(|| text.strip_suffix("'S")) {
        Some(begin) if BEFORE_IS.contains(&begin.to_lowercase().as_str()) => vec![begin.to_owned(), "is".to_owned()],
        Some(begin) => vec![begin.to_owned()],
        None => match small.split_once('\'') {
            // French puts its small words before an apostrophe: l'examen, n'est, qu'il.
            Some((before, after)) if before.len() <= 2 && !after.is_empty() => {
                let (_, after) = text.split_once('\'').unwrap_or_default();
                vec![format!("{before}'"), after.to_owned()]
            }
            _ => vec![text.to_owned()],
        },
    }
}

pub(super) fn is_han(letter: char) -> bool {
    matches!(letter, '\u{3400}'..='\u{9fff}' | '\u{3040}'..='\u{30ff}' | '\u{ac00}'..='\u{d7af}')
}

/// Chinese, Japanese and Korean have no blanks: each letter is a token, and what is of another script is one, too.
fn han(piece: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut joins = false;
    for letter in piece.chars().filter(|letter| !"？。，！；：、?.,!;:「」《》".contains(*letter)) {
        match tokens.last_mut() {
            Some(token) if joins && !is_han(letter) => token.text.push(letter),
            _ => tokens.push(Token { text: letter.to_string(), kind: Kind::Fixed }),
        }
        joins = !is_han(letter);
    }
    tokens
}
