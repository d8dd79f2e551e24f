//! Where a page begins: of which list, in which state, at which place. Whoever has a cursor can show it, and nothing else.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::list::List;

/// What is told apart by it: a list of a view as it was once.
pub(super) type Digest = [u8; 16];

/// Makes cursors that only it believes.
#[derive(Clone)]
pub(super) struct Cursors {
    key: [u8; 32],
}

/// A place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) digest: Digest,
    /// The page.
    pub(super) page: u32,
}

impl Cursors {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The cursor in words, good for `list` of `view` only.
    pub(super) fn write(&self, view: &str, list: List, cursor: Cursor) -> String {
        let mut bytes = [0; 36];
        let (proof, rest) = bytes.split_at_mut(16);
        proof.copy_from_slice(&self.proof(view, list, cursor));
        let (digest, page) = rest.split_at_mut(16);
        digest.copy_from_slice(&cursor.digest);
        page.copy_from_slice(&cursor.page.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What the words say, when they are ours.
    pub(super) fn read(&self, view: &str, list: List, text: &str) -> Option<Cursor> {
        let bytes: [u8; 36] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (proof, rest) = bytes.split_first_chunk::<16>()?;
        let (digest, page) = rest.split_first_chunk::<16>()?;
        let cursor = Cursor { digest: *digest, page: u32::from_be_bytes(page.try_into().ok()?) };
        let ours = blake3::Hash::from_bytes(widened(self.proof(view, list, cursor)));
        // Compared in constant time.
        (ours == blake3::Hash::from_bytes(widened(*proof))).then_some(cursor)
    }

    fn proof(&self, view: &str, list: List, cursor: Cursor) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(b"cursor\0").update(list.field().as_bytes()).update(b"\0").update(view.as_bytes()).update(b"\0");
        hasher.update(&cursor.digest).update(&cursor.page.to_be_bytes());
        let mut proof = [0; 16];
        hasher.finalize_xof().fill(&mut proof);
        proof
    }
}

fn widened(half: [u8; 16]) -> [u8; 32] {
    let mut whole = [0; 32];
    whole.iter_mut().zip(half).for_each(|(to, from)| *to = from);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list_and_in_no_other_words() {
        let cursors = Cursors::new([7; 32]);
        let cursor = Cursor { digest: [3; 16], page: 2 };
        let text = cursors.write("dev", List::Tools, cursor);
        assert_eq!(cursors.read("dev", List::Tools, &text), Some(cursor));
        assert_eq!(Cursors::new([7; 32]).read("dev", List::Tools, &text), Some(cursor), "after a restart");
        assert_eq!(cursors.read("ops", List::Tools, &text), None);
        assert_eq!(cursors.read("dev", List::Prompts, &text), None);
        assert_eq!(Cursors::new([8; 32]).read("dev", List::Tools, &text), None);
        for place in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(cursors.read("dev", List::Tools, &changed), None, "{place}");
        }
        for text in ["", "AAAA", "not a cursor", &text[1..]] {
            assert_eq!(cursors.read("dev", List::Tools, text), None);
        }
    }
}
