//! Thumbnails of pictures, in two sizes, with as little memory as their decoders allow.
//!
//! A picture is looked at before it is decoded, and one over the bounds has no thumbnail. Rows are added up as they are decoded, so
//! that of most pictures only those of the thumbnail are ever in memory: a JPEG comes out of its decoder at a fraction of its size,
//! a PNG row by row. What has to be decoded as a whole has a lower bound.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::kind::Kind;

/// Pixels of a picture that is not in memory as a whole at any time.
pub const PIXELS_MAX: u64 = 64_000_000;
/// Pixels of one that is: a progressive JPEG, an interlaced PNG, a GIF or a WebP.
pub const WHOLE_PIXELS_MAX: u64 = 16_000_000;
/// The longest side of the larger thumbnail.
pub const LARGE_PIXELS: u32 = 1280;
/// That of the smaller one.
pub const SMALL_PIXELS: u32 = 320;
/// What a decoder may allocate for anything but pixels.
const DECODER_MAX_BYTES: usize = 8 * 1024 * 1024;
/// A profile of colours that goes with a thumbnail.
const PROFILE_MAX_BYTES: usize = 16 * 1024;
/// How good thumbnails look, out of 100.
const QUALITY: u8 = 80;

/// Two of them, as JPEG, the right way up. A picture that is smaller has smaller ones.
#[derive(Debug)]
pub struct Thumbnails {
    /// [`LARGE_PIXELS`] on its longest side.
    pub large: Vec<u8>,
    /// [`SMALL_PIXELS`].
    pub small: Vec<u8>,
}

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub enum NoThumbnails {
    /// It is no picture, or one that is not decoded here, such as HEIC.
    #[error("no thumbnails are made of this kind")]
    Kind,
    /// More pixels than the bound for its kind.
    #[error("it has {0} × {1} pixels, more than {2} of its kind are decoded")]
    TooLarge(u32, u32, u64),
    /// What the decoder says.
    #[error("it cannot be decoded: {0}")]
    Damaged(String),
}

/// Decodes a picture and makes them; `orientation` is that of EXIF. Takes as long as decoding takes, on a thread that may block.
///
/// # Errors
/// When there are none; that is no reason not to keep the picture.
pub fn thumbnails(kind: &Kind, file: &File, orientation: u8) -> Result<Thumbnails, NoThumbnails> {
    // The decoders are written without `unsafe`, and by people: a panic costs a thumbnail, and no upload.
    let made = catch_unwind(AssertUnwindSafe(|| {
        let mut file = file;
        file.rewind().map_err(damaged)?;
        let reader = BufReader::new(file);
        let (large, profile) = match kind.mime {
            "image/jpeg" => jpeg(reader)?,
            "image/png" => (png(reader)?, None),
            "image/gif" => (gif(reader)?, None),
            "image/webp" => (webp(reader)?, None),
            _ => return Err(NoThumbnails::Kind),
        };
        let large = large.turned(orientation);
        let mut small = Shrink::to(large.width, large.height, SMALL_PIXELS);
        large.pixels.chunks_exact(large.width as usize * 3).for_each(|row| small.row(row));
        let profile = profile.as_deref();
        Ok(Thumbnails { large: large.encoded(profile)?, small: small.end().encoded(profile)? })
    }));
    made.unwrap_or_else(|_| Err(NoThumbnails::Damaged("the decoder gave up".to_owned())))
}

fn damaged(error: impl ToString) -> NoThumbnails {
    NoThumbnails::Damaged(error.to_string())
}

fn check(width: u32, height: u32, most: u64) -> Result<(), NoThumbnails> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(damaged("it has no pixels"));
    }
    if pixels > most { Err(NoThumbnails::TooLarge(width, height, most)) } else { Ok(()) }
}

/// Pixels in red, green and blue.
struct Picture {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Picture {
    /// The right way up.
    fn turned(self, orientation: u8) -> Self {
        let (width, height) = (self.width as usize, self.height as usize);
        if !(2..=8).contains(&orientation) {
            return self;
        }
        let is_on_its_side = orientation >= 5;
        let (to_width, to_height) = if is_on_its_side { (height, width) } else { (width, height) };
        let mut pixels = Vec::with_capacity(self.pixels.len());
        for y in 0..to_height {
            for x in 0..to_width {
                let (x, y) = match orientation {
                    2 => (width - 1 - x, y),
                    3 => (width - 1 - x, height - 1 - y),
                    4 => (x, height - 1 - y),
                    5 => (y, x),
                    6 => (y, height - 1 - x),
                    7 => (width - 1 - y, height - 1 - x),
                    _ => (width - 1 - y, x),
                };
                let at = (y * width + x) * 3;
                pixels.extend_from_slice(&self.pixels[at..at + 3]);
            }
        }
        Self { width: to_width as u32, height: to_height as u32, pixels }
    }

