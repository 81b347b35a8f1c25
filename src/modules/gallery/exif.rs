//! What a picture says of itself besides its pixels: when it was taken, which way is up, how large it is. And the same picture
//! without what it says of where that was.
//!
//! Nothing is decoded, and nothing but metadata is read into memory. What is taken out is written over with as many bytes, so
//! everything else stays where it is: a copy is the file with a few places written over. What may say where a picture was taken is
//! left out as a whole, since its makers hide positions in many places; of EXIF a new one stays, with the date and the orientation.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::ops::Range;

use flate2::Crc;
use jiff::civil::DateTime;

use super::boxes::places;
use super::kind::Kind;
use super::reading::{read, read_up_to};

/// Segments or chunks of one file.
pub const SEGMENTS_MAX: usize = 10_000;
/// As much of EXIF is read.
const EXIF_MAX_BYTES: u64 = 256 * 1024;
/// Profiles of colours, which are kept as long as they are no larger than any there is.
const PROFILE_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// What is read at once, where much is.
const PIECE_BYTES: usize = 64 * 1024;

/// What a picture says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// When it was taken, by the clock of the camera.
    pub taken: Option<DateTime>,
    /// Which way is up, from 1 to 8 as in EXIF; 1 is as it lies.
    pub orientation: u8,
    /// Width and height in pixels as they lie, whatever the orientation.
    pub size: Option<(u32, u32)>,
}

impl Facts {
    /// Width and height as people see it, the right way up.
    #[must_use]
    pub fn shown_size(&self) -> Option<(u32, u32)> {
        self.size.map(|(width, height)| if self.orientation >= 5 { (height, width) } else { (width, height) })
    }
}

/// Bytes that a copy has in place of others.
#[derive(Debug, PartialEq, Eq)]
struct Patch {
    range: Range<u64>,
    /// What stands there instead; the rest of it is zeros.
    bytes: Vec<u8>,
}

/// What was found in a file.
#[derive(Debug)]
pub struct Look {
    /// What it says of itself.
    pub facts: Facts,
    /// Whether it may say where it was taken, so that only a [copy](Self::copy) is fit to be served.
    pub is_private: bool,
    patches: Vec<Patch>,
    /// Where the picture ends: what stands behind it is not served. Cameras put further pictures and whole films there.
    end: u64,
}

