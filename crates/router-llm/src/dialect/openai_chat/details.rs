//! The `reasoning_details` of a reply, put back together from their pieces, to be given back as they were given.

use serde_json::{Map, Value};

use crate::dialect::proof::{self, Borne};

/// What of a detail comes in pieces, each of which goes on where the last one ended.
const PIECED: [&str; 3] = ["text", "summary", "data"];

/// The details that have come and have not been handed on.
#[derive(Debug, Default)]
pub(super) struct Details(Vec<Map<String, Value>>);

impl Details {
    /// Takes more of them. Pieces of one detail have its type and its index.
    pub(super) fn add(&mut self, json: &str) {
        for piece in serde_json::from_str::<Vec<Map<String, Value>>>(json).unwrap_or_default() {
            let same = |key: &str, former: &Map<String, Value>| former.get(key) == piece.get(key);
            match self.0.last_mut() {
                Some(former) if piece.contains_key("index") && same("index", former) && same("type", former) => {
                    join(former, piece);
                }
                _ => self.0.push(piece),
            }
        }
    }

    /// The mark that bears them; `None` when there are none.
    pub(super) fn take(&mut self) -> Option<String> {
        let details = std::mem::take(&mut self.0);
        let json = (!details.is_empty()).then(|| serde_json::to_vec(&details).ok())??;
        Some(proof::bearing(Borne::Details, &json))
    }
}

fn join(former: &mut Map<String, Value>, piece: Map<String, Value>) {
    for (name, value) in piece {
        match (former.get_mut(&name), value) {
            (Some(Value::String(text)), Value::String(more)) if PIECED.contains(&name.as_str()) => text.push_str(&more),
            (Some(_), Value::Null) => {}
            (_, value) => drop(former.insert(name, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_one_detail_become_one() {
        let mut details = Details::default();
        details.add(r#"[{"type":"reasoning.text","text":"hm","format":"f","index":0}]"#);
        details.add(r#"[{"type":"reasoning.text","text":" é","signature":null,"index":0}]"#);
        details.add(r#"[{"type":"reasoning.text","signature":"EqQB","index":0},{"type":"reasoning.encrypted","data":"x","index":1}]"#);
        details.add("null");
        let mark = details.take().unwrap();
        let json = proof::borne(&mark, Borne::Details).unwrap();
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"[{"type":"reasoning.text","text":"hm é","format":"f","index":0,"signature":"EqQB"},{"type":"reasoning.encrypted","data":"x","index":1}]"#
        );
        assert_eq!(details.take(), None);
    }
}