    fn encoded(&self, profile: Option<&[u8]>) -> Result<Vec<u8>, NoThumbnails> {
        let mut out = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut out, QUALITY);
        if let Some(profile) = profile {
            encoder.add_icc_profile(profile).map_err(damaged)?;
        }
        // Thumbnails are no wider than two bytes say.
        let (width, height) = (self.width as u16, self.height as u16);
        encoder.encode(&self.pixels, width, height, jpeg_encoder::ColorType::Rgb).map_err(damaged)?;
        Ok(out)
    }
}

/// Takes a picture row by row, and makes a smaller one of it: each of its pixels is the mean of those that it stands for.
struct Shrink {
    from: (u32, u32),
    to: (u32, u32),
    /// Which row comes next.
    row: u32,
    /// The row that is added up, and how many are in it.
    sums: Vec<u32>,
    rows: u32,
    pixels: Vec<u8>,
}

impl Shrink {
    /// One for a picture of this size, to one whose longest side is `longest`, or its own if that is shorter.
    fn to(width: u32, height: u32, longest: u32) -> Self {
        let most = u64::from(width.max(height));
        let side = |side: u32| {
            let scaled = u64::from(side) * u64::from(longest) / most;
            if most <= u64::from(longest) { side } else { scaled.max(1) as u32 }
        };
        let to = (side(width), side(height));
        let pixels = Vec::with_capacity(to.0 as usize * to.1 as usize * 3);
        Self { from: (width, height), to, row: 0, sums: vec![0; to.0 as usize * 3], rows: 0, pixels }
    }

    /// The first of the pixels that one of the smaller picture stands for.
    fn first(of: u32, from: u32, to: u32) -> u32 {
        (u64::from(of) * u64::from(from) / u64::from(to)) as u32
    }

    /// Takes the next row, three bytes a pixel. What comes beyond the height is left out.
    fn row(&mut self, row: &[u8]) {
        let ((width, height), (to_width, to_height)) = (self.from, self.to);
        if self.row >= height || row.len() < width as usize * 3 {
            return;
        }
        for (x, sums) in (0_u32..).zip(self.sums.as_chunks_mut::<3>().0) {
            let columns = Self::first(x, width, to_width) as usize..Self::first(x + 1, width, to_width) as usize;
            for pixel in row[columns.start * 3..columns.end * 3].as_chunks::<3>().0 {
                sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u32::from(*value));
            }
        }
        self.row += 1;
        self.rows += 1;
        let done = self.pixels.len() as u32 / (to_width * 3);
        if done < to_height && self.row == Self::first(done + 1, height, to_height) {
            self.finish_row();
        }
    }

    fn finish_row(&mut self) {
        let ((width, _), (to_width, _)) = (self.from, self.to);
        for (x, sums) in (0_u32..).zip(self.sums.as_chunks_mut::<3>().0) {
            let columns = Self::first(x + 1, width, to_width) - Self::first(x, width, to_width);
            let count = (columns * self.rows).max(1);
            self.pixels.extend(sums.iter().map(|sum| ((sum + count / 2) / count) as u8));
            *sums = [0; 3];
        }
        self.rows = 0;
    }

    /// The smaller picture. Where rows are missing, it is grey.
    fn end(mut self) -> Picture {
        let (width, height) = self.to;
        self.pixels.resize(width as usize * height as usize * 3, 0x80);
        Picture { width, height, pixels: self.pixels }
    }
}

type Profile = Option<Vec<u8>>;