impl Look {
    /// Looks at a file of this kind. One that is damaged says less; of kinds that are not known here nothing is said.
    ///
    /// # Errors
    /// When it cannot be read, and [`ErrorKind::InvalidData`] when it has more than [`SEGMENTS_MAX`].
    pub fn at(kind: &Kind, file: &File) -> io::Result<Self> {
        let end = file.metadata()?.len();
        let facts = Facts { taken: None, orientation: 1, size: None };
        let mut look = Self { facts, is_private: false, patches: Vec::new(), end };
        match kind.mime {
            "image/jpeg" => look.jpeg(file)?,
            "image/png" => look.png(file)?,
            "image/webp" => look.webp(file)?,
            "image/gif" => {
                let size =
                    read::<4>(file, 6)?.map(|[a, b, c, d]| (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])));
                look.facts.size = size.map(|(width, height)| (width.into(), height.into()));
            }
            "image/heic" | "image/heif" | "image/avif" => {
                let found = places(file, end)?;
                look.facts.size = found.size;
                found.others.into_iter().for_each(|range| look.blank(range));
                for range in found.exif {
                    look.exif(file, range)?;
                }
                // Which way is up is said elsewhere in these, and EXIF does not count.
                look.facts.orientation = 1;
            }
            mime if mime.starts_with("video/") => {
                for content in places(file, end)?.boxes {
                    let name = Patch { range: content.start - 4..content.start, bytes: b"free".to_vec() };
                    look.patches.push(name);
                    look.blank(content);
                }
            }
            _ => {}
        }
        look.put_in_order();
        look.is_private |= look.end < end;
        Ok(look)
    }

    /// Writes the picture without what it may say of where it was taken.
    ///
    /// # Errors
    /// When that cannot be read or written.
    pub fn copy(&self, file: &File, to: &mut impl Write) -> io::Result<()> {
        let mut at = 0;
        for patch in &self.patches {
            copy(file, at..patch.range.start, to)?;
            to.write_all(&patch.bytes)?;
            let mut zeros = patch.range.end - patch.range.start - patch.bytes.len() as u64;
            while zeros > 0 {
                let some = zeros.min(PIECE_BYTES as u64);
                to.write_all(&[0; PIECE_BYTES][..some as usize])?;
                zeros -= some;
            }
            at = patch.range.end;
        }
        copy(file, at..self.end, to)
    }

    /// Has no two patches write over the same, and none over more than there is: a damaged file may say that they do.
    fn put_in_order(&mut self) {
        self.patches.sort_by_key(|patch| patch.range.start);
        let mut at = 0;
        for patch in &mut self.patches {
            let range = patch.range.start.max(at)..patch.range.end.min(self.end);
            if range != patch.range {
                *patch = Patch {
                    range: range.start.min(self.end)..range.end.max(range.start.min(self.end)),
                    bytes: Vec::new(),
                };
            }
            at = patch.range.end;
        }
    }

    /// One more segment.
    fn count(&self, segments: &mut usize) -> io::Result<()> {
        *segments += 1;
        if *segments > SEGMENTS_MAX {
            let message = format!("The picture has more than {SEGMENTS_MAX} segments");
            return Err(io::Error::new(ErrorKind::InvalidData, message));
        }
        Ok(())
    }

    fn jpeg(&mut self, file: &File) -> io::Result<()> {
        let (mut at, mut segments, mut profiles, mut has_exif) = (2, 0, 0, false);
        while let Some((found, marker)) = next_marker(file, at)? {
            self.count(&mut segments)?;
            at = found + 2;
            match marker {
                0xd9 => {
                    self.end = at;
                    break;
                }
                0x01 | 0xd8 => continue,
                _ => {}
            }
            let Some(length) = read::<2>(file, at)?.map(u16::from_be_bytes) else { break };
            let end = (at + u64::from(length)).min(self.end);
            let content = (at + 2).min(end)..end;
            if length < 2 {
                continue;
            }
            match marker {
                0xc0..=0xcf if ![0xc4, 0xc8, 0xcc].contains(&marker) => {
                    if let (None, Some([a, b, c, d])) = (self.facts.size, read(file, content.start + 1)?) {
                        self.facts.size = Some((u16::from_be_bytes([c, d]).into(), u16::from_be_bytes([a, b]).into()));
                    }
                }
                0xe1 if !has_exif && length >= 8 && read(file, content.start)? == Some(*b"Exif\0\0") => {
                    has_exif = true;
                    self.exif(file, (content.start + 6).min(content.end)..content.end)?;
                }
                0xe2 if profiles < PROFILE_MAX_BYTES && read(file, content.start)? == Some(*b"ICC_PROFILE\0") => {
                    profiles += u64::from(length);
                }
                // What colours are made of without a profile.
                0xe0 | 0xee => {}
                0xe1..=0xef => self.blank(content),
                _ => {}
            }
            at = end;
        }
        Ok(())
    }

    fn png(&mut self, file: &File) -> io::Result<()> {
        let (mut at, mut segments) = (8, 0);
        while let Some([a, b, c, d, name @ ..]) = read::<8>(file, at)? {
            self.count(&mut segments)?;
            let content = at + 8..at + 8 + u64::from(u32::from_be_bytes([a, b, c, d]));
            let end = content.end + 4;
            if end > self.end {
                break;
            }
            match &name {
                b"IHDR" => {
                    let size = read::<8>(file, content.start)?;
                    self.facts.size = size.map(|[a, b, c, d, e, f, g, h]| {
                        (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
                    });
                }
                b"eXIf" => {
                    self.exif(file, content.clone())?;
                    self.checksum(name, &content);
                }
                b"tEXt" | b"zTXt" | b"iTXt" if is_metadata(&read_up_to(file, content.start..content.end, 20)?) => {
                    // As a chunk of ours that nobody has to understand, since a text has to have a keyword.
                    let name = *b"inKr";
                    self.patches.push(Patch { range: at + 4..at + 8, bytes: name.to_vec() });
                    self.blank(content.clone());
                    self.checksum(name, &content);
                }
                b"IEND" => {
                    self.end = end;
                    break;
                }
                _ => {}
            }
            at = end;
        }
        Ok(())
    }

    /// The checksum of a PNG's chunk whose content was written over.
    fn checksum(&mut self, name: [u8; 4], content: &Range<u64>) {
        let mut crc = Crc::new();
        crc.update(&name);
        let bytes = self.patches.last().filter(|patch| patch.range == *content).map_or(&[][..], |patch| &patch.bytes);
        crc.update(bytes);
        let mut zeros = content.end - content.start - bytes.len() as u64;
        while zeros > 0 {
            let some = zeros.min(PIECE_BYTES as u64);
            crc.update(&[0; PIECE_BYTES][..some as usize]);
            zeros -= some;
        }
        let range = content.end..content.end + 4;
        self.patches.push(Patch { range, bytes: crc.sum().to_be_bytes().to_vec() });
    }

    fn webp(&mut self, file: &File) -> io::Result<()> {
        let Some(length) = read::<4>(file, 4)?.map(u32::from_le_bytes) else { return Ok(()) };
        self.end = self.end.min(8 + u64::from(length));
        let (mut at, mut segments) = (12, 0);
        while let Some([name @ .., a, b, c, d]) = read::<8>(file, at)? {
            self.count(&mut segments)?;
            let length = u64::from(u32::from_le_bytes([a, b, c, d]));
            let content = at + 8..at + 8 + length;
            if content.end > self.end {
                break;
            }
            match &name {
                b"VP8X" => {
                    let size = read::<6>(file, content.start + 4)?;
                    let side = |bytes: [u8; 3]| 1 + u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
                    self.facts.size = size.map(|[a, b, c, d, e, f]| (side([a, b, c]), side([d, e, f])));
                }
                b"VP8 " if self.facts.size.is_none() => {
                    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
                    self.facts.size = read(file, content.start + 6)?.map(|[a, b, c, d]| (side(a, b), side(c, d)));
                }
                b"VP8L" if self.facts.size.is_none() => {
                    let bits = read(file, content.start + 1)?.map(u32::from_le_bytes);
                    self.facts.size = bits.map(|bits| (1 + (bits & 0x3fff), 1 + (bits >> 14 & 0x3fff)));
                }
                b"EXIF" => {
                    // Some write the head of a JPEG's segment before it.
                    let lead = if read(file, content.start)? == Some(*b"Exif\0\0") { 6 } else { 0 };
                    self.exif(file, (content.start + lead).min(content.end)..content.end)?;
                }
                b"XMP " => self.blank(content.clone()),
                _ => {}
            }
            at = content.end + length % 2;
        }
        Ok(())
    }

    /// Reads EXIF, and puts a small one in its place.
    fn exif(&mut self, file: &File, content: Range<u64>) -> io::Result<()> {
        let bytes = read_up_to(file, content.clone(), EXIF_MAX_BYTES)?;
        let Some(found) = Exif::of(&bytes) else {
            self.blank(content);
            return Ok(());
        };
        if self.facts.taken.is_none() {
            self.facts.taken = found.taken;
        }
        self.facts.orientation = found.orientation;
        self.is_private |= found.has_position;
        let bytes = found.written((content.end - content.start) as usize);
        self.patches.push(Patch { range: content, bytes });
        Ok(())
    }

    /// Leaves something out of the copy.
    fn blank(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.is_private = true;
            self.patches.push(Patch { range, bytes: Vec::new() });
        }
    }
}

