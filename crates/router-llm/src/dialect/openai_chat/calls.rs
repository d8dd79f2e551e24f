//! Puts the tool calls of a stream back together: their pieces come interleaved, late, whole, or as ever longer copies.

use router_core::{
    Error, Kind, Result,
    chat::{Event, StopReason},
    scan,
};

use crate::dialect::blocks::{Blocks, minted};

/// The most that the arguments of one call may weigh, in bytes.
const MAX_ARGUMENTS: usize = 16 << 20;

/// A piece of a tool call.
#[derive(Debug, Default)]
pub(super) struct Fragment {
    pub(super) index: Option<u64>,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

/// The calls of one reply, in the order they began.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    /// The call whose block is open; those before it are closed, those after it wait.
    live: usize,
}

#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: Arguments,
    opened: bool,
}

impl Calls {
    /// Whether the model called any.
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether one of them is not over.
    pub(super) fn is_open(&self) -> bool {
        self.live < self.calls.len()
    }

    /// Takes a piece. The first call that is not over streams on; the ones behind it are kept until it is.
    pub(super) fn add(
        &mut self,
        piece: Fragment,
        reply: &str,
        blocks: &mut Blocks,
        events: &mut Vec<Event>,
    ) -> Result<()> {
        let place = self.place_of(&piece);
        if place > self.live && self.calls.get(self.live).is_some_and(Call::is_complete) {
            self.close_live(reply, false, blocks, events)?;
        }
        let Some(call) = self.calls.get_mut(place) else { return Ok(()) };
        if call.id.is_empty() {
            call.id = piece.id;
        }
        if call.name.is_empty() {
            call.name = piece.name;
        }
        call.arguments.add(&piece.arguments)?;
        if place < self.live && !piece.arguments.trim().is_empty() {
            return Err(Error::new(
                Kind::Protocol,
                format!("the arguments of `{}` went on after their end", call.name),
            ));
        }
        if place == self.live && !call.name.is_empty() {
            call.stream(reply, place, blocks, events);
        }
        Ok(())
    }

    /// Something else follows: the calls that have all their arguments are over.
    pub(super) fn close_complete(&mut self, reply: &str, blocks: &mut Blocks, events: &mut Vec<Event>) -> Result<()> {
        while self.calls.get(self.live).is_some_and(Call::is_complete) {
            self.close_live(reply, false, blocks, events)?;
        }
        Ok(())
    }

    /// There are no more: the calls that waited follow, each in its turn.
    pub(super) fn finish(
        &mut self,
        reply: &str,
        stop: Option<StopReason>,
        blocks: &mut Blocks,
        events: &mut Vec<Event>,
    ) -> Result<()> {
        let cut = stop == Some(StopReason::MaxTokens);
        while self.live < self.calls.len() {
            self.close_live(reply, cut, blocks, events)?;
        }
        Ok(())
    }

    fn close_live(&mut self, reply: &str, cut: bool, blocks: &mut Blocks, events: &mut Vec<Event>) -> Result<()> {
        let live = self.live;
        self.live += 1;
        let Some(call) = self.calls.get_mut(live) else { return Ok(()) };
        if call.name.is_empty() {
            return Err(Error::new(Kind::Protocol, "the upstream called a tool without naming it"));
        }
        call.stream(reply, live, blocks, events);
        call.arguments.settle(cut).map_err(|()| {
            Error::new(Kind::Protocol, format!("the arguments of the call of `{}` are not JSON", call.name))
        })?;
        call.stream(reply, live, blocks, events);
        blocks.close(events);
        Ok(())
    }

    /// The call that a piece belongs to, which may be a new one. Some servers number all calls 0, some none; a call
    /// that says its name and another id is another call.
    fn place_of(&mut self, piece: &Fragment) -> usize {
        let same = |call: &Call| match piece.index {
            Some(_) => call.index == piece.index,
            None => piece.name.is_empty(),
        };
        let is_other =
            |call: &Call| !piece.name.is_empty() && !piece.id.is_empty() && !call.id.is_empty() && call.id != piece.id;
        match self.calls.iter().rposition(same) {
            Some(place) if !self.calls.get(place).is_some_and(is_other) => place,
            _ => {
                self.calls.push(Call { index: piece.index, ..Call::default() });
                self.calls.len() - 1
            }
        }
    }
}

