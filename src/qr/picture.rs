//! Draws a text as a QR code, as a PNG.

use png::{BitDepth, ColorType, Encoder};
use qrcode::{Color, EcLevel, QrCode};

/// The side of a module, in dots: at one bit a dot, a module is a byte of each row. Slack shows a picture at most 360
/// dots wide, and a usual link's stays below that, so that nothing is scaled.
const MODULE: usize = 8;
/// The white around the code that readers need, in modules.
const QUIET: usize = 4;
const WHITE: u8 = 0xff;
const BLACK: u8 = 0x00;

/// The PNG of a text's QR code, black on white. `None` if the text is too long for one.
#[must_use]
pub fn picture(text: &str) -> Option<Vec<u8>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let modules = code.to_colors();
    let side = code.width() + 2 * QUIET;
    let quiet = vec![WHITE; QUIET * MODULE * side];
    let mut dots = quiet.clone();
    for line in modules.chunks(code.width()) {
        let mut row = vec![WHITE; side];
        for (dot, color) in row[QUIET..].iter_mut().zip(line) {
            *dot = if *color == Color::Dark { BLACK } else { WHITE };
        }
        dots.extend(row.repeat(MODULE));
    }
    dots.extend(quiet);

    let side = u32::try_from(side * MODULE).ok()?;
    let mut png = Vec::new();
    let mut encoder = Encoder::new(&mut png, side, side);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::One);
    // A vector takes every write.
    encoder.write_header().ok()?.write_image_data(&dots).ok()?;
    Some(png)
}