fn jpeg(reader: impl BufRead) -> Result<(Picture, Profile), NoThumbnails> {
    use jpeg_decoder::{CodingProcess, Decoder, PixelFormat};
    let mut decoder = Decoder::new(reader);
    decoder.read_info().map_err(damaged)?;
    let info = decoder.info().ok_or_else(|| damaged("it has no head"))?;
    let most = match info.coding_process {
        CodingProcess::DctSequential => PIXELS_MAX,
        CodingProcess::DctProgressive => WHOLE_PIXELS_MAX,
        CodingProcess::Lossless => return Err(NoThumbnails::Kind),
    };
    check(info.width.into(), info.height.into(), most)?;
    // The decoder offers the smallest fraction that has this on one of its sides.
    let (width, height) = (info.width as u32, info.height as u32);
    let longest = u64::from(width.max(height));
    let asked = |side: u32| (u64::from(side) * u64::from(LARGE_PIXELS)).div_ceil(longest).min(u64::from(side)) as u16;
    let (width, height) = decoder.scale(asked(width), asked(height)).map_err(damaged)?;
    decoder.set_max_decoding_buffer_size(WHOLE_PIXELS_MAX as usize * 4);
    let pixels = decoder.decode().map_err(damaged)?;
    let format = decoder.info().map_or(info.pixel_format, |info| info.pixel_format);
    let mut shrink = Shrink::to(width.into(), height.into(), LARGE_PIXELS);
    let mut rgb = Vec::new();
    for row in pixels.chunks_exact(usize::from(width) * format.pixel_bytes()) {
        rgb.clear();
        match format {
            PixelFormat::RGB24 => rgb.extend_from_slice(row),
            PixelFormat::L8 => rgb.extend(row.iter().flat_map(|grey| [*grey; 3])),
            // Inks as Adobe writes them: 255 is none.
            PixelFormat::CMYK32 => rgb.extend(
                row.as_chunks::<4>()
                    .0
                    .iter()
                    .flat_map(|[inks @ .., black]| inks.map(|ink| (u16::from(ink) * u16::from(*black) / 255) as u8)),
            ),
            PixelFormat::L16 => return Err(NoThumbnails::Kind),
        }
        shrink.row(&rgb);
    }
    let profile = decoder.icc_profile().filter(|profile| profile.len() <= PROFILE_MAX_BYTES);
    Ok((shrink.end(), profile.filter(|_| format == PixelFormat::RGB24)))
}

/// Adds a row of 1 to 4 channels, over white where it lets that through.
fn add(shrink: &mut Shrink, rgb: &mut Vec<u8>, row: &[u8], channels: usize) {
    let over =
        |value: u8, alpha: u8| ((u32::from(value) * u32::from(alpha) + 255 * (255 - u32::from(alpha))) / 255) as u8;
    rgb.clear();
    match channels {
        1 => rgb.extend(row.iter().flat_map(|grey| [*grey; 3])),
        2 => rgb.extend(row.as_chunks::<2>().0.iter().flat_map(|[grey, alpha]| [over(*grey, *alpha); 3])),
        3 => rgb.extend_from_slice(row),
        _ => {
            rgb.extend(row.as_chunks::<4>().0.iter().flat_map(|[r, g, b, alpha]| [*r, *g, *b].map(|c| over(c, *alpha))))
        }
    }
    shrink.row(rgb);
}

fn png(reader: impl BufRead + std::io::Seek) -> Result<Picture, NoThumbnails> {
    use png::{Decoder, Limits, Transformations};
    let mut decoder = Decoder::new_with_limits(reader, Limits { bytes: DECODER_MAX_BYTES });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let info = decoder.read_header_info().map_err(damaged)?;
    let (width, height, interlaced) = (info.width, info.height, info.interlaced);
    check(width, height, if interlaced { WHOLE_PIXELS_MAX } else { PIXELS_MAX })?;
    let mut reader = decoder.read_info().map_err(damaged)?;
    let channels = reader.output_color_type().0.samples();
    let (mut shrink, mut rgb) = (Shrink::to(width, height, LARGE_PIXELS), Vec::new());
    if interlaced {
        let mut pixels = vec![0; width as usize * height as usize * channels];
        reader.next_frame(&mut pixels).map_err(damaged)?;
        pixels.chunks_exact(width as usize * channels).for_each(|row| add(&mut shrink, &mut rgb, row, channels));
    } else {
        while let Some(row) = reader.next_row().map_err(damaged)? {
            add(&mut shrink, &mut rgb, row.data(), channels);
        }
    }
    Ok(shrink.end())
}

/// The first frame of it.
fn gif(reader: impl BufRead) -> Result<Picture, NoThumbnails> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::Indexed);
    let most = std::num::NonZeroU64::new(WHOLE_PIXELS_MAX).map(gif::MemoryLimit::Bytes);
    options.set_memory_limit(most.unwrap_or(gif::MemoryLimit::Unlimited));
    let mut decoder = options.read_info(reader).map_err(damaged)?;
    let shared = decoder.global_palette().map(<[u8]>::to_vec);
    let Some(frame) = decoder.next_frame_info().map_err(damaged)? else { return Err(damaged("it has no frame")) };
    let (width, height, clear) = (u32::from(frame.width), u32::from(frame.height), frame.transparent);
    check(width, height, WHOLE_PIXELS_MAX)?;
    let palette = frame.palette.clone().or(shared).ok_or_else(|| damaged("it has no colours"))?;
    let mut pixels = vec![0; width as usize * height as usize];
    decoder.read_into_buffer(&mut pixels).map_err(damaged)?;
    let (mut shrink, mut rgb) = (Shrink::to(width, height, LARGE_PIXELS), Vec::new());
    for row in pixels.chunks_exact(width as usize) {
        rgb.clear();
        rgb.extend(row.iter().flat_map(|index| match palette.as_chunks::<3>().0.get(usize::from(*index)) {
            Some(colour) if clear != Some(*index) => *colour,
            _ => [255; 3],
        }));
        shrink.row(&rgb);
    }
    Ok(shrink.end())
}

