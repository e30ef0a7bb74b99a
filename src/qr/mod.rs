//! The activation link as a QR code: an image for the tester's phone, at a signed address that expires soon.
//!
//! Slack loads images from an address, so everybody who has the address has the image. The address therefore contains no
//! activation code, expires, and is signed, so that only this app can create or change one.

mod address;
mod image;
mod png;

pub use address::{AddressError, Addresses, LIFETIME, VerifiedAddress};
pub use image::{Image, ImageError, Images, LINK_MAX, activation_link};
pub use png::encode;
