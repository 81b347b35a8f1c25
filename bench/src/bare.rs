//! The bare loop: the least that a server can do to hand a frame to many sockets. What is posted is framed once and
//! written to each socket with one call; nothing is checked, kept, bounded or stored.

use std::io::{Read, Write};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use crate::options::Result;

const LISTENER: Token = Token(usize::MAX);
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
const PUBLISHED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

pub fn serve() -> Result<u64> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("bare loop on http://{}", listener.local_addr()?);
    let mut events = Events::with_capacity(1024);
    let mut streams: Slab<TcpStream> = Slab::new();
    let mut subscribers: Vec<usize> = Vec::new();
    let mut scratch = vec![0; 64 << 10];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let entry = streams.vacant_entry();
                    poll.registry().register(&mut stream, Token(entry.key()), Interest::READABLE)?;
                    entry.insert(stream);
                }
                continue;
            }
            let key = event.token().0;
            let Some(stream) = streams.get_mut(key) else { continue };
            let Some(count) = stream.read(&mut scratch).ok().filter(|count| *count > 0) else {
                streams.remove(key);
                subscribers.retain(|known| *known != key);
                continue;
            };
            // A request comes in one piece: it is small, and nothing else is under way on its connection.
            let request = &scratch[..count];
            if request.starts_with(b"GET ") {
                stream.write_all(SWITCHING)?;
                subscribers.push(key);
                continue;
            }
            let body = request.windows(4).position(|four| four == b"\r\n\r\n").ok_or("not a whole request")? + 4;
            let payload = &request[body..];
            let mut frame = vec![0x81, 126];
            frame.extend_from_slice(&u16::try_from(payload.len())?.to_be_bytes());
            frame.extend_from_slice(payload);
            // Who does not keep up is let go, which the other end will complain of.
            subscribers.retain(|key| {
                let stream = streams.get_mut(*key);
                let kept = stream.is_some_and(|stream| stream.write(&frame).is_ok_and(|count| count == frame.len()));
                if !kept {
                    streams.try_remove(*key);
                }
                kept
            });
            if let Some(stream) = streams.get_mut(key) {
                stream.write_all(PUBLISHED)?;
            }
        }
    }
}
