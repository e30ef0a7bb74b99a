//! Follows the headers of the frames that the app sends. The WebSocket library assembles fragmented messages, but Slack
//! does not.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Ends the HTTP head of the WebSocket handshake.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// A stream from a WebSocket client.
pub(super) struct Watched<S> {
    pub(super) stream: S,
    headers: FrameHeaders,
    has_fragments: bool,
}

/// The frames of a client, whose payload is always masked.
struct FrameHeaders {
    position: Position,
}

/// What comes next.
enum Position {
    /// The rest of the HTTP head, of whose end so many bytes have come.
    Head(usize),
    /// The rest of the header that begins with these bytes.
    Header(Vec<u8>),
    /// So many bytes of payload.
    Payload(u64),
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            headers: FrameHeaders {
                position: Position::Head(0),
            },
            has_fragments: false,
        }
    }

    /// Whether a message came in more than one frame.
    pub(super) fn has_fragments(&self) -> bool {
        self.has_fragments
    }
}

impl FrameHeaders {
    /// Reads the next bytes, and says whether they hold a header of a fragment.
    fn read(&mut self, mut bytes: &[u8]) -> bool {
        let mut has_fragments = false;
        while let Some((&byte, rest)) = bytes.split_first() {
            match &mut self.position {
                Position::Head(matched) => {
                    *matched = match *matched {
                        matched if END_OF_HEAD[matched] == byte => matched + 1,
                        _ => usize::from(END_OF_HEAD[0] == byte),
                    };
                    if *matched == END_OF_HEAD.len() {
                        self.position = Position::Header(Vec::new());
                    }
                    bytes = rest;
                }
                Position::Header(header) => {
                    header.push(byte);
                    if let Some(payload) = payload_length(header) {
                        let (is_final, opcode) = (header[0] & 0x80 != 0, header[0] & 0x0f);
                        has_fragments |= !is_final || opcode == 0;
                        self.position = Position::Payload(payload);
                    }
                    bytes = rest;
                }
                Position::Payload(0) => self.position = Position::Header(Vec::new()),
                Position::Payload(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= taken as u64;
                    bytes = &bytes[taken..];
                }
            }
        }
        has_fragments
    }
}

/// The length of the payload, once the header is whole, the key of the mask included.
fn payload_length(header: &[u8]) -> Option<u64> {
    const MASK: usize = 4;
    let extended = match header.get(1)? & 0x7f {
        126 => 2,
        127 => 8,
        short => return (header.len() == 2 + MASK).then_some(short.into()),
    };
    let whole = header.len() == 2 + extended + MASK;
    whole.then(|| {
        let bytes = header[2..2 + extended].iter();
        bytes.fold(0, |length, byte| length << 8 | u64::from(*byte))
    })
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let has_fragments = self.headers.read(&buffer.filled()[before..]);
        self.has_fragments |= has_fragments;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: u8 = 0x81;
    const PING: u8 = 0x89;
    const FIRST: u8 = 0x01;
    const CONTINUATION: u8 = 0x00;
    const LAST: u8 = 0x80;

    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ 0..126), _) => frame.push(0x80 | short),
            (_, Ok(length)) => {
                frame.push(0x80 | 0x7e);
                frame.extend(length.to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 0x7f);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        // The mask, and a payload that looks like headers of fragments.
        frame.extend([0; 4]);
        frame.resize(frame.len() + length, CONTINUATION);
        frame
    }

    #[test]
    fn fragments_are_found_wherever_the_bytes_are_split() {
        for (frames, expected) in [
            (vec![(TEXT, 5), (PING, 0), (TEXT, 125)], false),
            (vec![(TEXT, 126), (TEXT, 65_535), (TEXT, 65_536), (PING, 8)], false),
            (vec![(TEXT, 300), (FIRST, 10), (LAST, 10)], true),
            (vec![(FIRST, 70_000)], true),
            (vec![(PING, 8), (CONTINUATION, 0)], true),
            (vec![(LAST, 126)], true),
        ] {
            let mut bytes = b"GET / HTTP/1.1\r\nA: b\r\n\r\n".to_vec();
            bytes.extend(frames.iter().flat_map(|(first, length)| frame(*first, *length)));
            for size in [1, 2, 3, 7, 4_096, bytes.len()] {
                let mut headers = FrameHeaders {
                    position: Position::Head(0),
                };
                let found: Vec<bool> = bytes.chunks(size).map(|part| headers.read(part)).collect();
                assert_eq!(found.contains(&true), expected, "{frames:?} by {size}");
            }
        }
    }
}
