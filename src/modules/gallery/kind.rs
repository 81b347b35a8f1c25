//! What a file is, by its first bytes and never by its name: a name lies, and so does whoever sends it.
//!
//! What a browser could run as a page of ours is known by what it begins with once blanks, comments and the ways of
//! writing text are taken away. To take plain text for markup costs its reader a download; the other way round costs the
//! household. So a file is shown in the browser only if it is of a kind that cannot run, and everything else is only given away.

use std::borrow::Cow;

/// How much of a file is looked at. What begins later than that is no markup to a browser either: it looks at 1445 bytes.
pub const HEAD_BYTES: usize = 4096;

/// What a file is to a household, in the word that its record has as `media_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// A picture.
    Photo,
    /// A film.
    Video,
    /// Sound.
    Audio,
    /// Everything else.
    Document,
}

impl Media {
    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Document => "document",
        }
    }
}

/// A kind of file.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its type, as its record says it: `image/jpeg`. No two kinds have the same.
    pub mime: &'static str,
    /// What the name ends with that it is stored under: `jpg`. No two kinds have the same.
    pub extension: &'static str,
    /// What it is to a household.
    pub media: Media,
    /// What a browser may do with it.
    pub allowed: Use,
}

/// What a browser may do with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Show it in its place. Nothing in it can act on our pages.
    Show,
    /// Save it.
    Save,
    /// Save it without being told what it is: it could run.
    SaveUntold,
}

const fn kind(mime: &'static str, extension: &'static str, media: Media, allowed: Use) -> Kind {
    Kind { mime, extension, media, allowed }
}

use Media::{Audio, Document, Photo, Video};
use Use::{Save, SaveUntold, Show};

static JPEG: Kind = kind("image/jpeg", "jpg", Photo, Show);
static PNG: Kind = kind("image/png", "png", Photo, Show);
static GIF: Kind = kind("image/gif", "gif", Photo, Show);
static WEBP: Kind = kind("image/webp", "webp", Photo, Show);
static HEIC: Kind = kind("image/heic", "heic", Photo, Show);
static HEIF: Kind = kind("image/heif", "heif", Photo, Show);
static AVIF: Kind = kind("image/avif", "avif", Photo, Show);
static BMP: Kind = kind("image/bmp", "bmp", Photo, Show);
static TIFF: Kind = kind("image/tiff", "tiff", Photo, Show);
static MP4: Kind = kind("video/mp4", "mp4", Video, Show);
static THREE_GPP: Kind = kind("video/3gpp", "3gp", Video, Show);
static QUICKTIME: Kind = kind("video/quicktime", "mov", Video, Show);
static WEBM: Kind = kind("video/webm", "webm", Video, Show);
static MATROSKA: Kind = kind("video/x-matroska", "mkv", Video, Show);
static AVI: Kind = kind("video/x-msvideo", "avi", Video, Show);
static OGG_VIDEO: Kind = kind("video/ogg", "ogv", Video, Show);
static OGG: Kind = kind("audio/ogg", "ogg", Audio, Show);
static MP3: Kind = kind("audio/mpeg", "mp3", Audio, Show);
static AAC: Kind = kind("audio/aac", "aac", Audio, Show);
static M4A: Kind = kind("audio/mp4", "m4a", Audio, Show);
static FLAC: Kind = kind("audio/flac", "flac", Audio, Show);
static WAV: Kind = kind("audio/wav", "wav", Audio, Show);
static AMR: Kind = kind("audio/amr", "amr", Audio, Show);
static PDF: Kind = kind("application/pdf", "pdf", Document, Show);
static TEXT: Kind = kind("text/plain", "txt", Document, Save);
static ZIP: Kind = kind("application/zip", "zip", Document, Save);
static EPUB: Kind = kind("application/epub+zip", "epub", Document, Save);
static ODT: Kind = kind("application/vnd.oasis.opendocument.text", "odt", Document, Save);
static ODS: Kind = kind("application/vnd.oasis.opendocument.spreadsheet", "ods", Document, Save);
static DOCX: Kind =
    kind("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx", Document, Save);
static XLSX: Kind = kind("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx", Document, Save);
static PPTX: Kind =
    kind("application/vnd.openxmlformats-officedocument.presentationml.presentation", "pptx", Document, Save);
