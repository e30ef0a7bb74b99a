//! The pictures of the playground, for the README and for whoever changes its look: into the folder that
//! `PICTURES_INTO` names, as `scripts/screenshots` does, else where they are in nobody's way.

use std::path::Path;

use crate::support::{ID, Page, page};

/// What is taken: name, colour scheme, width and height, and how many dots make a pixel.
const PICTURES: [(&str, &str, u32, u32, u32); 3] = [
    ("playground", "light", 1280, 840, 1),
    ("playground-dark", "dark", 1280, 840, 1),
    ("playground-narrow", "light", 390, 720, 2),
];

/// The largest file that a picture may be.
const BYTES_MAX: usize = 200_000;

#[tokio::test]
async fn the_pictures_are_taken() {
    page(async |page| {
        page.types(&format!("/sandbox {ID}")).await;
        page.reads("Waiting for activation").await;
        for (name, scheme, width, height, scale) in PICTURES {
            page.prefers(scheme).await;
            page.is_sized(width, height, scale).await;
            page.value("document.activeElement.blur()").await;
            page.value("document.querySelector('.scroller').scrollTo(0, 1e6)").await;
            save(page, name).await;
        }
        page.is_sized(1280, 840, 1).await;
        page.prefers("light").await;
        page.goes_to("gallery").await;
        page.until("document.querySelector('.view')").await;
        save(page, "gallery").await;
    })
    .await;
}

async fn save(page: &Page, name: &str) {
    let picture = page.driver.screenshot_as_png().await.unwrap();
    assert!(picture.len() < BYTES_MAX, "{name} has {} bytes", picture.len());
    let folder = std::env::var("PICTURES_INTO").unwrap_or_else(|_| env!("CARGO_TARGET_TMPDIR").to_owned());
    std::fs::write(Path::new(&folder).join(format!("{name}.png")), picture).unwrap();
}
