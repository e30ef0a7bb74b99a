//! Takes the screenshots of the playground for the README: `screenshots <folder>`, as `scripts/screenshots` runs it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a developer's tool: it says what is wrong by panicking"
)]

#[expect(dead_code, reason = "shared with the browser tests, which need more of it")]
#[path = "../tests/browser/support.rs"]
mod support;

use std::path::{Path, PathBuf};

use support::{Page, images_are_shown, page};

/// Name, colour scheme, width and height in CSS pixels, and device pixels per CSS pixel.
const SCREENSHOTS: [(&str, &str, u32, u32, u32); 3] = [
    ("playground", "light", 1280, 840, 1),
    ("playground-dark", "dark", 1280, 840, 1),
    ("playground-narrow", "light", 390, 720, 2),
];

/// Largest file that belongs into the repository.
const BYTES_MAX: usize = 200_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("the folder for the images"));
    page(async |page| {
        page.demo().show_first_card().await;
        for (name, scheme, width, height, scale) in SCREENSHOTS {
            page.set_color_scheme(scheme).await;
            page.set_size(width, height, scale).await;
            page.navigate("").await;
            page.wait_for_message("Waiting for activation").await;
            page.evaluate("document.activeElement.blur()").await;
            images_are_shown(page).await;
            save(page, &folder, name).await;
        }
        page.set_size(1280, 840, 1).await;
        page.set_color_scheme("light").await;
        page.navigate("gallery").await;
        page.wait_until("document.querySelector('.view')").await;
        save(page, &folder, "gallery").await;
    })
    .await;
}

async fn save(page: &Page, folder: &Path, name: &str) {
    let image = page.driver.screenshot_as_png().await.unwrap();
    assert!(image.len() < BYTES_MAX, "{name} has {} bytes", image.len());
    std::fs::write(folder.join(format!("{name}.png")), image).unwrap();
}
