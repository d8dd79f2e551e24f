//! The levels of effort, and every choice among them as a list that lives as long as the program.

use std::sync::OnceLock;

/// Every level there is, lowest first.
pub const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// The levels of `words`, lowest first, or the word that is no level. There are few choices, so each is made once.
pub fn efforts<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<&'static [&'static str], &'a str> {
    static CHOICES: [OnceLock<Vec<&'static str>>; 1 << EFFORTS.len()] = [const { OnceLock::new() }; 1 << EFFORTS.len()];
    let mut choice = 0_usize;
    for word in words {
        choice |= 1 << EFFORTS.iter().position(|level| *level == word).ok_or(word)?;
    }
    let chosen = || {
        let levels = EFFORTS.iter().enumerate().filter(|(place, _)| choice >> place & 1 == 1);
        levels.map(|(_, level)| *level).collect()
    };
    Ok(CHOICES.get(choice).map_or(&[], |made| made.get_or_init(chosen)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_in_order_and_made_once() {
        let levels: &[&str] = &["low", "high"];
        assert_eq!(efforts(["high", "low", "high"]), Ok(levels));
        assert_eq!(efforts(["low", "high"]).unwrap().as_ptr(), efforts(["high", "low"]).unwrap().as_ptr());
        assert_eq!(efforts([]), Ok(&[][..]));
        assert_eq!(efforts(["low", "loud"]), Err("loud"));
    }
}
