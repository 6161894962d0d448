//! What lies between the host and the service: requests, answers on their way, the clock, and the steps at which a host may die.

use defender_core::contract::Position;
use defender_core::http::{Method, Request, ResponseHead, TransportFailure, TransportFailureKind};
use defender_core::tick::{Now, Tick, Ticks};

use crate::body::{Body, Piece, failure};
use crate::clock::Clock;
use crate::coverage::{Coverage, Met};
use crate::random::Random;
use crate::service::{Reply, Service, is_of_page};
use crate::world::World;

/// What a run was told to do, beyond what its seed says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Orders {
    pub(crate) verbose: bool,
    /// Die at this step, once, and at no other.
    pub(crate) kill_at: Option<u64>,
    /// Never die.
    pub(crate) survive: bool,
}

/// Why a step did not go on.
#[derive(Debug)]
pub enum Stop {
    /// The host died.
    Died,
    /// What must not be.
    Violation(String),
}

impl From<String> for Stop {
    fn from(violation: String) -> Self {
        Self::Violation(violation)
    }
}

/// The line of one run to its service.
#[derive(Debug)]
pub struct Line<'a> {
    world: &'a World,
    orders: Orders,
    pub(crate) random: Random,
    pub(crate) clock: Clock,
    pub(crate) service: Service<'a>,
    pub(crate) met: Coverage,
    body: Option<Body>,
    /// Since when the answer is held, where it was not read to its end by one poll.
    held_since: Option<Tick>,
    /// Whether this poll has asked for anything.
    has_asked: bool,
    /// How far the local clock was ahead at each answer that could have shown it, in ticks.
    pub(crate) skews: Vec<Ticks>,
    pub(crate) steps: u64,
}

impl<'a> Line<'a> {
    pub(crate) fn new(world: &'a World, orders: Orders, limit: Option<u32>, met: Coverage) -> Self {
        Self {
            world,
            orders,
            random: Random::new(world.seed ^ 0x4057),
            clock: Clock::new(world.begins, world.jumps.clone()),
            service: Service::new(world, limit, orders.verbose),
            met,
            body: None,
            held_since: None,
            has_asked: false,
            skews: Vec::new(),
            steps: 0,
        }
    }

    pub(crate) fn verbose(&self) -> bool {
        self.orders.verbose
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.orders.verbose {
            println!("{} {}", self.clock.service, what());
        }
    }

    /// What the local clocks say.
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// One step that the host may not survive.
    ///
    /// # Errors
    ///
    /// The host died.
    pub fn step(&mut self) -> Result<(), Stop> {
        self.steps += 1;
        let dies = match self.orders {
            Orders { kill_at: Some(step), .. } => step == self.steps,
            Orders { survive: true, .. } => false,
            _ => {
                let rate = self.world.host.kill;
                rate > 0 && self.clock.service < self.world.quiet_from && self.random.below(10_000) < rate
            }
        };
        if dies { Err(Stop::Died) } else { Ok(()) }
    }

    /// Begins a poll.
    pub fn begin(&mut self) {
        self.has_asked = false;
        if self.holds_answer() {
            self.met.add(Met::HeldAnswer);
        }
    }

    /// Ends a poll; `keeps` tells whether the rest of the answer is wanted by the next one.
    pub fn end(&mut self, keeps: bool) {
        self.body = self.body.take().filter(|_| keeps);
        self.held_since = self.body.is_some().then_some(self.clock.service);
    }

    /// Whether a part of an answer has not been read.
    pub fn holds_answer(&self) -> bool {
        self.body.is_some()
    }

    pub(crate) fn has_asked(&self) -> bool {
        self.has_asked
    }

    pub(crate) fn hangs_up(&mut self) {
        self.body = None;
    }

    /// Sends a request, and drops the answer before it.
    ///
    /// # Errors
    ///
    /// The host died, or no such request may be sent.
    pub fn send(&mut self, request: &Request) -> Result<Result<ResponseHead, TransportFailure>, Stop> {
        let is_first = !self.has_asked && self.body.is_none();
        self.has_asked = true;
        self.body = None;
        self.held_since = None;
        self.say(|| format!("  > {}", request.url));
        if is_first && is_of_page(request) {
            self.met.add(Met::PageInLaterPoll);
        }
        let reply = self.service.answer(request, &mut self.clock, &mut self.met)?;
        self.step()?;
        Ok(match reply {
            Reply::Answer(head, body) => {
                self.say(|| format!("  < {} {:?}", head.status, head.headers));
                if let (Method::Get, 200 | 204 | 206, Some(date)) = (request.method, head.status, head.date()) {
                    self.skews.push(self.now().wall.0 - date.0);
                }
                self.body = Some(body);
                Ok(head)
            }
            Reply::Failed(failure) => {
                self.say(|| format!("  < {failure:?}"));
                Err(failure)
            }
        })
    }

    /// Reads on in the answer.
    ///
    /// # Errors
    ///
    /// The host died, or there is no answer.
    pub fn read(&mut self) -> Result<Piece, Stop> {
        let Some(body) = &mut self.body else {
            return Err("asked to read a body where there is none".to_owned().into());
        };
        let mut piece = body.next(&mut self.clock);
        if let Some(since) = self.held_since.take()
            && self.clock.service.0 - since.0 > self.world.service.patience
        {
            self.met.add(Met::HeldAnswerBroke);
            piece = Piece::Failed(failure(TransportFailureKind::Broken));
        }
        self.step()?;
        if let Piece::Failed(failure) = &piece {
            self.service.fails();
            self.say(|| format!("  < the body: {failure:?}"));
        }
        Ok(piece)
    }
}

/// A position in a line of text.
pub(crate) fn brief(position: &Position) -> String {
    match position {
        Position::Resume(None) => "the beginning".to_owned(),
        Position::Resume(Some(text)) => text.split(",\"keys\"").next().unwrap_or_default().to_owned(),
        Position::Range(since, until) => format!("the range {since} .. {until}"),
    }
}