fn webp(reader: impl BufRead + std::io::Seek) -> Result<Picture, NoThumbnails> {
    let mut decoder = image_webp::WebPDecoder::new(reader).map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    check(width, height, WHOLE_PIXELS_MAX)?;
    decoder.set_memory_limit(DECODER_MAX_BYTES);
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let mut pixels = vec![0; width as usize * height as usize * channels];
    decoder.read_image(&mut pixels).map_err(damaged)?;
    let (mut shrink, mut rgb) = (Shrink::to(width, height, LARGE_PIXELS), Vec::new());
    pixels.chunks_exact(width as usize * channels).for_each(|row| add(&mut shrink, &mut rgb, row, channels));
    Ok(shrink.end())
}

#[cfg(test)]
mod tests {
    use super::super::reading::tests::file;
    use super::*;

    fn made(mime: &str, bytes: &[u8], orientation: u8) -> Result<Thumbnails, NoThumbnails> {
        thumbnails(Kind::named(mime), &file(bytes), orientation)
    }

    /// Red left above, green right above, blue left below, white right below.
    fn quarters(width: u32, height: u32) -> Vec<u8> {
        let colour = |x: u32, y: u32| match (x < width / 2, y < height / 2) {
            (true, true) => [255, 0, 0],
            (false, true) => [0, 255, 0],
            (true, false) => [0, 0, 255],
            (false, false) => [255, 255, 255],
        };
        (0..height).flat_map(|y| (0..width).flat_map(move |x| colour(x, y))).collect()
    }

