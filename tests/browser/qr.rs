//! "Show QR code": the image on the page can be scanned.

use crate::support::qr_scanner::Picture;
use crate::support::{ID, images_are_shown, page};

const LINK: &str = "https://wa.me/12345678901?text=ABC123";

#[tokio::test]
async fn the_qr_code_on_the_page_can_be_scanned() {
    page(async |page| {
        page.send_command(&format!("/sandbox {ID}")).await;
        page.wait_for_message("Waiting for activation").await;
        page.press("Show QR code").await;
        let message = page.wait_for_message("Or scan this code").await;
        assert!(message.contains(LINK), "{message}");
        assert!(message.contains("Only visible to you"), "{message}");
        images_are_shown(page).await;
        let alt = page.evaluate("document.querySelector('.message figure img').alt").await;
        assert!(alt.as_str().unwrap().contains("opens WhatsApp"), "{alt}");
        for scheme in ["light", "dark"] {
            page.set_color_scheme(scheme).await;
            let screen = page.driver.screenshot_as_png().await.unwrap();
            assert_eq!(Picture::of(&screen).scan(), [LINK], "{scheme}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_qr_code_in_the_gallery_can_be_scanned() {
    page(async |page| {
        // Whatever becomes of the session in the playground, and of Kapso.
        page.demo().kapso.delete(ID);
        page.click(".chip", "500").await;
        page.wait_for_text("#fault-what", "Kapso has an error").await;
        page.navigate("gallery").await;
        page.wait_until("document.querySelector('.view figure img')").await;
        page.evaluate("document.querySelector('.view figure img').scrollIntoView()")
            .await;
        images_are_shown(page).await;
        let screen = page.driver.screenshot_as_png().await.unwrap();
        assert_eq!(Picture::of(&screen).scan(), [LINK]);
    })
    .await;
}
