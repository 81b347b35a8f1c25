//! Takes an upload as it comes, raw or as a form, and puts it on the shelf with what is made of it.
//!
//! All of it happens on the blocking pool. Whatever goes wrong, and whoever leaves before the end, nothing of it stays; what it
//! becomes a record of is said by who opens it.

use std::io::{self, ErrorKind, Write as _};
use std::sync::Arc;

use super::exif::{Facts, Look};
use super::kind::{HEAD_BYTES, Kind};
use super::multipart::{Event, Head, Malformed, Parser, boundary};
use super::picture::thumbnails;
use super::serving::shown_name;
use super::shelf::{Held, Name, Part, Shelf, Whole, Writing};
use crate::feature::Sink;
use crate::gate::{ApiError, Code, Reply};

/// What the fields of a form may have besides its file, all their names and values together.
pub const FIELDS_MAX_BYTES: usize = 64 * 1024;
/// The name of the field that a form has its file in.
const FILE: &str = "file";

/// The way in which a file is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// It is the body. Its name comes another way, if at all.
    Raw {
        /// What it is called.
        name: String,
    },
    /// It is the part `file` of a form with this boundary.
    Multipart {
        /// What stands between parts.
        boundary: String,
    },
}

impl Form {
    /// The way that a `Content-Type` says; `name` is for a body that is the file. What it says of the file is not asked for.
    ///
    /// # Errors
    /// 422 for a form without a boundary.
    pub fn of(content_type: &str, name: &str) -> Result<Self, ApiError> {
        match boundary(content_type) {
            Some(boundary) => Ok(Self::Multipart { boundary: boundary? }),
            None => Ok(Self::Raw { name: name.to_owned() }),
        }
    }
}

/// What has come.
#[derive(Debug)]
pub struct Uploaded {
    /// Where it is. To be dropped when its record is written, or will not be: hand it through the change as its result, so that
    /// it is held until that is on disk.
    pub held: Held,
    /// The name that people see.
    pub shown: String,
    /// How large it is.
    pub bytes: u64,
    /// What it says of itself.
    pub facts: Facts,
    /// Whether there are thumbnails of it.
    pub has_thumbnails: bool,
    /// The other fields of its form, in the order in which they came.
    pub fields: Vec<(String, String)>,
}

/// What is done with what has come: it answers, or hands the reply on to what will.
pub type Then<T> = Box<dyn FnOnce(Uploaded, Reply<T>) + Send>;

/// An upload that is under way.
pub struct Upload<T: Send> {
    /// For a form.
    parser: Option<Parser>,
    taken: Taken,
    then: Then<T>,
}

/// What was taken so far.
struct Taken {
    shelf: Arc<Shelf>,
    most: u64,
    /// The name that was sent.
    name: String,
    /// The file, when it has begun, and its first bytes.
    writing: Option<Writing>,
    head: Vec<u8>,
    /// Whether what comes is the file, and not a field.
    is_file: bool,
    fields: Vec<(String, Vec<u8>)>,
    fields_bytes: usize,
}

impl<T: Send> Upload<T> {
    /// One of a file of at most so many bytes.
    #[must_use]
    pub fn new(shelf: Arc<Shelf>, form: Form, most: u64, then: Then<T>) -> Self {
        let (parser, name) = match form {
            Form::Raw { name } => (None, name),
            Form::Multipart { boundary } => (Some(Parser::new(&boundary)), String::new()),
        };
        let is_file = parser.is_none();
        let (writing, head, fields) = (None, Vec::new(), Vec::new());
        let taken = Taken { shelf, most, name, writing, head, is_file, fields, fields_bytes: 0 };
        Self { parser, taken, then }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        match &mut self.parser {
            Some(parser) => parser.feed(bytes, &mut |event| self.taken.event(event)),
            None => self.taken.data(bytes),
        }
    }

    fn end(self) -> Result<(Uploaded, Then<T>), ApiError> {
        let Self { parser, taken, then } = self;
        if let Some(parser) = parser {
            parser.finish()?;
            if taken.writing.is_none() {
                return Err(ApiError::malformed("The form has no part named file"));
            }
        }
        Ok((taken.end()?, then))
    }
}