impl Call {
    fn is_complete(&self) -> bool {
        !self.name.is_empty() && scan::is_json(self.arguments.text.as_bytes())
    }

    /// Hands out what is certain of the call.
    fn stream(&mut self, reply: &str, place: usize, blocks: &mut Blocks, events: &mut Vec<Event>) {
        if !self.opened {
            if self.id.is_empty() {
                self.id = minted(reply, place);
            }
            blocks.tool(self.id.clone(), self.name.clone(), events);
            self.opened = true;
        }
        let more = self.arguments.take();
        if !more.is_empty() {
            events.push(Event::Arguments(more));
        }
    }
}

/// The arguments of one call. Most servers send each piece once; some send all that there is so far, each time.
#[derive(Debug, Default)]
struct Arguments {
    /// What they are, as far as they came.
    text: String,
    /// How much of it has been handed out.
    sent: usize,
    habit: Habit,
}

#[derive(Debug, Default)]
enum Habit {
    /// Each piece goes on where the last one ended.
    #[default]
    Pieces,
    /// The last piece began with all that came before it: either a copy (kept here), or a likeness by chance.
    Doubtful(String),
    /// Each piece is a longer copy.
    Copies,
}

impl Arguments {
    fn add(&mut self, piece: &str) -> Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        if self.text.len() + piece.len() > MAX_ARGUMENTS {
            return Err(Error::new(
                Kind::Protocol,
                format!("the arguments of a call are longer than {MAX_ARGUMENTS} bytes"),
            ));
        }
        match &mut self.habit {
            Habit::Pieces if self.text.is_empty() || !piece.starts_with(&self.text) => self.text.push_str(piece),
            Habit::Pieces => {
                self.habit = Habit::Doubtful(piece.to_owned());
                self.text.push_str(piece);
            }
            Habit::Doubtful(copy) => {
                self.text.push_str(piece);
                if piece.starts_with(copy.as_str()) {
                    piece.clone_into(copy);
                } else {
                    self.habit = Habit::Pieces;
                }
            }
            Habit::Copies if piece.starts_with(&self.text) => piece.clone_into(&mut self.text),
            Habit::Copies => {
                return Err(Error::new(
                    Kind::Protocol,
                    "the arguments of a call went on otherwise than they had begun",
                ));
            }
        }
        if matches!(self.habit, Habit::Doubtful(_)) && !scan::is_beginning(self.text.as_bytes()) {
            self.believe_copies();
        }
        Ok(())
    }

    fn believe_copies(&mut self) {
        if let Habit::Doubtful(copy) = std::mem::replace(&mut self.habit, Habit::Copies) {
            self.text = copy;
        }
    }

    /// What can be handed out and has not been.
    fn take(&mut self) -> String {
        let may_be_null = self.sent == 0 && "null".starts_with(self.text.trim());
        if may_be_null || matches!(self.habit, Habit::Doubtful(_)) {
            return String::new();
        }
        let more = self.text.get(self.sent..).unwrap_or_default().to_owned();
        self.sent = self.text.len();
        more
    }

    /// There is no more: nothing, or `null`, is no arguments at all; what an answer's limit cut off is closed.
    fn settle(&mut self, cut: bool) -> Result<(), ()> {
        if matches!(self.habit, Habit::Doubtful(_)) {
            if scan::is_json(self.text.as_bytes()) {
                self.habit = Habit::Pieces;
            } else {
                self.believe_copies();
            }
        }
        if self.sent == 0 && matches!(self.text.trim(), "" | "null") {
            self.text.clear();
            return Ok(());
        }
        if scan::is_json(self.text.as_bytes()) {
            return Ok(());
        }
        let end = scan::closing(self.text.as_bytes()).filter(|_| cut).ok_or(())?;
        self.text.push_str(&end);
        Ok(())
    }
}
