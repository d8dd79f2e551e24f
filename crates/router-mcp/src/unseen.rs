//! Characters that a person does not see and a model reads: with them a text says more than it seems to.

/// The first of them in a text, if any.
pub(crate) fn first(text: &str) -> Option<char> {
    if text.is_ascii() {
        return None;
    }
    let mut before = ' ';
    text.chars().find(|&found| {
        let joins = found == '\u{200d}' && !before.is_ascii();
        before = found;
        is_unseen(found) && !joins
    })
}

/// The text with every one of them written out.
pub(crate) fn shown(text: &str) -> String {
    if first(text).is_none() {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    for found in text.chars() {
        if is_unseen(found) {
            shown.extend(found.escape_unicode());
        } else {
            shown.push(found);
        }
    }
    shown
}

/// Signs without width, signs that turn the direction of writing, and the second alphabet of tags. (Between two parts of
/// an emoji U+200D has its use.)
const fn is_unseen(found: char) -> bool {
    matches!(
        found,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_found_and_shown() {
        for (text, found, told) in [
            ("plain", None, "plain"),
            ("grüße, 日本語, 👍🏽", None, "grüße, 日本語, 👍🏽"),
            ("👩\u{200d}👧", None, "👩\u{200d}👧"),
            ("a\u{200d}b", Some('\u{200d}'), "a\\u{200d}b"),
            ("pay\u{200b}load", Some('\u{200b}'), "pay\\u{200b}load"),
            ("\u{202e}txt.exe", Some('\u{202e}'), "\\u{202e}txt.exe"),
            ("x\u{e0041}\u{e0042}", Some('\u{e0041}'), "x\\u{e0041}\\u{e0042}"),
            ("\u{feff}{}", Some('\u{feff}'), "\\u{feff}{}"),
        ] {
            assert_eq!((first(text), &*shown(text)), (found, told), "{text:?}");
        }
    }
}
