//! How a server is kept running.

use router_mcp::client::{HealthCheck, InstanceLimits};

use super::{
    super::{
        leaf::{Count, Text},
        read::Spanned,
        settings::{Language, Runtime, ServerIsolation, Upkeep},
        upkeep::{HealthFile, InstancesFile, RuntimeFile},
    },
    Build,
};

/// What the file says of it.
pub(super) struct UpkeepFile {
    pub(super) isolation: Option<Spanned<ServerIsolation>>,
    pub(super) instances: Option<Spanned<InstancesFile>>,
    pub(super) health: Option<Spanned<HealthFile>>,
    pub(super) runtime: Option<Spanned<RuntimeFile>>,
    pub(super) max_restarts: Option<Count>,
    /// Whether we start it ourselves.
    pub(super) starts: bool,
}

impl Build<'_> {
    pub(super) fn upkeep(&mut self, file: UpkeepFile) -> Upkeep {
        let usual = Upkeep::default();
        let isolation = file.isolation.map_or(usual.isolation, |isolation| isolation.value);
        if let Some(instances) = file.instances.as_ref().filter(|_| isolation == ServerIsolation::Shared) {
            let finding = self.findings.warning(&instances.at, "this has no effect: the server is shared");
            finding.remedy("add isolation: per_session or per_caller");
        }
        let instances =
            file.instances.map_or(usual.instances, |Spanned { value: InstancesFile { max, idle }, .. }| {
                let most = max.and_then(|max| usize::try_from(max.0).ok());
                InstanceLimits {
                    most: most.unwrap_or(usual.instances.most),
                    idle: idle.map_or(usual.instances.idle, |idle| idle.0),
                }
            });
        let health = file.health.map_or(usual.health, |file| health(&file.value));
        let runtime = file.runtime.and_then(|runtime| self.runtime(runtime, file.starts));
        let max_restarts = file.max_restarts.map(|most| most.0);
        Upkeep { isolation, instances, health, runtime, max_restarts }
    }

    fn runtime(&mut self, file: Spanned<RuntimeFile>, starts: bool) -> Option<Runtime> {
        if !starts {
            self.findings.warning(&file.at, "this has no effect: the server is called, not started");
            return None;
        }
        let (language, version) = match (file.value.python, file.value.node) {
            (Some(version), None) => (Language::Python, version),
            (None, Some(version)) => (Language::Node, version),
            (Some(_), Some(_)) => {
                self.findings.problem(&file.at, "a server has one interpreter").remedy("keep python or node");
                return None;
            }
            (None, None) => return None,
        };
        self.version(&version).map(|version| Runtime { language, version })
    }

    fn version(&mut self, Spanned { value: Text(written), at }: &Spanned<Text>) -> Option<String> {
        // `>=3.11` and `v22` are how other files write it: the least version is the one that was tried.
        let version = written.trim().trim_start_matches(['v', '>', '=', '^', '~', ' ']);
        let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if version.split('.').all(part) {
            return Some(version.to_owned());
        }
        let finding = self.findings.problem(at, format!("\"{written}\" is no version"));
        finding.remedy("write it in quotes: \"3.11\", \"22\"");
        None
    }
}

fn health(HealthFile { enabled, interval, timeout }: &HealthFile) -> Option<HealthCheck> {
    let usual = Upkeep::default().health?;
    enabled.as_ref().is_none_or(|enabled| enabled.0).then(|| HealthCheck {
        interval: interval.as_ref().map_or(usual.interval, |interval| interval.0),
        timeout: timeout.as_ref().map_or(usual.timeout, |timeout| timeout.0),
    })
}