    fn jpeg_of(width: u16, height: u16, progressive: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut out, 90);
        encoder.set_progressive(progressive);
        let pixels = quarters(width.into(), height.into());
        encoder.encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
        out
    }

    fn png_of(width: u32, height: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, width, height);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&quarters(width, height)).unwrap();
        writer.finish().unwrap();
        out
    }

    /// Width and height, and the colours in the midst of the quarters, from left above to right below.
    fn seen(jpeg: &[u8]) -> ((u16, u16), [[u8; 3]; 4]) {
        let mut decoder = jpeg_decoder::Decoder::new(jpeg);
        let pixels = decoder.decode().unwrap();
        let info = decoder.info().unwrap();
        let (width, height) = (usize::from(info.width), usize::from(info.height));
        let at = |x: usize, y: usize| {
            let from = (height * y / 4 * width + width * x / 4) * 3;
            [0, 1, 2].map(|channel| if pixels[from + channel] > 128 { 255 } else { 0 })
        };
        ((info.width, info.height), [at(1, 1), at(3, 1), at(1, 3), at(3, 3)])
    }

    const RED: [u8; 3] = [255, 0, 0];
    const GREEN: [u8; 3] = [0, 255, 0];
    const BLUE: [u8; 3] = [0, 0, 255];
    const WHITE: [u8; 3] = [255, 255, 255];

    #[test]
    fn thumbnails_have_two_sizes() {
        for bytes in [jpeg_of(2600, 1300, false), jpeg_of(2600, 1300, true)] {
            let made = made("image/jpeg", &bytes, 1).unwrap();
            assert_eq!(seen(&made.large), ((1280, 640), [RED, GREEN, BLUE, WHITE]));
            assert_eq!(seen(&made.small), ((320, 160), [RED, GREEN, BLUE, WHITE]));
        }
        let made = made("image/png", &png_of(900, 1501), 1).unwrap();
        assert_eq!(seen(&made.large), ((767, 1280), [RED, GREEN, BLUE, WHITE]));
        assert_eq!(seen(&made.small).0, (191, 320));
    }

    #[test]
    fn small_pictures_stay_small() {
        let made = made("image/png", &png_of(40, 30), 1).unwrap();
        assert_eq!(seen(&made.large), ((40, 30), [RED, GREEN, BLUE, WHITE]));
        assert_eq!(seen(&made.small).0, (40, 30));
        // However long they are: one side is never nothing.
        let thin = super::tests::made("image/png", &png_of(4000, 1), 1).unwrap();
        assert_eq!(seen(&thin.small).0, (320, 1));
    }

    #[test]
    fn pictures_are_turned_the_right_way_up() {
        let bytes = jpeg_of(64, 32, false);
        for (orientation, colours) in [
            (1, [RED, GREEN, BLUE, WHITE]),
            (2, [GREEN, RED, WHITE, BLUE]),
            (3, [WHITE, BLUE, GREEN, RED]),
            (4, [BLUE, WHITE, RED, GREEN]),
            (5, [RED, BLUE, GREEN, WHITE]),
            (6, [BLUE, RED, WHITE, GREEN]),
            (7, [WHITE, GREEN, BLUE, RED]),
            (8, [GREEN, WHITE, RED, BLUE]),
        ] {
            let size = if orientation < 5 { (64, 32) } else { (32, 64) };
            assert_eq!(seen(&made("image/jpeg", &bytes, orientation).unwrap().large), (size, colours), "{orientation}");
        }
    }

    #[test]
    fn of_a_film_the_first_frame_is_shown() {
        let mut out = Vec::new();
        let mut encoder = gif::Encoder::new(&mut out, 4, 4, &[255, 0, 0, 0, 255, 0]).unwrap();
        for colour in [0, 1, 1, 1] {
            let frame = gif::Frame { width: 4, height: 4, buffer: vec![colour; 16].into(), ..gif::Frame::default() };
            encoder.write_frame(&frame).unwrap();
        }
        drop(encoder);
        // What comes behind the first is not even looked at.
        out.truncate(out.len() - 12);
        assert_eq!(seen(&made("image/gif", &out, 1).unwrap().large), ((4, 4), [RED; 4]));
    }

    #[test]
    fn webp_is_decoded() {
        let mut out = Vec::new();
        let encoder = image_webp::WebPEncoder::new(&mut out);
        encoder.encode(&quarters(640, 480), 640, 480, image_webp::ColorType::Rgb8).unwrap();
        let made = made("image/webp", &out, 1).unwrap();
        assert_eq!(seen(&made.small), ((320, 240), [RED, GREEN, BLUE, WHITE]));
    }

    #[test]
    fn a_picture_over_the_bounds_has_none() {
        let head = |width: u32, height: u32, interlaced: u8| {
            let ihdr = [&b"IHDR"[..], &width.to_be_bytes(), &height.to_be_bytes(), &[8, 6, 0, 0, interlaced]].concat();
            let mut crc = flate2::Crc::new();
            crc.update(&ihdr);
            [&b"\x89PNG\r\n\x1a\n\0\0\0\r"[..], &ihdr, &crc.sum().to_be_bytes(), b"\0\0\0\0IDAT\x35\xaf\x06\x1e"]
                .concat()
        };
        let says = |mime: &str, bytes: &[u8]| made(mime, bytes, 1).unwrap_err().to_string();
        let bomb = says("image/png", &head(60_000, 60_000, 0));
        assert_eq!(bomb, "it has 60000 × 60000 pixels, more than 64000000 of its kind are decoded");
        assert!(says("image/png", &head(8000, 8001, 0)).contains("more than 64000000"));
        assert!(says("image/png", &head(8000, 8000, 0)).starts_with("it cannot be decoded"));
        assert!(says("image/png", &head(4000, 4001, 1)).contains("more than 16000000"));
        assert!(says("image/gif", b"GIF89a\xff\xff\xff\xff\x80\0\0abcdef,\0\0\0\0\xff\xff\xff\xff\0\x02").len() > 20);
        let mut sequential = jpeg_of(16, 16, false);
        let at = sequential.windows(2).position(|marker| matches!(marker, [0xff, 0xc0 | 0xc1])).unwrap();
        sequential[at + 5..at + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
        assert!(says("image/jpeg", &sequential).contains("more than 64000000"));
        sequential[at + 1] = 0xc2;
        assert!(says("image/jpeg", &sequential).contains("more than 16000000"));
        assert_eq!(says("image/heic", b""), "no thumbnails are made of this kind");
    }

    #[test]
    fn what_is_damaged_has_none_or_what_was_there() {
        let (jpeg, png) = (jpeg_of(64, 64, false), png_of(64, 64));
        for (mime, bytes) in [("image/jpeg", jpeg), ("image/png", png)] {
            for cut in (0..bytes.len()).step_by(7) {
                if let Ok(made) = made(mime, &bytes[..cut], 1) {
                    assert_eq!(seen(&made.large).0, (64, 64), "{mime} {cut}");
                }
            }
        }
        assert!(made("image/jpeg", b"\xff\xd8\xff", 1).is_err());
        assert!(made("image/webp", b"RIFF\xff\0\0\0WEBPVP8L", 1).is_err());
    }
}