impl<T: Send + 'static> Sink for Upload<T> {
    type Kept = T;

    fn write(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        self.take(bytes)
    }

    fn end(self, reply: Reply<T>) {
        match Self::end(self) {
            Ok((uploaded, then)) => then(uploaded, reply),
            Err(error) => reply.done(Err(error)),
        }
    }
}

impl Taken {
    fn event(&mut self, event: Event<'_>) -> Result<(), ApiError> {
        match event {
            Event::Part(head) => self.part(head),
            Event::Data(bytes) => self.data(bytes),
            Event::End => Ok(()),
        }
    }

    fn part(&mut self, head: Head) -> Result<(), ApiError> {
        self.is_file = head.name == FILE;
        if self.is_file {
            if self.writing.is_some() {
                return Err(ApiError::malformed("The form has more than one file; send one at a time"));
            }
            self.name = head.file_name.unwrap_or_default();
            return self.data(b"");
        }
        if head.file_name.is_some() {
            return Err(ApiError::malformed("The form has a file in another part than the one named file"));
        }
        self.count(head.name.len())?;
        self.fields.push((head.name, Vec::new()));
        Ok(())
    }

    /// More of the fields.
    fn count(&mut self, bytes: usize) -> Result<(), ApiError> {
        self.fields_bytes += bytes;
        if self.fields_bytes > FIELDS_MAX_BYTES {
            let message = format!("The fields of the form are over the limit of {FIELDS_MAX_BYTES} bytes");
            return Err(ApiError::malformed(message));
        }
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        if !self.is_file {
            self.count(bytes.len())?;
            if let Some((_, value)) = self.fields.last_mut() {
                value.extend_from_slice(bytes);
            }
            return Ok(());
        }
        let writing = match &mut self.writing {
            Some(writing) => writing,
            none => none.insert(self.shelf.begin().map_err(not_stored)?),
        };
        if writing.bytes() + bytes.len() as u64 > self.most {
            let message = format!("The file is over the limit of {} bytes", self.most);
            return Err(ApiError::new(Code::PayloadTooLarge, message));
        }
        let missing = HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(missing)]);
        writing.write_all(bytes).map_err(not_stored)
    }

    fn end(self) -> Result<Uploaded, ApiError> {
        let whole = self.writing.map(Writing::end).filter(|whole| whole.bytes > 0);
        let Some(whole) = whole else { return Err(ApiError::malformed("The file is empty")) };
        let mut fields = Vec::new();
        for (name, value) in self.fields {
            let value = String::from_utf8(value);
            fields.push((name, value.map_err(|_| ApiError::malformed("A field of the form is not in UTF-8"))?));
        }
        let kind = Kind::of(&self.head);
        let file = whole.file().map_err(not_stored)?;
        let look = Look::at(kind, file).map_err(|error| match error.kind() {
            ErrorKind::InvalidData => ApiError::malformed(error.to_string()),
            _ => not_stored(error),
        })?;
        let bytes = whole.bytes;
        let is_there = self.shelf.has(&Name { hash: whole.hash, kind }, bytes);
        let beside =
            if is_there { Vec::new() } else { beside(&self.shelf, kind, &whole, &look).map_err(not_stored)? };
        let held = self.shelf.keep(whole, kind, beside).map_err(not_stored)?;
        let has_thumbnails = self.shelf.path(&held.name, Part::Small).exists();
        let shown = shown_name(&self.name, kind);
        Ok(Uploaded { held, shown, bytes, facts: look.facts, has_thumbnails, fields })
    }
}

/// What is made of a file: a copy without its position, if it may have one, and thumbnails, if it is a picture that has some.
fn beside(shelf: &Shelf, kind: &'static Kind, whole: &Whole, look: &Look) -> io::Result<Vec<(Part, Whole)>> {
    let mut made = Vec::new();
    if look.is_private {
        let mut clean = shelf.begin()?;
        look.copy(whole.file()?, &mut clean)?;
        made.push((Part::Clean, clean.end()));
    }
    // The copy has no more metadata than fits into memory.
    let source = made.first().map_or(whole, |(_, clean)| clean);
    match thumbnails(kind, source.file()?, look.facts.orientation) {
        Ok(thumbnails) => {
            for (part, bytes) in [(Part::Small, thumbnails.small), (Part::Large, thumbnails.large)] {
                let mut writing = shelf.begin()?;
                writing.write_all(&bytes)?;
                made.push((part, writing.end()));
            }
        }
        Err(reason) => log::debug!(reason:%; "gallery.no_thumbnails"),
    }
    Ok(made)
}

