//! The breaker's state, step by step, and against a model that is too simple to be wrong.

use proptest::prelude::*;
use tokio::time::advance;

use super::*;
use crate::NoMeter;

const FAULT: Verdict = Verdict::Fault(None);

fn circuit() -> Circuit {
    Circuit::new("u".into(), BreakerPolicy::default(), Arc::new(NoMeter))
}

/// One call after another, each judged at once.
fn calls(circuit: &Circuit, verdicts: impl IntoIterator<Item = Verdict>) {
    for verdict in verdicts {
        circuit.settle(circuit.admit().unwrap(), verdict);
    }
}

fn opened() -> Circuit {
    let circuit = circuit();
    calls(&circuit, [FAULT; 5]);
    circuit
}

async fn pass_recovery(circuit: &Circuit) {
    advance(circuit.standing().2.unwrap()).await;
}

fn state(circuit: &Circuit) -> State {
    circuit.standing().0
}

#[tokio::test(start_paused = true)]
async fn opens_by_a_row_while_calls_are_few_and_by_the_rate_when_they_are_many() {
    use Verdict::{Cut, Neither, Success, Throttled};
    let busy = || [Success; 20].to_vec();
    let cases: &[(&str, Vec<Verdict>, State)] = &[
        ("four in a row", vec![FAULT; 4], State::Closed),
        ("five in a row", vec![FAULT; 5], State::Open),
        ("a success between", [vec![FAULT; 4], vec![Success], vec![FAULT; 4]].concat(), State::Closed),
        ("what is neither does not end a row", [vec![FAULT; 4], vec![Neither, FAULT]].concat(), State::Open),
        ("nor does a 429, nor is it one", [vec![FAULT; 4], vec![Throttled(None)]].concat(), State::Closed),
        ("every second call, 18 of them", [FAULT, Success].repeat(9), State::Closed),
        ("every second call, until there are 20 and a fault", [Success, FAULT].repeat(10), State::Open),
        ("five in a row of a busy one", [busy(), vec![FAULT; 5]].concat(), State::Closed),
        ("half of a busy one", [busy(), vec![FAULT; 20]].concat(), State::Open),
        ("five answers cut in a row", [Success, Cut].repeat(5), State::Open),
        ("four answers cut in a row", [Success, Cut].repeat(4), State::Closed),
    ];
    for (what, verdicts, expected) in cases {
        let circuit = circuit();
        calls(&circuit, verdicts.iter().copied());
        assert_eq!(state(&circuit), *expected, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_ends_the_row_of_cuts() {
    let circuit = circuit();
    let answer = |end| {
        let ticket = circuit.settle(circuit.admit().unwrap(), Verdict::Success);
        match end {
            Verdict::Cut => drop(circuit.settle(ticket, end)),
            Verdict::Success | Verdict::Fault(_) | Verdict::Throttled(_) | Verdict::Neither => circuit.complete(ticket),
        }
    };
    [vec![Verdict::Cut; 4], vec![Verdict::Success], vec![Verdict::Cut; 4]].concat().into_iter().for_each(answer);
    assert_eq!(state(&circuit), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn one_probe_at_a_time_and_two_successes_close_it() {
    let circuit = opened();
    let rejection = circuit.admit().unwrap_err();
    assert_eq!(rejection.state, State::Open);
    assert!((48..=72).contains(&rejection.reopens_in.as_secs()), "{rejection:?}");
    pass_recovery(&circuit).await;
    for successes in [1, 2] {
        let probe = circuit.admit().unwrap();
        assert!(probe.probe);
        assert_eq!(circuit.admit().unwrap_err().state, State::HalfOpen, "before success {successes}");
        circuit.settle(probe, Verdict::Success);
    }
    assert_eq!(state(&circuit), State::Closed);
    calls(&circuit, [FAULT; 4]);
    assert_eq!(state(&circuit), State::Closed, "and it has forgotten what was");
}

#[tokio::test(start_paused = true)]
async fn any_fault_of_a_probe_reopens_for_twice_as_long() {
    let circuit = opened();
    for (round, verdict) in [FAULT, Verdict::Throttled(None), Verdict::Cut, FAULT, FAULT, FAULT].into_iter().enumerate()
    {
        pass_recovery(&circuit).await;
        calls(&circuit, [Verdict::Neither, Verdict::Success, verdict]);
        let expected = (60.0 * f64::from(2 << round)).min(600.0);
        let seconds = circuit.standing().2.unwrap().as_secs_f64();
        assert!((0.8..=1.2).contains(&(seconds / expected)), "round {round}: {seconds} s, not about {expected} s");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_lengthens_it_within_reason() {
    for (said, at_least) in [(1, 48), (300, 300), (100_000, 900)] {
        let circuit = circuit();
        calls(&circuit, [Verdict::Fault(Some(Duration::from_secs(said))); 5]);
        let seconds = circuit.standing().2.unwrap().as_secs();
        assert!((at_least..=at_least.max(72)).contains(&seconds), "{said} s: {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_learnt_too_late_is_ignored() {
    let circuit = circuit();
    let old = [(); 3].map(|()| circuit.admit().unwrap());
    calls(&circuit, [FAULT; 5]);
    circuit.settle(old[0], Verdict::Success);
    assert_eq!(state(&circuit), State::Open);
    pass_recovery(&circuit).await;
    let probe = circuit.admit().unwrap();
    circuit.settle(old[1], FAULT);
    circuit.settle(old[2], Verdict::Success);
    assert_eq!(circuit.admit().unwrap_err().state, State::HalfOpen);
    let settled = circuit.settle(probe, Verdict::Success);
    calls(&circuit, [Verdict::Success]);
    assert_eq!(state(&circuit), State::Closed);
    circuit.settle(settled, Verdict::Cut);
    assert_eq!(state(&circuit), State::Closed, "the first probe belongs to half-open");
}

#[tokio::test(start_paused = true)]
async fn who_insists_is_the_probe_and_makes_nothing_worse() {
    let circuit = opened();
    for _ in 0..9 {
        circuit.insist();
        let probe = circuit.admit().unwrap();
        circuit.insist();
        assert!(circuit.admit().is_err(), "one at a time");
        circuit.settle(probe, FAULT);
        let usual = BreakerPolicy::default().recovery;
        assert!(circuit.standing().2.unwrap() <= usual.mul_f64(1.2), "no longer than it was");
    }
    circuit.insist();
    calls(&circuit, [Verdict::Success; 2]);
    circuit.insist();
    assert_eq!(state(&circuit), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn can_be_closed_or_probed_by_hand() {
    let circuit = opened();
    circuit.early_probe();
    assert_eq!(state(&circuit), State::HalfOpen);
    circuit.early_probe();
    assert!(circuit.admit().unwrap().probe);
    circuit.reset();
    assert_eq!((state(&circuit), circuit.admit().unwrap().probe), (State::Closed, false));
    circuit.early_probe();
    assert_eq!(state(&circuit), State::Closed, "a closed one needs no probe");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    /// Settles the n-th of the calls that run.
    Settle(usize, Verdict),
    /// Ends the n-th of the answers that run: cut, or whole.
    End(usize, bool),
    Pass(u64),
    PassRecovery,
    EarlyProbe,
    Reset,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let verdict = prop_oneof![
        3 => Just(Verdict::Success),
        5 => Just(FAULT),
        1 => Just(Verdict::Fault(Some(Duration::from_secs(200)))),
        1 => Just(Verdict::Throttled(None)),
        1 => Just(Verdict::Neither),
    ];
    let step = prop_oneof![
        10 => Just(Step::Begin),
        10 => (0..4_usize, verdict).prop_map(|(n, verdict)| Step::Settle(n, verdict)),
        4 => (0..4_usize, any::<bool>()).prop_map(|(n, cut)| Step::End(n, cut)),
        2 => (0..20_000_u64).prop_map(Step::Pass),
        2 => Just(Step::PassRecovery),
        1 => Just(Step::EarlyProbe),
        1 => Just(Step::Reset),
    ];
    prop::collection::vec(step, 1..300)
}

/// What the breaker should be, told by looking at everything that ever happened in this generation.
struct Model {
    state: State,
    generation: u32,
    trips: u32,
    until: Instant,
    probing: bool,
    successes: u32,
    faults: u32,
    cuts: u32,
    /// Which bucket, and whether it was a fault.
    past: Vec<(u128, bool)>,
    born: Instant,
}

impl Model {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            state: State::Closed,
            generation: 0,
            trips: 0,
            until: now,
            probing: false,
            successes: 0,
            faults: 0,
            cuts: 0,
            past: Vec::new(),
            born: now,
        }
    }

    fn enter(&mut self, state: State) {
        let (trips, born) = (self.trips, self.born);
        *self = Self { state, generation: self.generation + 1, trips, born, ..Self::new() };
    }

    fn bucket(&self) -> u128 {
        self.born.elapsed().as_millis() / 3000
    }

    fn admit(&mut self) -> Option<(u32, bool)> {
        if self.state == State::Open && Instant::now() >= self.until {
            self.enter(State::HalfOpen);
        }
        match self.state {
            State::Closed => Some((self.generation, false)),
            State::HalfOpen if !self.probing => {
                self.probing = true;
                Some((self.generation, true))
            }
            State::HalfOpen | State::Open => None,
        }
    }

    fn settle(&mut self, (generation, probe): (u32, bool), verdict: Verdict) -> (u32, bool) {
        if generation == self.generation {
            match self.state {
                State::Closed => self.count(verdict),
                State::HalfOpen => self.probed(probe, verdict),
                State::Open => {}
            }
            return (self.generation, false);
        }
        (generation, false)
    }

    fn probed(&mut self, probe: bool, verdict: Verdict) {
        self.probing &= !probe;
        match verdict {
            Verdict::Success if probe => self.successes += 1,
            Verdict::Fault(_) | Verdict::Cut => return self.trip(),
            Verdict::Throttled(_) if probe => return self.trip(),
            Verdict::Success | Verdict::Throttled(_) | Verdict::Neither => {}
        }
        if self.successes == 2 {
            self.trips = 0;
            self.enter(State::Closed);
        }
    }

    fn count(&mut self, verdict: Verdict) {
        let fault = match verdict {
            Verdict::Throttled(_) | Verdict::Neither => return,
            Verdict::Success => false,
            Verdict::Fault(_) | Verdict::Cut => true,
        };
        self.past.push((self.bucket(), fault));
        let row = match verdict {
            Verdict::Cut => {
                self.cuts += 1;
                self.cuts
            }
            Verdict::Fault(_) => {
                self.faults += 1;
                self.faults
            }
            Verdict::Success | Verdict::Throttled(_) | Verdict::Neither => {
                self.faults = 0;
                return;
            }
        };
        let recent = self.past.iter().filter(|(bucket, _)| self.bucket() - bucket < 10).collect::<Vec<_>>();
        let faults = recent.iter().filter(|(_, fault)| *fault).count();
        if if recent.len() < 20 { row >= 5 } else { faults * 2 >= recent.len() } {
            self.trip();
        }
    }

    fn trip(&mut self) {
        self.trips += 1;
        self.enter(State::Open);
    }
}

/// The breaker and the model, told the same.
struct Pair {
    circuit: Circuit,
    model: Model,
    running: Vec<(Ticket, (u32, bool))>,
    answering: Vec<(Ticket, (u32, bool))>,
}

impl Pair {
    async fn take(&mut self, step: Step) {
        match step {
            Step::Begin => {
                let (admitted, expected) = (self.circuit.admit().ok(), self.model.admit());
                assert_eq!(admitted.map(|ticket| ticket.probe), expected.map(|(_, probe)| probe));
                self.running.extend(admitted.zip(expected));
            }
            Step::Settle(n, verdict) if n < self.running.len() => {
                let (ticket, expected) = self.running.remove(n);
                let later = (self.circuit.settle(ticket, verdict), self.model.settle(expected, verdict));
                self.answering.extend((verdict == Verdict::Success).then_some(later));
            }
            Step::End(n, cut) if n < self.answering.len() => {
                let (ticket, expected) = self.answering.remove(n);
                if cut {
                    self.circuit.settle(ticket, Verdict::Cut);
                    self.model.settle(expected, Verdict::Cut);
                } else {
                    self.circuit.complete(ticket);
                    self.model.cuts *= u32::from(expected.0 != self.model.generation);
                }
            }
            Step::Settle(..) | Step::End(..) => {}
            Step::Pass(millis) => advance(Duration::from_millis(millis)).await,
            Step::PassRecovery => advance(self.circuit.standing().2.unwrap_or_default()).await,
            Step::EarlyProbe => {
                self.circuit.early_probe();
                if self.model.state == State::Open {
                    self.model.enter(State::HalfOpen);
                }
            }
            Step::Reset => {
                self.circuit.reset();
                self.model.trips = 0;
                self.model.enter(State::Closed);
            }
        }
    }

    /// The two agree; how long it stays open is chance, so the model is told once that is within its limits.
    fn compare(&mut self, was: u32) {
        let (state, _, reopens_in) = self.circuit.standing();
        assert_eq!(state, self.model.state);
        if let (Some(pause), true) = (reopens_in, self.model.generation != was) {
            let expected = (60.0 * f64::from(1_u32 << (self.model.trips - 1).min(20))).min(600.0);
            let seconds = pause.as_secs_f64();
            assert!(seconds >= expected * 0.8 && seconds <= (expected * 1.2).max(200.0), "{seconds} of {expected}");
            self.model.until = Instant::now() + pause;
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_the_model(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut pair =
                Pair { circuit: circuit(), model: Model::new(), running: Vec::new(), answering: Vec::new() };
            for step in steps {
                let was = pair.model.generation;
                pair.take(step).await;
                pair.compare(was);
            }
        });
    }
}