/// Whatever is in it, an SVG among that: what is compressed is never unpacked here, and no browser is told to.
static GZIP: Kind = kind("application/gzip", "gz", Document, SaveUntold);
static SVG: Kind = kind("image/svg+xml", "svg", Document, SaveUntold);
static HTML: Kind = kind("text/html", "html", Document, SaveUntold);
static XML: Kind = kind("application/xml", "xml", Document, SaveUntold);
static OTHER: Kind = kind("application/octet-stream", "bin", Document, SaveUntold);

/// Every kind there is.
static KINDS: [&Kind; 37] = [
    &JPEG, &PNG, &GIF, &WEBP, &HEIC, &HEIF, &AVIF, &BMP, &TIFF, &MP4, &THREE_GPP, &QUICKTIME, &WEBM, &MATROSKA, &AVI,
    &OGG_VIDEO, &OGG, &MP3, &AAC, &M4A, &FLAC, &WAV, &AMR, &PDF, &TEXT, &ZIP, &EPUB, &ODT, &ODS, &DOCX, &XLSX, &PPTX,
    &GZIP, &SVG, &HTML, &XML, &OTHER,
];

impl Kind {
    /// The kind of a file that begins so: with its first [`HEAD_BYTES`], or all of it if it is shorter.
    #[must_use]
    pub fn of(head: &[u8]) -> &'static Self {
        let head = &head[..head.len().min(HEAD_BYTES)];
        let Some(found) = packed(head).or_else(|| picture(head)).or_else(|| boxes(head)).or_else(|| sound(head)) else {
            return text(head);
        };
        // Something that is two things at once is shown as neither. Of the kinds that hold text of others, few hold this.
        if found.allowed == Show && holds(head, b"<script") { &OTHER } else { found }
    }

    /// The kind that a record says; a file of which nothing is known where there is no such kind.
    #[must_use]
    pub fn named(mime: &str) -> &'static Self {
        KINDS.iter().find(|kind| kind.mime == mime).copied().unwrap_or(&OTHER)
    }

    /// The kind of a stored file, by the end of its name, which we gave it.
    #[must_use]
    pub fn stored_as(extension: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.extension == extension).copied()
    }
}

/// Whether these bytes are there, in letters of any size. `word` is in small ones.
fn holds(head: &[u8], word: &[u8]) -> bool {
    head.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

fn at(head: &[u8], from: usize, bytes: &[u8]) -> bool {
    head.get(from..).is_some_and(|rest| rest.starts_with(bytes))
}

/// Archives, and documents that are one.
fn packed(head: &[u8]) -> Option<&'static Kind> {
    if head.starts_with(&[0x1f, 0x8b]) {
        return Some(&GZIP);
    }
    if head.starts_with(b"%PDF-") {
        return Some(&PDF);
    }
    if !head.starts_with(b"PK\x03\x04") && !head.starts_with(b"PK\x05\x06") {
        return None;
    }
    // These say what they are in a first member that is not compressed.
    for kind in [&EPUB, &ODT, &ODS] {
        if at(head, 30, b"mimetype") && at(head, 38, kind.mime.as_bytes()) {
            return Some(kind);
        }
    }
    // These by the folder that their members are in.
    let office = holds(head, b"[content_types].xml") || holds(head, b"_rels/");
    let folders: [(&[u8], &Kind); 3] = [(b"word/", &DOCX), (b"xl/", &XLSX), (b"ppt/", &PPTX)];
    let found = folders.into_iter().find(|(folder, _)| office && holds(head, folder));
    Some(found.map_or(&ZIP, |(_, kind)| kind))
}

fn picture(head: &[u8]) -> Option<&'static Kind> {
    if head.starts_with(&[0xff, 0xd8, 0xff]) {
        return Some(&JPEG);
    }
    if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some(&PNG);
    }
    if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") {
        return is_gif(head).then_some(&GIF);
    }
    if head.starts_with(b"RIFF") {
        return match head.get(8..12)? {
            b"WEBP" => Some(&WEBP),
            b"WAVE" => Some(&WAV),
            b"AVI " => Some(&AVI),
            _ => None,
        };
    }
    if head.starts_with(b"II*\0") || head.starts_with(b"MM\0*") {
        return Some(&TIFF);
    }
    // Two letters are little to go by: there are four bytes of nothing behind the size, and the next head has a known length.
    if head.starts_with(b"BM")
        && at(head, 6, &[0; 4])
        && matches!(head.get(14..18), Some([12 | 40 | 108 | 124, 0, 0, 0]))
    {
        return Some(&BMP);
    }
    None
}

