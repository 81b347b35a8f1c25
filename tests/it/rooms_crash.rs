//! Killed at any instant, the server has every update of a room whose echo its sender was given (G1, contract 03 §4.5).
//!
//! Each round: writers in shared rooms, each with updates under way, SIGKILL after a random number of echoes, a restart, and a
//! look at what is there. `INKRING_CRASH_ROUNDS` is how many rounds, `INKRING_TEST_SEED` repeats the choices of an earlier run.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use yrs::updates::decoder::Decode;
use yrs::{Doc, GetString as _, Transact as _, Update};

use crate::support::random::Random;
use crate::support::socket::{BINARY, Frame, Sent};
use crate::support::yjs::{Peer, sync, typed};
use crate::support::{Server, wait_for};

const ROUNDS: u64 = 10;
const ROOMS: u64 = 4;
const WRITERS_PER_ROOM: u64 = 2;
/// Updates of one writer whose echo has not come.
const UNDER_WAY: usize = 5;
/// Echoes after which a round's server is killed, at most.
const ECHOES_MAX: usize = 400;
/// Far below what any disk does.
const UPDATES_PER_SECOND_MIN: f64 = 200.0;

#[test]
fn what_was_echoed_survives_kill_9_at_any_instant() {
    let rounds = std::env::var("INKRING_CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut random = Random::seeded();
    let mut server = Server::start();
    // What of each writer was echoed, and how long that took in all.
    let (mut written, mut seconds) = (Vec::new(), 0.0);
    for round in 0..rounds {
        let echoes = AtomicUsize::new(0);
        let enough = 1 + random.below(ECHOES_MAX);
        let mut writers: Vec<Writer> = (0..ROOMS * WRITERS_PER_ROOM)
            .map(|writer| Writer::enter(&server, writer % ROOMS, 1 + round * ROOMS * WRITERS_PER_ROOM + writer))
            .collect();
        let begun = Instant::now();
        thread::scope(|scope| {
            for writer in &mut writers {
                scope.spawn(|| writer.write(&echoes));
            }
            wait_for(|| (echoes.load(Ordering::Relaxed) >= enough).then_some(()));
            seconds += begun.elapsed().as_secs_f64();
            server.kill();
        });
        written.extend(writers.iter().map(|writer| (writer.room, writer.client, writer.echoed)));
        server.launch();
        for room in 0..ROOMS {
            let text = text(&server, room);
            let words: HashSet<&str> = text.split_inclusive('>').collect();
            for (_, client, echoed) in written.iter().filter(|(of, ..)| *of == room) {
                for number in 0..*echoed {
                    assert!(
                        words.contains(&*word(*client, number)),
                        "round {round}: {client} was told that {number} is kept"
                    );
                }
            }
        }
    }
    let echoed: u64 = written.iter().map(|(.., echoed)| *echoed).sum();
    assert!(echoed as f64 / seconds > UPDATES_PER_SECOND_MIN, "{echoed} updates in {seconds} s");
}

/// A client with some updates under way.
struct Writer {
    peer: Peer,
    room: u64,
    client: u64,
    /// Its updates that it was given back.
    echoed: u64,
}

impl Writer {
    fn enter(server: &Server, room: u64, client: u64) -> Self {
        Self { peer: Peer::enter(server, &format!("/rooms/{room}")), room, client, echoed: 0 }
    }

    /// Writes until the server is gone.
    fn write(&mut self, echoes: &AtomicUsize) {
        let (mut number, mut clock) = (0, 0);
        let mut under_way = VecDeque::new();
        loop {
            while under_way.len() < UNDER_WAY {
                let word = word(self.client, number);
                let message = sync(2, &typed(self.client, clock, &word));
                number += 1;
                clock += word.len() as u64;
                if !self.peer.socket.try_send(&Sent::new(BINARY, &message)) {
                    break;
                }
                under_way.push_back(message);
            }
            match self.peer.socket.next() {
                Frame::Binary(bytes) if under_way.front() == Some(&bytes) => {
                    under_way.pop_front();
                    self.echoed += 1;
                    echoes.fetch_add(1, Ordering::Relaxed);
                }
                Frame::Binary(_) => {}
                end if end.is_end() => return,
                other => panic!("{other:?}"),
            }
        }
    }
}

/// What a writer writes with one update.
fn word(client: u64, number: u64) -> String {
    format!("<{client}.{number}>")
}

/// What a room says to somebody who comes.
fn text(server: &Server, room: u64) -> String {
    let update = Peer::enter(server, &format!("/rooms/{room}")).document();
    let doc = Doc::new();
    let text = doc.get_or_insert_text("t");
    doc.transact_mut().apply_update(Update::decode_v1(&update).unwrap()).unwrap();

    text.get_string(&doc.transact())
}
