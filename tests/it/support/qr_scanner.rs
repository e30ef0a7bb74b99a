//! Scans QR codes in PNG files with a library that is independent of the encoder.

use std::io::Cursor;

use png::{Decoder, Transformations};
use rqrr::PreparedImage;

/// A picture as dots from black (0) to white (255).
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub dots: Vec<u8>,
}

impl Picture {
    /// Reads a PNG.
    pub fn of(png: &[u8]) -> Self {
        let mut decoder = Decoder::new(Cursor::new(png));
        decoder.set_transformations(Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().expect("it is a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut bytes).expect("the PNG is whole");
        let samples = frame.color_type.samples();
        let dots = bytes[..frame.buffer_size()]
            .chunks(samples)
            .map(|dot| match *dot {
                [red, green, blue, ..] => {
                    let sum = u16::from(red) + u16::from(green) + u16::from(blue);
                    u8::try_from(sum / 3).unwrap()
                }
                [grey, ..] => grey,
                [] => unreachable!("a dot has a colour"),
            })
            .collect();
        Self {
            width: usize::try_from(frame.width).unwrap(),
            height: usize::try_from(frame.height).unwrap(),
            dots,
        }
    }

    /// The text of each QR code in the picture.
    pub fn scan(&self) -> Vec<String> {
        let dot = |x: usize, y: usize| self.dots[y * self.width + x];
        let mut image = PreparedImage::prepare_from_greyscale(self.width, self.height, dot);
        let codes = image.detect_grids();
        codes
            .iter()
            .map(|code| code.decode().expect("the code can be read").1)
            .collect()
    }
}