/// Whether a block of a GIF begins where one has to, behind the colours that the head announces. A script that has put `GIF89a`
/// before itself has none there.
fn is_gif(head: &[u8]) -> bool {
    let Some(packed) = head.get(10) else { return true };
    let colours = if packed & 0x80 == 0 { 0 } else { 3 << ((packed & 7) + 1) };
    head.get(13 + colours).is_none_or(|block| matches!(block, b'!' | b',' | b';'))
}

/// The family of QuickTime and MP4, and that of Matroska.
fn boxes(head: &[u8]) -> Option<&'static Kind> {
    if head.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
        // The name of the kind stands among the first few elements.
        let first = &head[..head.len().min(64)];
        return if holds(first, b"webm") { Some(&WEBM) } else { holds(first, b"matroska").then_some(&MATROSKA) };
    }
    // No letter begins one: the first of four bytes of its length, which is far from filling them.
    if *head.first()? > 8 {
        return None;
    }
    match head.get(4..8)? {
        b"ftyp" => {}
        // Films of old cameras begin at once.
        b"moov" | b"mdat" | b"wide" => return Some(&QUICKTIME),
        _ => return None,
    }
    let length = u32::from_be_bytes(*head.first_chunk()?) as usize;
    let brands = head.get(8..length.min(head.len()))?;
    let (major, others) = brands.split_first_chunk::<4>()?;
    // Behind the version.
    let others: Vec<&[u8]> = others.get(4..).unwrap_or_default().chunks_exact(4).collect();
    let heic = |brand: &[u8]| matches!(brand, b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx");
    let avif = |brand: &[u8]| matches!(brand, b"avif" | b"avis");
    Some(match major {
        major if heic(major) => &HEIC,
        major if avif(major) => &AVIF,
        b"mif1" | b"msf1" | b"miaf" => match () {
            () if others.iter().any(|brand| avif(brand)) => &AVIF,
            () if others.iter().any(|brand| heic(brand)) => &HEIC,
            () => &HEIF,
        },
        b"qt  " => &QUICKTIME,
        b"M4A " | b"M4B " | b"M4P " => &M4A,
        [b'3', b'g', ..] => &THREE_GPP,
        b"M4V " | b"M4VH" | b"M4VP" | b"MSNV" | b"dash" | b"XAVC" | b"mmp4" | b"f4v " => &MP4,
        [b'i', b's', b'o', _] | [b'm', b'p', b'4', _] | [b'a', b'v', b'c', _] => &MP4,
        _ => return None,
    })
}

fn sound(head: &[u8]) -> Option<&'static Kind> {
    if head.starts_with(b"OggS") {
        return Some(if holds(head, b"\x80theora") { &OGG_VIDEO } else { &OGG });
    }
    if head.starts_with(b"fLaC") {
        return Some(&FLAC);
    }
    if head.starts_with(b"#!AMR") {
        return Some(&AMR);
    }
    if head.starts_with(b"ID3") && head.get(3).is_some_and(|version| (2..=4).contains(version)) {
        return Some(&MP3);
    }
    // AAC in frames: the twelve ones, and a layer that is always none.
    if head.len() >= 7 && head[0] == 0xff && head[1] & 0xf6 == 0xf0 && (head[2] >> 2) & 0xf < 13 {
        return Some(&AAC);
    }
    is_mp3(head).then_some(&MP3)
}

/// Whether two frames of MPEG layer III follow each other, or one that is all there is.
fn is_mp3(head: &[u8]) -> bool {
    let Some(length) = mp3_frame(head) else { return false };
    head.get(length..).is_none_or(|next| next.is_empty() || mp3_frame(next).is_some())
}

/// How long the frame is that begins here. The tables are those of ISO 11172-3 and 13818-3.
fn mp3_frame(head: &[u8]) -> Option<usize> {
    const KILOBITS: [[usize; 16]; 2] = [
        [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0],
        [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0],
    ];
    let &[0xff, second, third, _] = head.first_chunk()? else { return None };
    let version = second >> 3 & 3;
    if second & 0xe6 != 0xe2 || version == 1 {
        return None;
    }
    let first = version == 3;
    let kilobits = KILOBITS[usize::from(!first)][usize::from(third >> 4)];
    let hertz = [44_100, 48_000, 32_000].get(usize::from(third >> 2 & 3))? / [4, 1, 2, 1][usize::from(version)];
    let samples = if first { 144 } else { 72 };
    (kilobits > 0).then(|| samples * kilobits * 1000 / hertz + usize::from(third >> 1 & 1))
}