/// A disk that takes nothing.
fn not_stored(error: io::Error) -> ApiError {
    let (code, message) = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (Code::StorageReadonly, "There is no room for the file"),
        _ => (Code::StorageUnavailable, "The file could not be stored; nothing was changed"),
    };
    ApiError::new(code, message).with_context(format!("an upload cannot be stored: {error}"))
}

impl From<Malformed> for ApiError {
    fn from(malformed: Malformed) -> Self {
        Self::malformed(malformed.to_string()).logged_as("The form of an upload is malformed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf() -> (tempfile::TempDir, Arc<Shelf>) {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Arc::new(Shelf::open(directory.path()).unwrap());
        (directory, shelf)
    }

    const MOST: u64 = 100_000;

    fn upload(shelf: &Arc<Shelf>, form: Form, body: &[u8], size: usize) -> Result<Uploaded, ApiError> {
        let mut upload = Upload::<()>::new(Arc::clone(shelf), form, MOST, Box::new(|_, _| {}));
        body.chunks(size).try_for_each(|piece| upload.take(piece))?;
        Ok(upload.end()?.0)
    }

    fn raw(shelf: &Arc<Shelf>, name: &str, body: &[u8]) -> Result<Uploaded, ApiError> {
        upload(shelf, Form::of("application/octet-stream", name)?, body, 1000)
    }

    fn form(shelf: &Arc<Shelf>, body: &[u8]) -> Result<Uploaded, ApiError> {
        upload(shelf, Form::of("multipart/form-data; boundary=B", "")?, body, 1000)
    }

    fn part(head: &str, data: &[u8]) -> Vec<u8> {
        [format!("--B\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes(), data, b"\r\n"].concat()
    }

    fn said<T: std::fmt::Debug>(result: Result<T, ApiError>) -> String {
        result.unwrap_err().message().unwrap().to_owned()
    }

    /// How many files there are, whole or not.
    fn files(directory: &std::path::Path) -> usize {
        let inside = |path: std::path::PathBuf| if path.is_dir() { files(&path) } else { 1 };
        std::fs::read_dir(directory).unwrap().map(|entry| inside(entry.unwrap().path())).sum()
    }

    fn jpeg() -> Vec<u8> {
        let mut out = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut out, 90);
        encoder.encode(&[0x40; 600 * 400 * 3], 600, 400, jpeg_encoder::ColorType::Rgb).unwrap();
        // A position, as far as anybody can tell, and which way is up.
        let exif = b"\xff\xe1\x00\x2eExif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\x88\x25\0\x04\0\0\0\x01\0\0\0\0\0\0\0\0";
        [&out[..2], exif, &out[2..]].concat()
    }

    #[test]
    fn a_picture_is_kept_with_what_is_made_of_it() {
        let (directory, shelf) = shelf();
        let body = [
            part("name=\"title\"", "На їжака".as_bytes()),
            part("name=\"file\"; filename=\"../../etc/\u{418}\u{306}од 1.HEIC\"", &jpeg()),
            part("name=\"tags\"", b"a,b"),
            b"--B--\r\n".to_vec(),
        ];
        let whole = body.concat();
        for size in [1, 977, whole.len()] {
            let form = Form::of("multipart/form-data; boundary=\"B\"", "").unwrap();
            let found = upload(&shelf, form, &whole, size).unwrap();
            assert_eq!((found.held.name.kind.mime, found.held.is_new), ("image/jpeg", size == 1));
            assert_eq!((found.shown.as_str(), found.bytes), ("Йод 1.HEIC", jpeg().len() as u64));
            assert_eq!((found.facts.orientation, found.facts.size, found.has_thumbnails), (6, Some((600, 400)), true));
            assert_eq!(found.facts.shown_size(), Some((400, 600)));
            let fields =
                [("title", "На їжака"), ("tags", "a,b")].map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(found.fields, fields);
            assert_eq!(std::fs::read(shelf.path(&found.held.name, Part::Original)).unwrap(), jpeg());
            let clean = std::fs::read(shelf.path(&found.held.name, Part::Clean)).unwrap();
            assert!(clean.len() == jpeg().len() && !clean.windows(2).any(|tag| tag == b"\x88\x25"));
        }
        // The other form of the name, and no form at all: the same file.
        assert!(!raw(&shelf, "Йод 1.jpg", &jpeg()).unwrap().held.is_new);
        assert_eq!(files(directory.path()), 4);
    }

    #[test]
    fn what_is_no_upload_leaves_nothing() {
        let (directory, shelf) = shelf();
        let end = &b"--B--"[..];
        let file = part("name=file; filename=a", b"x");
        let field = |value: &[u8]| [&part("name=title", value), &file[..], end].concat();
        let sentences = [
            (form(&shelf, end), "The form has no part named file"),
            (form(&shelf, &[&part("name=file; filename=\"\"", b""), end].concat()), "The file is empty"),
            (form(&shelf, &[&file[..], &file, end].concat()), "The form has more than one file; send one at a time"),
            (
                form(&shelf, &part("name=photo; filename=a", b"x")),
                "The form has a file in another part than the one named file",
            ),
            (form(&shelf, &file), "The form is incomplete: its last boundary is missing"),
            (form(&shelf, &field(b"\xff")), "A field of the form is not in UTF-8"),
            (
                form(&shelf, &field(&[b'x'; FIELDS_MAX_BYTES])),
                "The fields of the form are over the limit of 65536 bytes",
            ),
            (raw(&shelf, "a", b""), "The file is empty"),
            (raw(&shelf, "a", &[0; MOST as usize + 1]), "The file is over the limit of 100000 bytes"),
        ];
        for (result, sentence) in sentences {
            assert_eq!(said(result), sentence);
        }
        assert_eq!(said(Form::of("multipart/form-data", "")), "The Content-Type multipart/form-data has no boundary");
        assert_eq!(files(directory.path()), 0);
        assert!(form(&shelf, &field(&[b'x'; FIELDS_MAX_BYTES - 5])).is_ok());
        assert!(raw(&shelf, "a", &[0; MOST as usize]).is_ok());
    }

    #[test]
    fn a_form_that_is_cut_anywhere_leaves_nothing() {
        let (directory, shelf) = shelf();
        let whole = [&part("name=title", b"x"), &part("name=file; filename=a", b"text")[..], b"--B--"].concat();
        for length in 0..whole.len() {
            assert!(form(&shelf, &whole[..length]).is_err(), "{length}");
        }
        assert_eq!(files(directory.path()), 0);
        assert!(form(&shelf, &whole).is_ok());
    }

    #[test]
    fn what_cannot_be_decoded_is_kept_without_thumbnails() {
        let (_directory, shelf) = shelf();
        let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xea\x60\0\0\xea\x60\x08\x06\0\0\0".to_vec();
        bomb.extend([0; 40]);
        let heic = [&b"\x00\x00\x00\x18ftypheic\0\0\0\0mif1heic"[..], &[7; 100]].concat();
        for (body, mime) in [
            (&bomb[..], "image/png"),
            (&bomb[..30], "image/png"),
            (&heic, "image/heic"),
            (&jpeg()[..100], "image/jpeg"),
            (b"<svg onload=x>", "image/svg+xml"),
        ] {
            let found = raw(&shelf, "a.jpg", body).unwrap();
            assert_eq!((found.held.name.kind.mime, found.has_thumbnails), (mime, false));
        }
    }

    #[test]
    fn a_disk_that_is_full_is_told_apart() {
        for (kind, code) in [
            (ErrorKind::StorageFull, Code::StorageReadonly),
            (ErrorKind::QuotaExceeded, Code::StorageReadonly),
            (ErrorKind::PermissionDenied, Code::StorageUnavailable),
        ] {
            assert_eq!(not_stored(kind.into()).code(), code);
        }
    }
}
