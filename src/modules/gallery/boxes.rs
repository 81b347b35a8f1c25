//! Where films and pictures of the family of MP4 (ISO 14496-12 and 23008-12) say where they were taken, and how large the
//! pictures are.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;

use super::reading::{read, read_up_to};

/// Boxes of one file.
pub(in crate::modules) const BOXES_MAX: usize = 10_000;
/// What is read of the box that describes a picture, and of one that may hold the position of a film.
const DESCRIPTION_MAX_BYTES: u64 = 1024 * 1024;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// EXIF, from the head of its TIFF on.
    pub(super) exif: Vec<Range<u64>>,
    /// Other metadata of a picture, or what hides EXIF.
    pub(super) others: Vec<Range<u64>>,
    /// Boxes of a film with a position in them. Their names stand in the last four bytes before.
    pub(super) boxes: Vec<Range<u64>>,
    /// Width and height of a picture as it is to be shown, in pixels.
    pub(super) size: Option<(u32, u32)>,
}

/// A box: its name, and where its content is.
struct Piece {
    name: [u8; 4],
    content: Range<u64>,
}

/// The box that begins here; none where there is no whole one.
fn piece(file: &File, range: &Range<u64>) -> io::Result<Option<Piece>> {
    let Some([a, b, c, d, name @ ..]) = read::<8>(file, range.start)? else { return Ok(None) };
    let (head, length) = match u32::from_be_bytes([a, b, c, d]) {
        0 => (8, range.end.saturating_sub(range.start)),
        1 => (16, read(file, range.start + 8)?.map_or(0, u64::from_be_bytes)),
        length => (8, length.into()),
    };
    let end = range.start.checked_add(length).filter(|end| length >= head && *end <= range.end);
    Ok(end.map(|end| Piece { name, content: range.start + head..end }))
}

/// Tells `each` the boxes of a part of a file.
fn pieces(
    file: &File,
    mut range: Range<u64>,
    count: &mut usize,
    each: &mut impl FnMut(Piece, &mut usize) -> io::Result<()>,
) -> io::Result<()> {
    while let Some(piece) = piece(file, &range)? {
        *count += 1;
        if *count > BOXES_MAX {
            return Err(io::Error::new(ErrorKind::InvalidData, format!("The file has more than {BOXES_MAX} boxes")));
        }
        range.start = piece.content.end;
        each(piece, count)?;
    }
    Ok(())
}

/// Looks for them in a file of so many bytes.
pub(super) fn places(file: &File, length: u64) -> io::Result<Places> {
    let mut found = Places::default();
    pieces(file, 0..length, &mut 0, &mut |piece, count| match &piece.name {
        b"meta" => picture(file, piece.content, &mut found),
        b"moov" => pieces(file, piece.content, count, &mut |piece, count| match &piece.name {
            b"trak" => pieces(file, piece.content, count, &mut |piece, _| film(file, piece, &mut found)),
            _ => film(file, piece, &mut found),
        }),
        _ => Ok(()),
    })?;
    Ok(found)
}

/// A part of a film's description.
fn film(file: &File, piece: Piece, found: &mut Places) -> io::Result<()> {
    if !matches!(&piece.name, b"udta" | b"meta") {
        return Ok(());
    }
    let bytes = read_up_to(file, piece.content.clone(), DESCRIPTION_MAX_BYTES)?;
    let is_whole = bytes.len() as u64 == piece.content.end - piece.content.start;
    // Of Android and QuickTime, of 3GPP, and of Apple's phones.
    let words: [&[u8]; 3] = [b"\xa9xyz", b"loci", b"location."];
    if !is_whole || words.iter().any(|word| memchr::memmem::find(&bytes, word).is_some()) {
        found.boxes.push(piece.content);
    }
    Ok(())
}

