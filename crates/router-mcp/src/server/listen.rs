//! A stream of what changes: `subscriptions/listen` of a modern client, the standing stream of a legacy session.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use router_core::{Cx, Raw};
use tokio_util::sync::CancellationToken;

use super::{
    Question,
    meta::{META, SUBSCRIPTION_ID},
    session::Session,
    watches::Watches,
};
use crate::{
    catalog::{Catalog, Changed, Changes, Remarks},
    client::RESOURCES,
    fields,
    rpc::{self, Id},
    view::Remark,
};

/// Who listens, to what, and until when.
pub(super) struct Listener {
    /// The id of the listen request, which marks everything sent for it.
    mark: Option<Id>,
    wants: Changed,
    changes: Changes,
    remarks: Remarks,
    /// The resources that the listen request is about.
    watches: Watches,
    /// Whose standing stream it is.
    session: Option<Arc<Session>>,
    /// Who made the listen request.
    caller: Arc<str>,
    /// We close.
    closing: CancellationToken,
    /// The client ends it.
    over: CancellationToken,
    queue: VecDeque<Bytes>,
    ended: bool,
}

/// The lists that can change: how a filter names them, whose capability they are, and how a change is told.
const LISTS: [(&str, &str, &str); 3] = [
    ("toolsListChanged", "tools", "notifications/tools/list_changed"),
    ("resourcesListChanged", "resources", "notifications/resources/list_changed"),
    ("promptsListChanged", "prompts", "notifications/prompts/list_changed"),
];

const UPDATED: &str = "notifications/resources/updated";

/// What there is to tell.
enum News {
    Changed(Changed),
    Said(Remark),
}

impl Listener {
    /// Everything that changes, for a session, and what servers say beside all requests.
    pub(super) fn standing(
        catalog: &Catalog,
        session: &Arc<Session>,
        over: CancellationToken,
        closing: CancellationToken,
    ) -> Self {
        Self {
            mark: None,
            wants: Changed { tools: true, resources: true, prompts: true },
            changes: catalog.changes(),
            remarks: catalog.remarks(),
            watches: Watches::default(),
            session: Some(Arc::clone(session)),
            caller: "".into(),
            closing,
            over,
            queue: VecDeque::new(),
            ended: false,
        }
    }

    /// What `subscriptions/listen` asks for, as far as there is such a thing; the first message says how far.
    pub(super) async fn subscribed(
        catalog: &Catalog,
        cx: &Cx,
        question: &Question,
        (over, closing): (CancellationToken, CancellationToken),
    ) -> Self {
        let cx = question.asks(cx);
        let params = question.params.as_ref();
        let filter = params.and_then(|params| fields::get(params, "notifications")).unwrap_or_else(fields::empty);
        let [tools, resources, prompts] =
            LISTS.map(|(name, capability, _)| fields::is_true(&filter, name) && catalog.may_have(capability));
        let wants = Changed { tools, resources, prompts };
        // A modern client hears log lines with the request that wants them, and of no visit's end.
        let asks = fields::get(&filter, RESOURCES).is_some();
        let (changes, remarks) = (catalog.changes(), if asks { catalog.remarks() } else { Remarks::none() });
        let watches = Watches::asked_for(catalog, &cx, &filter).await;
        let mut listener = Self {
            mark: Some(question.id.apart()),
            wants,
            changes,
            remarks,
            watches,
            session: None,
            caller: Arc::clone(&cx.caller().name),
            closing,
            over,
            queue: VecDeque::new(),
            ended: false,
        };
        listener.acknowledge();
        listener
    }

    /// The next message; `None` when it is over.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(message) = self.queue.pop_front() {
                return Some(message);
            }
            if self.ended {
                return None;
            }
            let news = async {
                tokio::select! {
                    changed = self.changes.next() => News::Changed(changed),
                    remark = self.remarks.next() => News::Said(remark),
                }
            };
            tokio::select! {
                news = news => match news {
                    News::Changed(changed) => self.tell(changed),
                    News::Said(remark) => self.pass_on(&remark),
                },
                () = self.closing.cancelled() => self.close(),
                () = self.over.cancelled() => self.ended = true,
            }
        }
    }

    fn pass_on(&mut self, remark: &Remark) {
        let note = &remark.note;
        if self.session.as_ref().is_some_and(|session| session.wants(remark)) {
            self.queue.push_back(rpc::notification(&note.method, Some(&note.params)));
        }
        let is_for_us = remark.to.as_ref().is_none_or(|caller| *caller == self.caller);
        let is_wanted = is_for_us && &*note.method == UPDATED && self.watches.cover(&note.params);
        if let Some(id) = self.mark.as_ref().filter(|_| is_wanted) {
            let params = fields::with_path(&note.params, &[META, SUBSCRIPTION_ID], id.raw());
            self.queue.push_back(rpc::notification(&note.method, Some(&params)));
        }
    }

    fn acknowledge(&mut self) {
        let yes = Raw::trusted("true");
        let wanted = LISTS.iter().zip(flags(self.wants)).filter(|(_, wanted)| *wanted);
        let accepted: Vec<_> = wanted.map(|((name, ..), _)| (*name, &yes)).collect();
        let filter = fields::with_fields(&fields::empty(), &accepted);
        let filter = match self.watches.listed() {
            Some(uris) => fields::with_field(&filter, RESOURCES, &uris),
            None => filter,
        };
        let params = fields::with_field(&self.marked(), "notifications", &filter);
        self.queue.push_back(rpc::notification("notifications/subscriptions/acknowledged", Some(&params)));
    }

    fn tell(&mut self, changed: Changed) {
        for ((_, _, method), (wanted, changed)) in LISTS.iter().zip(flags(self.wants).into_iter().zip(flags(changed))) {
            if wanted && changed {
                let params = self.mark.is_some().then(|| self.marked());
                self.queue.push_back(rpc::notification(method, params.as_ref()));
            }
        }
    }

    /// The answer to the listen request says that it ended well.
    fn close(&mut self) {
        self.ended = true;
        if let Some(id) = &self.mark {
            let result = fields::with_field(&self.marked(), "resultType", &Raw::trusted("\"complete\""));
            self.queue.push_back(rpc::result(id, &result));
        }
    }

    fn marked(&self) -> Raw {
        let mark = self.mark.as_ref().map(Id::raw);
        mark.map_or_else(fields::empty, |id| fields::with_path(&fields::empty(), &[META, SUBSCRIPTION_ID], id))
    }
}

fn flags(changed: Changed) -> [bool; 3] {
    [changed.tools, changed.resources, changed.prompts]
}
