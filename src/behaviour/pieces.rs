//! Reads a file of events line by line, plain or compressed, in memory that does not depend on the file.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;
use memchr::memchr;

use super::line::LINE_MAX_BYTES;

/// What is read of a file at once; a line that is longer than [`LINE_MAX_BYTES`] comes in pieces of this size.
const BUFFER_BYTES: usize = LINE_MAX_BYTES + 96 * 1024;
/// The same of one that is compressed.
const PACKED_BYTES: usize = 64 * 1024;

/// The lines of a file.
pub(super) struct Pieces<R> {
    from: R,
    buffer: Box<[u8]>,
    /// What was read and not given out.
    begin: usize,
    end: usize,
    /// Whether a line longer than the buffer is being given out.
    in_long_line: bool,
    is_over: bool,
}

/// A line, or a piece of one that is too long to be an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'b> {
    /// With the line feed, where there is one.
    pub(super) bytes: &'b [u8],
    /// Whether these bytes are a line from its beginning to its end.
    pub(super) is_line: bool,
}

impl Piece<'_> {
    /// Whether a line ends here. The last one of a file may lack its end.
    pub(super) fn ends(&self) -> bool {
        self.bytes.ends_with(b"\n")
    }
}

/// Opens what a file says, compressed or not.
pub(super) fn open(file: File, packed: bool) -> Pieces<Box<dyn Read>> {
    if packed {
        Pieces::of(Box::new(MultiGzDecoder::new(BufReader::with_capacity(PACKED_BYTES, file))))
    } else {
        Pieces::of(Box::new(file))
    }
}

impl<R: Read> Pieces<R> {
    /// Of these bytes.
    pub(super) fn of(from: R) -> Self {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Self { from, buffer, begin: 0, end: 0, in_long_line: false, is_over: false }
    }

    /// The next piece; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        loop {
            let found = memchr(b'\n', &self.buffer[self.begin..self.end]).map(|at| self.begin + at + 1);
            if let Some(end) = found {
                return Ok(Some(self.give(end, true)));
            }
            if self.is_over {
                let (end, has_more) = (self.end, self.begin < self.end);
                return Ok(has_more.then(|| self.give(end, true)));
            }
            if self.end - self.begin > LINE_MAX_BYTES {
                return Ok(Some(self.give(self.end, false)));
            }
            self.fill()?;
        }
    }

    fn give(&mut self, end: usize, ends: bool) -> Piece<'_> {
        let is_line = ends && !self.in_long_line;
        self.in_long_line = !ends;
        let bytes = &self.buffer[self.begin..end];
        self.begin = end;
        Piece { bytes, is_line }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.begin..self.end, 0);
        (self.end, self.begin) = (self.end - self.begin, 0);
        match self.from.read(&mut self.buffer[self.end..]) {
            Ok(0) => self.is_over = true,
            Ok(count) => self.end += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Slow<'b>(&'b [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(into.len()).min(self.0.len());
            into[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn pieces(bytes: &[u8], step: usize) -> Vec<(Vec<u8>, bool)> {
        let (mut pieces, mut found) = (Pieces::of(Slow(bytes, step)), Vec::new());
        while let Some(piece) = pieces.next().unwrap() {
            found.push((piece.bytes.to_vec(), piece.is_line));
        }
        found
    }

    #[test]
    fn lines_come_whole_and_what_is_too_long_for_one_in_pieces() {
        assert_eq!(pieces(b"", 1), []);
        let found = pieces(b"a\n\nbc\nd", 3);
        let found: Vec<(&[u8], bool)> = found.iter().map(|(bytes, is_line)| (&bytes[..], *is_line)).collect();
        assert_eq!(found, [(&b"a\n"[..], true), (b"\n", true), (b"bc\n", true), (b"d", true)]);
        let long = [b"first\n".to_vec(), vec![b'x'; 3 * LINE_MAX_BYTES], b"\nlast\n".to_vec()].concat();
        let found = pieces(&long, 50_000);
        assert_eq!(found.iter().filter(|(_, is_line)| *is_line).count(), 2);
        assert_eq!(found.iter().flat_map(|(bytes, _)| bytes.clone()).collect::<Vec<u8>>(), long, "nothing is left out");
    }
}
