//! Encodes a text as the PNG of a QR code.

use png::{BitDepth, ColorType, Encoder};
use qrcode::{Color, EcLevel, QrCode};

/// Side of a module, in pixels: at one bit per pixel, a module is one byte of a row. Slack shows an image at most 360
/// pixels wide, and the code of a usual link is smaller than that, so it is not scaled.
const MODULE: usize = 8;
/// The white margin that scanners need, in modules.
const MARGIN: usize = 4;
const WHITE: u8 = 0xff;
const BLACK: u8 = 0x00;

/// The PNG of a text's QR code, black on white. `None` if the text is too long for one.
#[must_use]
pub fn encode(text: &str) -> Option<Vec<u8>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let modules = code.to_colors();
    let side = code.width() + 2 * MARGIN;
    let margin = vec![WHITE; MARGIN * MODULE * side];
    let mut pixels = margin.clone();
    for line in modules.chunks(code.width()) {
        let mut row = vec![WHITE; side];
        for (pixel, color) in row[MARGIN..].iter_mut().zip(line) {
            *pixel = if *color == Color::Dark { BLACK } else { WHITE };
        }
        pixels.extend(row.repeat(MODULE));
    }
    pixels.extend(margin);

    let side = u32::try_from(side * MODULE).ok()?;
    let mut png = Vec::new();
    let mut encoder = Encoder::new(&mut png, side, side);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::One);
    // Cannot fail: writes to memory.
    encoder.write_header().ok()?.write_image_data(&pixels).ok()?;
    Some(png)
}