/// Whether a PNG's text is metadata of other formats: XMP, or EXIF as ImageMagick writes it.
fn is_metadata(text: &[u8]) -> bool {
    text.starts_with(b"XML:com.adobe.xmp") || text.starts_with(b"Raw profile type")
}

fn copy(file: &File, range: Range<u64>, to: &mut impl Write) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let bytes = read_up_to(file, at..range.end, PIECE_BYTES as u64)?;
        if bytes.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        to.write_all(&bytes)?;
        at += bytes.len() as u64;
    }
    Ok(())
}

/// Where the next marker of a JPEG stands, and which it is: `FF` and something that is neither more of it nor a part of the
/// picture.
fn next_marker(file: &File, mut at: u64) -> io::Result<Option<(u64, u8)>> {
    // Most stand right where the one before ends.
    if let Some([0xff, marker]) = read(file, at)?
        && !matches!(marker, 0 | 0xff | 0xd0..=0xd7)
    {
        return Ok(Some((at, marker)));
    }
    loop {
        let bytes = read_up_to(file, at..u64::MAX, PIECE_BYTES as u64)?;
        if bytes.len() < 2 {
            return Ok(None);
        }
        for found in memchr::memchr_iter(0xff, &bytes[..bytes.len() - 1]) {
            let marker = bytes[found + 1];
            if !matches!(marker, 0 | 0xff | 0xd0..=0xd7) {
                return Ok(Some((at + found as u64, marker)));
            }
        }
        // The last byte may be the beginning of one.
        at += bytes.len() as u64 - 1;
    }
}

