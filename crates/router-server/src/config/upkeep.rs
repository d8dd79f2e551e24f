//! The parts of a server's section that say how it is kept running.

use super::{
    leaf::{Positive, Switch, Text, Time},
    read::section,
};

section! {
    /// How many processes or sessions of a server there may be, where it is not shared.
    InstancesFile {
        /// At the same time, beside the one that tells what there is; otherwise 32.
        max: Positive,
        /// How long one that nobody uses is kept; otherwise 10 min.
        idle: Time,
    }
}

section! {
    /// When a server that says nothing is asked for a sign of life, and restarted when it gives none.
    HealthFile {
        /// Whether it is asked at all; otherwise yes.
        enabled: Switch,
        /// After how much silence; otherwise 30 s.
        interval: Time,
        /// How long it may take; otherwise 10 s.
        timeout: Time,
    }
}

section! {
    /// An interpreter, in a version.
    RuntimeFile {
        /// A version of Python: `"3.11"`.
        python: Text,
        /// A version of Node.js: `"22"`.
        node: Text,
    }
}