/// What is written in letters, whichever way they are written.
fn text(head: &[u8]) -> &'static Kind {
    let written = letters(head);
    if let Some(kind) = markup(&written) {
        return kind;
    }
    let is_text = !written.is_empty() && written.chars().all(|letter| !letter.is_control() || is_blank(letter));
    if is_text && !written.contains('\u{fffd}') { &TEXT } else { &OTHER }
}

/// The letters of a text. One that is not in UTF-8 is not all letters, but its markup is.
fn letters(head: &[u8]) -> Cow<'_, str> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.as_chunks().0.iter().map(|pair| unit(*pair));
        Cow::Owned(char::decode_utf16(units).map(|letter| letter.unwrap_or('\u{fffd}')).collect::<String>())
    };
    match head {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // Without a mark it is known by the half of its first letter that is nothing.
        [first, 0, ..] if *first != 0 => utf16(head, u16::from_le_bytes),
        [0, second, ..] if *second != 0 => utf16(head, u16::from_be_bytes),
        _ => {
            let rest = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
            match std::str::from_utf8(rest) {
                Ok(whole) => Cow::Borrowed(whole),
                // Cut in the midst of a letter, as a head may be.
                Err(cut) if cut.error_len().is_none() && head.len() == HEAD_BYTES => {
                    String::from_utf8_lossy(&rest[..cut.valid_up_to()])
                }
                Err(_) => String::from_utf8_lossy(rest),
            }
        }
    }
}

/// What may stand before anything and means nothing. NUL is none to a reader of pages, and so it does not hide one here.
fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n' | '\r' | '\x0c' | '\u{feff}')
}