/// What is read of EXIF.
#[derive(Debug, PartialEq, Eq)]
struct Exif {
    taken: Option<DateTime>,
    orientation: u8,
    has_position: bool,
}

/// TIFF with its order of bytes.
struct Tiff<'a> {
    bytes: &'a [u8],
    is_little: bool,
}

/// An entry of a directory: tag, type, count, and the value or where it is.
struct Entry {
    tag: u16,
    count: u32,
    value: usize,
    /// Where the value's own four bytes stand.
    at: usize,
}

impl Tiff<'_> {
    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    /// The entries of a directory. There are no more of them than two bytes say, and none beyond the end.
    fn directory(&self, at: usize) -> Option<Vec<Entry>> {
        let count = usize::from(self.u16(at)?);
        (0..count)
            .map(|number| {
                let at = at + 2 + number * 12;
                let (count, value) = (self.u32(at + 4)?, self.u32(at + 8)? as usize);
                Some(Entry { tag: self.u16(at)?, count, value, at: at + 8 })
            })
            .collect()
    }

    /// `2026:11:21 07:31:26`.
    fn date(&self, entry: &Entry) -> Option<DateTime> {
        let text = self.bytes.get(entry.value..entry.value.checked_add(19)?).filter(|_| entry.count >= 19)?;
        let number = |range: Range<usize>| -> Option<i16> {
            let digits = std::str::from_utf8(&text[range]).ok()?;
            digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let part = |from: usize| i8::try_from(number(from..from + 2)?).ok();
        DateTime::new(number(0..4)?, part(5)?, part(8)?, part(11)?, part(14)?, part(17)?, 0)
            .ok()
            .filter(|date| date.year() > 0)
    }
}