/// The description of a picture, which says what its items are and where.
fn picture(file: &File, content: Range<u64>, found: &mut Places) -> io::Result<()> {
    let (mut kinds, mut spots, mut data) = (Vec::new(), Vec::new(), 0);
    let (mut shown, mut properties, mut owned) = (None, Vec::new(), Vec::new());
    // Behind its version.
    pieces(file, content.start + 4..content.end, &mut 0, &mut |piece, _| {
        let bytes = |piece: &Piece| read_up_to(file, piece.content.clone(), DESCRIPTION_MAX_BYTES);
        match &piece.name {
            b"iinf" => kinds = items(&bytes(&piece)?),
            b"iloc" => spots = locations(&mut Bytes(&bytes(&piece)?)).unwrap_or_default(),
            b"idat" => data = piece.content.start,
            b"pitm" => shown = primary(&bytes(&piece)?),
            b"iprp" => pieces(file, piece.content, &mut 0, &mut |piece, count| {
                match &piece.name {
                    b"ipco" => pieces(file, piece.content, count, &mut |piece, _| {
                        properties.push(Property::of(file, &piece)?);
                        Ok(())
                    })?,
                    b"ipma" => owned.extend(associations(&bytes(&piece)?)),
                    _ => {}
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    let of_shown = owned.iter().filter(|(item, _)| Some(*item) == shown);
    found.size = size(of_shown.filter_map(|(_, number)| properties.get(number.checked_sub(1)?)));
    for (item, kind) in kinds {
        for spot in spots.iter().filter(|spot| spot.item == item) {
            let start = spot.range.start.saturating_add(if spot.is_in_data { data } else { 0 });
            let range = start..start.saturating_add(spot.range.end - spot.range.start);
            // Before EXIF stands how far its TIFF is.
            let lead = read(file, range.start)?.map_or(0, u32::from_be_bytes);
            let tiff = range.start.saturating_add(4 + u64::from(lead));
            if kind == *b"Exif" && tiff < range.end {
                found.exif.push(tiff..range.end);
            } else {
                found.others.push(range);
            }
        }
    }
    Ok(())
}

/// What is said of a picture's items.
#[derive(Debug, Clone, Copy)]
enum Property {
    /// Width and height in pixels.
    Size(u32, u32),
    /// Turned so many times by a quarter before it is shown.
    Turned(u8),
    Other,
}

impl Property {
    fn of(file: &File, piece: &Piece) -> io::Result<Self> {
        let is_long = |bytes: u64| piece.content.end - piece.content.start >= bytes;
        Ok(match &piece.name {
            // Behind its version.
            b"ispe" if is_long(12) => match read::<8>(file, piece.content.start + 4)? {
                Some([a, b, c, d, e, f, g, h]) => {
                    Self::Size(u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
                }
                None => Self::Other,
            },
            b"irot" if is_long(1) => {
                read::<1>(file, piece.content.start)?.map_or(Self::Other, |[turns]| Self::Turned(turns & 3))
            }
            _ => Self::Other,
        })
    }
}

/// The size that these properties of one item come to, in their order.
fn size<'p>(properties: impl Iterator<Item = &'p Property>) -> Option<(u32, u32)> {
    properties.fold(None, |size, property| match property {
        Property::Size(width, height) if *width > 0 && *height > 0 => Some((*width, *height)),
        Property::Turned(turns) if turns % 2 == 1 => size.map(|(width, height)| (height, width)),
        _ => size,
    })
}

/// The number of the item that is shown.
fn primary(bytes: &[u8]) -> Option<u64> {
    let mut bytes = Bytes(bytes);
    let version = bytes.number(4)? >> 24;
    bytes.number(if version == 0 { 2 } else { 4 })
}

/// Each item with the numbers of its properties, which are counted from 1. There are no more than there are bytes.
fn associations(bytes: &[u8]) -> Vec<(u64, usize)> {
    let mut found = Vec::new();
    // Where it breaks off, what is before is taken.
    let _ = associate(&mut Bytes(bytes), &mut found);
    found
}

fn associate(bytes: &mut Bytes<'_>, found: &mut Vec<(u64, usize)>) -> Option<()> {
    let head = bytes.number(4)?;
    let (item_size, number_size) = (if head >> 24 == 0 { 2 } else { 4 }, if head & 1 == 1 { 2 } else { 1 });
    // The upper bit says that the property has to be understood.
    let mask = if number_size == 2 { 0x7fff } else { 0x7f };
    for _ in 0..bytes.number(4)? {
        let item = bytes.number(item_size)?;
        for _ in 0..bytes.number(1)? {
            found.push((item, (bytes.number(number_size)? & mask) as usize));
        }
    }
    Some(())
}

/// Takes numbers from the front.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn number(&mut self, bytes: usize) -> Option<u64> {
        let (number, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }
}

/// The items that are metadata: their numbers and kinds.
fn items(bytes: &[u8]) -> Vec<(u64, [u8; 4])> {
    let mut found = Vec::new();
    let mut rest = bytes.get(if bytes.first() == Some(&0) { 6 } else { 8 }..).unwrap_or_default();
    while let Some((head, _)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*head) as usize;
        let Some((entry, behind)) = rest.split_at_checked(length).filter(|_| length >= 12) else { break };
        rest = behind;
        let (mut body, number) = (Bytes(&entry[12..]), if entry[8] >= 3 { 4 } else { 2 });
        let (Some(item), Some(_)) = (body.number(number), body.number(2)) else { continue };
        if let Some(kind) = body.0.first_chunk().filter(|kind| matches!(*kind, b"Exif" | b"mime")) {
            found.push((item, *kind));
        }
    }
    found
}

/// Where a part of an item is, in the file or among the data that the description holds itself.
struct Spot {
    item: u64,
    is_in_data: bool,
    range: Range<u64>,
}

/// Where all items are. There are no more than there are bytes.
fn locations(bytes: &mut Bytes<'_>) -> Option<Vec<Spot>> {
    let version = bytes.number(4)? >> 24;
    let sizes = bytes.number(2)?;
    let size = |at: u64| (sizes >> at & 0xf) as usize;
    let (offset_size, length_size, base_size) = (size(12), size(8), size(4));
    let index_size = if version > 0 { size(0) } else { 0 };
    let number = if version < 2 { 2 } else { 4 };
    let mut found = Vec::new();
    for _ in 0..bytes.number(number)? {
        let item = bytes.number(number)?;
        let is_in_data = version > 0 && bytes.number(2)? & 0xf == 1;
        bytes.number(2)?;
        let base = bytes.number(base_size)?;
        for _ in 0..bytes.number(2)? {
            // An entry of nothing would cost nothing, and there could be any number of them.
            if index_size + offset_size + length_size == 0 {
                return None;
            }
            bytes.number(index_size)?;
            let start = base.saturating_add(bytes.number(offset_size)?);
            let length = bytes.number(length_size)?;
            found.push(Spot { item, is_in_data, range: start..start.saturating_add(length) });
        }
    }
    Some(found)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::reading::tests::file;
    use super::*;

    pub(in super::super) fn a_box(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        [&(content.len() as u32 + 8).to_be_bytes()[..], name, content].concat()
    }

    /// A picture with this EXIF and this XMP, where they are in it.
    pub(in super::super) fn heic(exif: &[u8], xmp: &[u8]) -> Vec<u8> {
        let infe = |item: u8, kind: &[u8]| a_box(b"infe", &[&[2, 0, 0, 0, 0, item, 0, 0], kind, b"\0"].concat());
        let iinf = [&[0, 0, 0, 0, 0, 3][..], &infe(1, b"hvc1"), &infe(2, b"Exif"), &infe(3, b"mime")].concat();
        let exif = [&[0, 0, 0, 6][..], b"Exif\0\0", exif].concat();
        // A thumbnail first, and the picture itself lies on its side.
        let ispe = |width: u32, height: u32| {
            a_box(b"ispe", &[&[0; 4][..], &width.to_be_bytes(), &height.to_be_bytes()].concat())
        };
        let ipco =
            a_box(b"ipco", &[ispe(160, 120), a_box(b"hvcC", b"x"), ispe(4032, 3024), a_box(b"irot", &[1])].concat());
        let ipma = a_box(b"ipma", &[0, 0, 0, 0, 0, 0, 0, 2, 0, 4, 1, 1, 0, 1, 3, 0x82, 3, 0x84]);
        let iprp = a_box(b"iprp", &[ipco, ipma].concat());
        let pitm = a_box(b"pitm", &[0, 0, 0, 0, 0, 1]);
        let made = |from: u32| {
            let spot = |item: u8, at: u32, length: usize| {
                [&[0, item, 0, 0, 0, 0, 0, 1][..], &at.to_be_bytes(), &(length as u32).to_be_bytes()].concat()
            };
            let spots = [spot(2, from, exif.len()), spot(3, from + exif.len() as u32, xmp.len())].concat();
            let iloc = [&[1, 0, 0, 0, 0x44, 0, 0, 2][..], &spots].concat();
            let meta = [&[0; 4][..], &pitm, &a_box(b"iinf", &iinf), &a_box(b"iloc", &iloc), &iprp].concat();
            [a_box(b"ftyp", b"heic\0\0\0\0mif1heic"), a_box(b"meta", &meta)].concat()
        };
        let from = made(0).len() as u32 + 8;
        [made(from), a_box(b"mdat", &[&exif, xmp, b"pixels"].concat())].concat()
    }

    fn found(bytes: &[u8]) -> io::Result<Places> {
        places(&file(bytes), bytes.len() as u64)
    }

    fn texts<'a>(bytes: &'a [u8], ranges: &[Range<u64>]) -> Vec<&'a [u8]> {
        ranges.iter().map(|range| &bytes[range.start as usize..range.end as usize]).collect()
    }

    #[test]
    fn metadata_of_a_picture_is_found_where_it_is() {
        let bytes = heic(b"II*\0 the rest", b"<x:xmpmeta/>");
        let places = found(&bytes).unwrap();
        assert_eq!(texts(&bytes, &places.exif), [b"II*\0 the rest"]);
        assert_eq!(texts(&bytes, &places.others), [b"<x:xmpmeta/>"]);
        assert_eq!(places.size, Some((3024, 4032)), "as it is shown");
    }

    #[test]
    fn positions_of_a_film_are_found_and_its_other_boxes_left() {
        let place = [&a_box(b"\xa9xyz", b"+50.45+030.52/")[..], &a_box(b"auth", b"me")].concat();
        let keys = b"\0\0\0\0com.apple.quicktime.location.ISO6709";
        let moov = [
            a_box(b"mvhd", b"loci"),
            a_box(b"udta", &place),
            a_box(b"trak", &[a_box(b"udta", b"name"), a_box(b"meta", keys)].concat()),
        ];
        let bytes = [a_box(b"ftyp", b"isom"), a_box(b"mdat", b"\xa9xyz"), a_box(b"moov", &moov.concat())].concat();
        let places = found(&bytes).unwrap();
        assert_eq!(texts(&bytes, &places.boxes), [&place[..], keys]);
        assert!(places.exif.is_empty() && places.others.is_empty());
    }

    #[test]
    fn boxes_without_end_are_refused() {
        let bytes = a_box(b"free", b"").repeat(BOXES_MAX + 1);
        assert_eq!(found(&bytes).unwrap_err().kind(), ErrorKind::InvalidData);
        assert!(found(&bytes[8..]).is_ok());
        // A length of nothing, of less than its own head, and of more than there is.
        for head in [0_u32, 1, 7, 4000] {
            let bytes = [&head.to_be_bytes()[..], b"moov", &[0; 20]].concat();
            assert_eq!(found(&bytes).unwrap(), Places::default(), "{head}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn damaged_boxes_are_looked_at(
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        ) {
            let mut bytes = heic(b"II*\0 the rest", b"<x:xmpmeta/>");
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            prop_assert!(found(&bytes).is_ok());
        }
    }
}
