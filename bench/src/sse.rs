//! Counts `data:` lines of an event stream as it arrives, whatever the slicing.
#[derive(Default)]
pub struct EventLines {
    /// How many bytes of `data:` the current line has matched; `usize::MAX` = not a data line.
    matched: usize,
    pub count: u64,
}

const NO: usize = usize::MAX;

impl EventLines {
    pub fn feed(&mut self, s: &[u8]) {
        let mut i = 0;
        while i < s.len() {
            if self.matched < 5 {
                let b = s[i];
                i += 1;
                if b == b"data:"[self.matched] {
                    self.matched += 1;
                    if self.matched == 5 {
                        self.count += 1;
                        self.matched = NO;
                    }
                } else {
                    self.matched = if b == b'\n' { 0 } else { NO };
                }
            } else {
                match memchr::memchr(b'\n', &s[i..]) {
                    Some(n) => {
                        i += n + 1;
                        self.matched = 0;
                    }
                    None => return,
                }
            }
        }
    }
}

/// Splits an event stream into the payloads of its events (multi-line `data:` joined by newlines).
#[derive(Default)]
pub struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
    has: bool,
}
impl Events {
    pub fn feed(&mut self, s: &[u8], mut on_event: impl FnMut(&[u8])) {
        let mut rest = s;
        while let Some(n) = memchr::memchr(b'\n', rest) {
            self.line.extend_from_slice(&rest[..n]);
            rest = &rest[n + 1..];
            if self.line.last() == Some(&b'\r') {
                self.line.pop();
            }
            if self.line.is_empty() {
                if self.has {
                    on_event(&self.data);
                }
                self.data.clear();
                self.has = false;
            } else if let Some(d) = self.line.strip_prefix(b"data:") {
                if self.has {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(d.strip_prefix(b" ").unwrap_or(d));
                self.has = true;
            }
            self.line.clear();
        }
        self.line.extend_from_slice(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const S: &[u8] = b"event: x\ndata: {\"a\":1}\n\ndata: two\r\n\r\n: comment data: no\n\ndatax: no\n\ndata:three\ndata: more\n\n";

    #[test]
    fn counts_data_lines_in_any_slicing() {
        for n in 1..S.len() {
            let mut d = EventLines::default();
            S.chunks(n).for_each(|c| d.feed(c));
            assert_eq!(d.count, 4, "slices of {n}");
        }
    }

    #[test]
    fn splits_events_in_any_slicing() {
        for n in 1..S.len() {
            let mut e = Events::default();
            let mut got = Vec::new();
            S.chunks(n).for_each(|c| e.feed(c, |d| got.push(String::from_utf8(d.to_vec()).unwrap())));
            assert_eq!(got, ["{\"a\":1}", "two", "three\nmore"]);
        }
    }
}
