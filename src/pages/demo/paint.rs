//! Pictures for the demo: a sky of two colours above hills of a third.

use std::f32::consts::TAU;

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 800;

/// A colour as red, green and blue.
pub(super) type Color = [u8; 3];

/// Reads `#rrggbb`.
pub(super) fn color(text: &str) -> Option<Color> {
    let number = u32::from_str_radix(text.strip_prefix('#')?, 16).ok()?;
    let [_, red, green, blue] = number.to_be_bytes();
    Some([red, green, blue])
}

/// A PNG of the sky from `top` to `bottom`, and of hills.
///
/// # Errors
/// When it cannot be encoded.
pub(super) fn picture([top, bottom, hills]: [Color; 3]) -> Result<Vec<u8>, png::EncodingError> {
    let mut pixels = Vec::with_capacity((WIDTH * HEIGHT * 3) as usize);
    for y in 0..HEIGHT {
        let height = y as f32 / HEIGHT as f32;
        for x in 0..WIDTH {
            let along = x as f32 / WIDTH as f32;
            let near = 0.78 + 0.06 * (along * TAU * 1.5).sin() + 0.02 * (along * TAU * 4.0).sin();
            let far = 0.66 + 0.07 * (along * TAU + 1.0).sin();
            let sky = mixed(top, bottom, height / 0.7);
            pixels.extend(match height {
                at if at > near => hills,
                at if at > far => mixed(hills, bottom, 0.45),
                _ => sky,
            });
        }
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(file)
}

/// So much of the second colour in the first, from 0 to 1.
fn mixed(from: Color, to: Color, much: f32) -> Color {
    let much = much.clamp(0.0, 1.0);
    [0, 1, 2].map(|at| (f32::from(from[at]) + (f32::from(to[at]) - f32::from(from[at])) * much) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_a_png_of_its_colours() {
        assert_eq!(color("#1b2a6b"), Some([0x1b, 0x2a, 0x6b]));
        assert_eq!((color("1b2a6b"), color("#xyz")), (None, None));
        let file = picture([[0, 0, 0], [255, 255, 255], [10, 200, 30]]).unwrap();
        let decoder = png::Decoder::new(std::io::Cursor::new(file));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels[..3], [0, 0, 0], "the sky begins at its top");
        assert_eq!(pixels[pixels.len() - 3..], [10, 200, 30], "and ends in hills");
    }
}