/// What kind of markup a text is, if it begins as markup does.
fn markup(text: &str) -> Option<&'static Kind> {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|letter| is_blank(letter) || letter == '\0');
        let Some(comment) = rest.strip_prefix("<!--") else { break };
        // One without an end hides whatever it is that comes behind our prefix.
        rest = comment.split_once("-->").map_or("<!", |(_, behind)| behind);
    }
    let next = rest.strip_prefix('<')?.chars().next()?;
    if !next.is_ascii_alphabetic() && !matches!(next, '!' | '?' | '/') {
        return None;
    }
    let rest = rest.as_bytes();
    Some(if holds(rest, b"<svg") || holds(rest, b":svg") {
        &SVG
    } else if rest.starts_with(b"<?") && !holds(rest, b"<html") {
        &XML
    } else {
        &HTML
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    const SVG_TEXT: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"document.title='ran'\">\
                            <script>document.title='ran'</script></svg>";

    fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    #[track_caller]
    fn is(head: &[u8], mime: &str) {
        assert_eq!(Kind::of(head).mime, mime, "{:?}", String::from_utf8_lossy(&head[..head.len().min(60)]));
    }

    #[test]
    fn every_kind_has_a_type_and_an_end_of_its_own() {
        for (at, kind) in KINDS.iter().enumerate() {
            assert_eq!(Kind::named(kind.mime), *kind);
            assert_eq!(Kind::stored_as(kind.extension), Some(*kind), "{at}");
        }
        assert_eq!(Kind::named("image/x-nothing"), &OTHER);
        assert_eq!(Kind::stored_as("exe"), None);
    }

    #[test]
    fn photographs_whose_name_lies() {
        // Photographs as telephones send them, each under another's name or type; neither is even asked for.
        let mut heic = b"\x00\x00\x00\x18ftypheic\0\0\0\0mif1heic".to_vec();
        heic.extend([b'x'; 100]);
        is(&heic, "image/heic");
        is(b"\xff\xd8\xff\xe0\x00\x10JFIF\0", "image/jpeg");
        is(b"\x00\x00\x00\x18ftypavif\0\0\0\0mif1avif", "image/avif");
        is(b"", "application/octet-stream");
        is(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xea\x60\0\0\xea\x60\x08\x06\0\0\0", "image/png");
    }

    #[test]
    fn pictures_that_are_programs_are_never_shown() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(SVG_TEXT.as_bytes()).unwrap();
        let marked = [&[0xff, 0xfe][..], &utf16(SVG_TEXT, u16::to_le_bytes)].concat();
        let marked_big = [&[0xfe, 0xff][..], &utf16(SVG_TEXT, u16::to_be_bytes)].concat();
        for (head, mime) in [
            (SVG_TEXT.as_bytes().to_vec(), "image/svg+xml"),
            (format!("\u{feff}{SVG_TEXT}").into_bytes(), "image/svg+xml"),
            (format!("{}<!-- a > b -->\n{SVG_TEXT}", " ".repeat(300)).into_bytes(), "image/svg+xml"),
            (
                format!("<?xml version=\"1.0\"?><!DOCTYPE svg><s:svg xmlns:s='x'/>{SVG_TEXT}").into_bytes(),
                "image/svg+xml",
            ),
            (marked, "image/svg+xml"),
            (marked_big, "image/svg+xml"),
            (utf16(SVG_TEXT, u16::to_le_bytes), "image/svg+xml"),
            (utf16(&format!("\n  {SVG_TEXT}"), u16::to_be_bytes), "image/svg+xml"),
            (gzip.finish().unwrap(), "application/gzip"),
            (b"<!DOCTYPE html><title>x</title>".to_vec(), "text/html"),
            (b"\0\0 <HTML><body onload=alert(1)>".to_vec(), "text/html"),
            (b"<!-- never ends <script>".to_vec(), "text/html"),
            (b"<script>alert(1)</script>\xff\xfe\x80".to_vec(), "text/html"),
            (b"</p><img src=x onerror=alert(1)>".to_vec(), "text/html"),
            (b"<?xml version='1.0'?><x:html xmlns:x='http://www.w3.org/1999/xhtml'/>".to_vec(), "application/xml"),
            (b"<?php echo 1;".to_vec(), "application/xml"),
            // A picture's head and a script: no picture, and text only to who saves it.
            (b"GIF89a/*<script>document.title='ran'</script>".to_vec(), "text/plain"),
            // One that is a picture, too.
            (b"GIF89a\x01\0\x01\0\0\0\0!\xfe\x20/*<SCRIPT>alert(1)</script>*/".to_vec(), "application/octet-stream"),
            (b"\xff\xd8\xff\xfe\x00\x20<script>alert(1)</script>".to_vec(), "application/octet-stream"),
            (b"%PDF-1.7\n<script>".to_vec(), "application/octet-stream"),
            // Where a film has the name of its first box.
            (b"<p  mdat onclick=alert(1)>".to_vec(), "text/html"),
        ] {
            is(&head, mime);
            assert_ne!(Kind::of(&head).allowed, Show, "{mime}");
        }
    }

    #[test]
    fn what_households_keep_is_known() {
        let mp3 = |second: &[u8]| [&[0xff, 0xfb, 0x90, 0x64][..], &[0; 413], second].concat();
        let zip = |name: &str, rest: &str| [&b"PK\x03\x04"[..], &[0; 26], name.as_bytes(), rest.as_bytes()].concat();
        for (head, mime) in [
            (b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,".to_vec(), "image/gif"),
            (b"GIF89a".to_vec(), "image/gif"),
            (b"RIFF\x10\0\0\0WEBPVP8X".to_vec(), "image/webp"),
            (b"RIFF\x10\0\0\0WAVEfmt ".to_vec(), "audio/wav"),
            (b"RIFF\x10\0\0\0AVI LIST".to_vec(), "video/x-msvideo"),
            (b"RIFF\x10\0\0\0CDDA".to_vec(), "application/octet-stream"),
            (b"II*\0\x08\0\0\0".to_vec(), "image/tiff"),
            (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec(), "image/bmp"),
            (b"BM is the name of a museum in London".to_vec(), "text/plain"),
            (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf".to_vec(), "image/heic"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1miaf".to_vec(), "image/heif"),
            (b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2".to_vec(), "video/mp4"),
            (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".to_vec(), "video/mp4"),
            (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ".to_vec(), "video/quicktime"),
            (b"\0\0\0\x08wide\0\0\0\0mdat".to_vec(), "video/quicktime"),
            (b"\0\0\0\x14ftyp3gp5\0\0\0\0isom".to_vec(), "video/3gpp"),
            (b"\0\0\0\x14ftypM4A \0\0\0\0M4A ".to_vec(), "audio/mp4"),
            (b"\0\0\0\x14ftypcrx \0\0\0\0crx ".to_vec(), "application/octet-stream"),
            (b"\0\0\0\0ftypheic".to_vec(), "application/octet-stream"),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm".to_vec(), "video/webm"),
            (b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\x82\x88matroska".to_vec(), "video/x-matroska"),
            (b"OggS\0\x02\0\0\x01\x13OpusHead".to_vec(), "audio/ogg"),
            (b"OggS\0\x02\0\0\x01\x2a\x80theora".to_vec(), "video/ogg"),
            (b"fLaC\0\0\0\x22".to_vec(), "audio/flac"),
            (b"ID3\x04\0\0\0\0\0\x0aTIT2".to_vec(), "audio/mpeg"),
            (b"ID3 is a way to tag sound".to_vec(), "text/plain"),
            (mp3(&[0xff, 0xfb, 0x90, 0x64]), "audio/mpeg"),
            (mp3(b"not a frame"), "application/octet-stream"),
            (b"\xff\xf1\x50\x80\x02\x1f\xfc".to_vec(), "audio/aac"),
            (b"#!AMR\n".to_vec(), "audio/amr"),
            (b"%PDF-1.7\n".to_vec(), "application/pdf"),
            (zip("photo.jpg", ""), "application/zip"),
            (
                zip("[Content_Types].xml", "PK\x03\x04 word/document.xml"),
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            ),
            (
                zip("[Content_Types].xml", "PK\x03\x04 xl/workbook.xml"),
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            ),
            (zip("mimetype", "application/epub+zip"), "application/epub+zip"),
            (zip("mimetype", "application/vnd.oasis.opendocument.textPK"), "application/vnd.oasis.opendocument.text"),
            ("Рецепт: 200 г борошна, I <3 you, a < b\r\n\t".into(), "text/plain"),
            ([&[0xff, 0xfe][..], &utf16("Рецепт", u16::to_le_bytes)].concat(), "text/plain"),
            (b"\xd0\xe5\xf6\xe5\xef\xf2 in an old alphabet".to_vec(), "application/octet-stream"),
            (b"\x7fELF\x02\x01".to_vec(), "application/octet-stream"),
            (b"#!/bin/sh\nrm x\n".to_vec(), "text/plain"),
        ] {
            is(&head, mime);
        }
    }

    #[test]
    fn a_letter_that_the_head_cuts_does_not_make_a_text_something_else() {
        for lead in 0..4 {
            let text = format!("{}{}", "a".repeat(lead), "їжачок ".repeat(1000));
            is(text.as_bytes(), "text/plain");
        }
        // In the midst of a file that is shorter than a head, it is no letter.
        is(&"їжак".as_bytes()[..3], "application/octet-stream");
    }

    #[test]
    fn what_is_shown_cannot_run() {
        let shown = KINDS.iter().filter(|kind| kind.allowed == Show);
        for mime in shown.map(|kind| kind.mime) {
            let is_media = ["image/", "video/", "audio/"].iter().any(|group| mime.starts_with(group));
            assert!((is_media && !mime.contains("xml")) || mime == "application/pdf", "{mime}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever stands before it that means nothing, markup is not shown.
        #[test]
        fn markup_is_found_behind_whatever_means_nothing(
            before in proptest::collection::vec(prop_oneof!["[ \t\r\n\x0c]{0,40}", "<!--[a-z< >\n]{0,40}-->"], 0..8),
            body in prop_oneof![Just("<svg/>"), Just("<html>"), Just("<!DOCTYPE html>"), Just("<SVG onload=x>"), Just("<script>")],
            writing in 0..6,
        ) {
            let text = format!("{}{body}", before.concat());
            let little = utf16(&text, u16::to_le_bytes);
            let big = utf16(&text, u16::to_be_bytes);
            let head = match writing {
                0 => text.into_bytes(),
                1 => [b"\xef\xbb\xbf", text.as_bytes()].concat(),
                2 => little,
                3 => big,
                4 => [&[0xff, 0xfe][..], &little].concat(),
                _ => [&[0xfe, 0xff][..], &big].concat(),
            };
            prop_assert_eq!(Kind::of(&head).allowed, SaveUntold);
        }

        #[test]
        fn any_bytes_are_of_some_kind(head in proptest::collection::vec(any::<u8>(), 0..300), start in 0..12) {
            let starts: [&[u8]; 12] = [
                b"", b"\xff\xd8\xff", b"GIF89a", b"RIFF", b"\0\0\0\x18ftyp", b"\x1a\x45\xdf\xa3", b"OggS", b"ID3\x03", b"PK\x03\x04",
                b"<", b"\xff\xfe", b"\xff\xfb\x90\x64",
            ];
            let kind = Kind::of(&[starts[start as usize], &head].concat());
            prop_assert_eq!(Kind::named(kind.mime), kind);
        }
    }
}