impl Exif {
    /// Reads it; none if it is damaged.
    fn of(bytes: &[u8]) -> Option<Self> {
        let is_little = match bytes.get(..4)? {
            b"II*\0" => true,
            b"MM\0*" => false,
            _ => return None,
        };
        let tiff = Tiff { bytes, is_little };
        let mut found = Self { taken: None, orientation: 1, has_position: false };
        let mut dates = [None; 3];
        for entry in tiff.directory(tiff.u32(4)? as usize)? {
            match entry.tag {
                0x0112 => found.orientation = tiff.u16(entry.at).filter(|way| (1..=8).contains(way)).unwrap_or(1) as u8,
                0x0132 => dates[2] = tiff.date(&entry),
                0x8825 => found.has_position = true,
                0x8769 => {
                    for entry in tiff.directory(entry.value)? {
                        match entry.tag {
                            0x9003 => dates[0] = tiff.date(&entry),
                            0x9004 => dates[1] = tiff.date(&entry),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        found.taken = dates.into_iter().flatten().next();
        Some(found)
    }

    /// The same in as few bytes as can be, without the position; nothing if there is no room for it.
    fn written(&self, room: usize) -> Vec<u8> {
        let mut out = b"MM\0*\0\0\0\x08".to_vec();
        let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
            [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), &value].concat()
        };
        let date = self.taken.filter(|_| room >= 76);
        out.extend(if date.is_some() { [0, 2] } else { [0, 1] });
        out.extend(entry(0x0112, 3, 1, [0, self.orientation, 0, 0]));
        if let Some(date) = date {
            out.extend(entry(0x8769, 4, 1, 38_u32.to_be_bytes()));
            out.extend([0; 4]);
            out.extend([0, 1]);
            out.extend(entry(0x9003, 2, 20, 56_u32.to_be_bytes()));
            out.extend([0; 4]);
            out.extend(date.strftime("%Y:%m:%d %H:%M:%S\0").to_string().bytes());
        } else {
            out.extend([0; 4]);
        }
        if out.len() <= room { out } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {

    use jiff::civil::datetime;
    use proptest::prelude::*;

    use super::super::boxes::tests::{a_box, heic};
    use super::super::reading::tests::file;
    use super::*;

    fn look(mime: &str, bytes: &[u8]) -> Look {
        Look::at(Kind::named(mime), &file(bytes)).unwrap()
    }

    fn copied(mime: &str, bytes: &[u8]) -> Vec<u8> {
        let (file, mut out) = (file(bytes), Vec::new());
        Look::at(Kind::named(mime), &file).unwrap().copy(&file, &mut out).unwrap();
        out
    }

    /// EXIF as a camera writes it, in little-endian, with a position.
    fn exif(with_position: bool) -> Vec<u8> {
        let entry = |tag: u16, kind: u16, count: u32, value: u32| {
            [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat()
        };
        let mut out = b"II*\0\x08\0\0\0".to_vec();
        out.extend([4, 0]);
        out.extend(entry(0x010f, 2, 8, 100));
        out.extend(entry(0x0112, 3, 1, 6));
        out.extend(entry(0x8769, 4, 1, 120));
        out.extend(if with_position { entry(0x8825, 4, 1, 180) } else { entry(0x8826, 4, 1, 180) });
        out.resize(100, 0);
        out.extend(b"Camera!\0");
        out.resize(120, 0);
        out.extend([1, 0]);
        out.extend(entry(0x9003, 2, 20, 150));
        out.resize(150, 0);
        out.extend(b"2026:11:21 07:31:26\0");
        out.resize(180, 0);
        out.extend(b"\x01\0\x02\0\x05\0\x03\0\0\0 50.450100 LATITUDE");
        out
    }

    fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
        [&[0xff, marker][..], &(content.len() as u16 + 2).to_be_bytes(), content].concat()
    }

    fn jpeg(with_position: bool, before: &[Vec<u8>], behind: &[u8]) -> Vec<u8> {
        let mut out = vec![0xff, 0xd8];
        out.extend(segment(0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"));
        out.extend(segment(0xe1, &[b"Exif\0\0", &exif(with_position)[..]].concat()));
        before.iter().for_each(|segment| out.extend(segment));
        out.extend(segment(0xc0, b"\x08\x0b\xd0\x0f\xc0\x03"));
        out.extend(segment(0xda, b"\x01\x01\0\0\x3f\0"));
        out.extend(b"pixels \xff\0 \xff\xd0 \xff\xff\0 pixels");
        out.extend(segment(0xda, b"\x01\x01\0\0\x3f\0"));
        out.extend(b"more\xff\xd9");
        out.extend(behind);
        out
    }

    const TAKEN: DateTime = datetime(2026, 11, 21, 7, 31, 26, 0);

    fn facts(size: (u32, u32)) -> Facts {
        Facts { taken: Some(TAKEN), orientation: 6, size: Some(size) }
    }

    fn holds(bytes: &[u8], word: &str) -> bool {
        memchr::memmem::find(bytes, word.as_bytes()).is_some()
    }

    #[test]
    fn a_jpeg_is_served_without_its_position() {
        let before = [
            segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0<x exif:GPSLatitude='50'/>"),
            segment(0xe1, &[b"Exif\0\0", &exif(true)[..]].concat()),
            segment(0xed, b"Photoshop 3.0\08BIM City of LATITUDE"),
            segment(0xe2, b"ICC_PROFILE\0\x01\x01colours"),
            segment(0xe2, b"MPF\0LATITUDE"),
            segment(0xfe, b"a comment"),
        ];
        let bytes = jpeg(true, &before, b"\xff\xd8 a film LATITUDE");
        let found = look("image/jpeg", &bytes);
        assert_eq!(found.facts, facts((4032, 3024)));
        assert!(found.is_private);
        let out = copied("image/jpeg", &bytes);
        for gone in ["LATITUDE", "GPS", "Camera", "a film", "Photoshop"] {
            assert!(holds(&bytes, gone) && !holds(&out, gone), "{gone}");
        }
        for kept in ["colours", "a comment", "JFIF", "pixels", "more"] {
            assert!(holds(&out, kept), "{kept}");
        }
        assert!(out.ends_with(b"more\xff\xd9"));
        let again = look("image/jpeg", &out);
        assert_eq!(again.facts, facts((4032, 3024)));
        // Byte for byte the same but for what was written over.
        assert_eq!(out.len(), memchr::memmem::find(&bytes, b"\xff\xd8 a film").unwrap());
        let scan = memchr::memmem::find(&bytes, b"\xff\xc0").unwrap();
        assert_eq!(out[scan..], bytes[scan..out.len()]);
    }

    #[test]
    fn a_jpeg_without_a_position_is_served_as_it_is() {
        let found = look("image/jpeg", &jpeg(false, &[], b""));
        assert_eq!((found.facts, found.is_private), (facts((4032, 3024)), false));
        // What is damaged could say anything.
        let damaged = [&[0xff, 0xd8][..], &segment(0xe1, b"Exif\0\0II*\0\xff\xff\xff\xff LATITUDE")].concat();
        assert!(look("image/jpeg", &damaged).is_private);
        assert!(!holds(&copied("image/jpeg", &damaged), "LATITUDE"));
    }

    #[test]
    fn a_png_is_served_without_its_position_and_stays_one() {
        let chunk = |name: &[u8; 4], content: &[u8]| {
            let mut crc = Crc::new();
            crc.update(name);
            crc.update(content);
            [&(content.len() as u32).to_be_bytes()[..], name, content, &crc.sum().to_be_bytes()].concat()
        };
        let head = chunk(b"IHDR", &[0, 0, 0, 40, 0, 0, 0, 30, 8, 2, 0, 0, 0]);
        let bytes = [
            b"\x89PNG\r\n\x1a\n".to_vec(),
            head,
            chunk(b"eXIf", &exif(true)),
            chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0 LATITUDE"),
            chunk(b"tEXt", b"Comment\0kept"),
            chunk(b"IDAT", b"pixels"),
            chunk(b"IEND", b""),
            b"LATITUDE".to_vec(),
        ]
        .concat();
        let found = look("image/png", &bytes);
        assert_eq!((found.facts, found.is_private), (facts((40, 30)), true));
        let out = copied("image/png", &bytes);
        assert_eq!(out.len(), bytes.len() - 8);
        assert!(!holds(&out, "LATITUDE") && holds(&out, "kept") && holds(&out, "pixels"));
        // Every checksum holds.
        let mut at = 8;
        while at < out.len() {
            let length = u32::from_be_bytes(*out[at..].first_chunk().unwrap()) as usize;
            let mut crc = Crc::new();
            crc.update(&out[at + 4..at + 8 + length]);
            assert_eq!(out[at + 8 + length..at + 12 + length], crc.sum().to_be_bytes());
            at += 12 + length;
        }
        assert_eq!(look("image/png", &out).facts, facts((40, 30)));
    }

    #[test]
    fn a_webp_is_served_without_its_position() {
        let chunk = |name: &[u8; 4], content: &[u8]| {
            let pad = vec![0; content.len() % 2];
            [&name[..], &(content.len() as u32).to_le_bytes(), content, &pad].concat()
        };
        for lead in [&b""[..], b"Exif\0\0"] {
            let chunks = [
                chunk(b"VP8X", &[8, 0, 0, 0, 39, 0, 0, 29, 0, 0]),
                chunk(b"VP8L", b"\x2fpixels"),
                chunk(b"EXIF", &[lead, &exif(true)].concat()),
                chunk(b"XMP ", b"<x LATITUDE>"),
            ]
            .concat();
            let size = (chunks.len() as u32 + 4).to_le_bytes();
            let bytes = [&b"RIFF"[..], &size, b"WEBP", &chunks, b"LATITUDE"].concat();
            let found = look("image/webp", &bytes);
            assert_eq!((found.facts, found.is_private), (facts((40, 30)), true));
            let out = copied("image/webp", &bytes);
            assert_eq!(out.len(), bytes.len() - 8);
            assert!(!holds(&out, "LATITUDE") && holds(&out, "pixels"));
            assert_eq!(look("image/webp", &out).facts, facts((40, 30)));
        }
    }

    #[test]
    fn a_heic_is_served_without_its_position() {
        let bytes = heic(&exif(true), b"<x LATITUDE>");
        let found = look("image/heic", &bytes);
        let expected = Facts { taken: Some(TAKEN), orientation: 1, size: Some((3024, 4032)) };
        assert_eq!((found.facts, found.is_private), (expected, true));
        let out = copied("image/heic", &bytes);
        assert_eq!(out.len(), bytes.len());
        assert!(!holds(&out, "LATITUDE") && holds(&out, "pixels"));
        assert_eq!(look("image/heic", &out).facts, expected);
    }

    #[test]
    fn a_film_is_served_without_its_position() {
        let place = a_box(b"udta", &a_box(b"\xa9xyz", b"+50.45+030.52/"));
        let film = |udta: &[u8]| [a_box(b"ftyp", b"isom"), a_box(b"moov", udta), a_box(b"mdat", b"pixels")].concat();
        let bytes = film(&place);
        assert!(look("video/mp4", &bytes).is_private);
        let out = copied("video/mp4", &bytes);
        assert_eq!(out, film(&a_box(b"free", &vec![0; place.len() - 8])));
        assert!(!look("video/mp4", &out).is_private && !look("video/webm", b"\x1a\x45\xdf\xa3").is_private);
    }

    #[test]
    fn patches_that_overlap_are_put_in_order() {
        let facts = Facts { taken: None, orientation: 1, size: None };
        let patch = |range, bytes: &[u8]| Patch { range, bytes: bytes.to_vec() };
        let patches =
            vec![patch(8..20, b""), patch(2..4, b"ab"), patch(3..6, b"cd"), patch(30..40, b""), patch(4..5, b"")];
        let mut look = Look { facts, is_private: true, patches, end: 10 };
        look.put_in_order();
        let mut out = Vec::new();
        look.copy(&file(b"0123456789"), &mut out).unwrap();
        assert_eq!(out, b"01ab\x00\x0067\0\0");
    }

    #[test]
    fn sizes_are_read_without_decoding() {
        let plain = |mime: &str, bytes: &[u8]| look(mime, bytes).facts.size;
        assert_eq!(plain("image/gif", b"GIF89a\x40\x01\xf0\0"), Some((320, 240)));
        let lossy = b"RIFF\xff\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\x40\x01\xf0\0";
        assert_eq!(plain("image/webp", lossy), Some((320, 240)));
        let lossless = b"RIFF\xff\0\0\0WEBPVP8L\x06\0\0\0\x2f\x3f\xc1\x3b\0\0";
        assert_eq!(plain("image/webp", lossless), Some((320, 240)));
        assert_eq!(plain("image/gif", b"GIF89a\x40"), None);
        assert_eq!(plain("video/mp4", b""), None);
    }

    #[test]
    fn dates_that_are_none_are_none() {
        for text in ["0000:00:00 00:00:00\0", "2026:13:01 00:00:00\0", "    :  :     :  :  \0", "2026-1+:01 00:00:00\0"]
        {
            let mut bytes = exif(true);
            bytes[150..170].copy_from_slice(text.as_bytes());
            assert_eq!(Exif::of(&bytes).unwrap().taken, None, "{text}");
        }
    }

    #[test]
    fn what_stays_of_exif_fits_where_it_was() {
        let found = Exif { taken: Some(TAKEN), orientation: 8, has_position: true };
        for room in 0..100 {
            let bytes = found.written(room);
            assert!(bytes.len() <= room);
            let again = Exif::of(&bytes);
            let taken = (room >= 76).then_some(TAKEN);
            let stays = Exif { taken, orientation: 8, has_position: false };
            assert_eq!(again, (room >= 26).then_some(stays), "{room}");
        }
    }

    #[test]
    fn segments_without_end_are_refused() {
        let bytes = [&[0xff, 0xd8][..], &segment(0xfe, b"").repeat(SEGMENTS_MAX + 1)].concat();
        let error = Look::at(Kind::named("image/jpeg"), &file(&bytes)).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::InvalidData, "The picture has more than 10000 segments")
        );
        assert!(Look::at(Kind::named("image/jpeg"), &file(&bytes[..bytes.len() - 4])).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is damaged, a copy comes out that is no longer and says no more.
        #[test]
        fn a_damaged_file_is_looked_at_and_copied(
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
            cut in any::<prop::sample::Index>(),
            mime in prop_oneof![
                Just("image/jpeg"), Just("image/png"), Just("image/webp"), Just("image/gif"), Just("image/heic"),
            ],
        ) {
            let mut bytes = jpeg(true, &[], b"");
            if mime == "image/png" {
                bytes = [&b"\x89PNG\r\n\x1a\n\0\0\0\x22eXIf"[..], &exif(true), b"\0\0\0\x10IHDR", &[0; 60]].concat();
            } else if mime == "image/heic" {
                bytes = heic(&exif(true), b"<x/>");
            } else if mime == "image/webp" {
                bytes = [&b"RIFF\xff\0\0\0WEBPEXIF\xd0\0\0\0"[..], &exif(true), b"VP8X\x0a\0\0\0", &[0; 60]].concat();
            }
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(cut.index(bytes.len()) + 1);
            prop_assert!(copied(mime, &bytes).len() <= bytes.len());
        }
    }
}
