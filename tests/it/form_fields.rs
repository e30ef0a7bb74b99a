//! The fields of the bodies that Slack sends.

use kapso_slack::slack::form_fields::form_fields;
use proptest::prelude::*;

proptest! {
    #[test]
    fn every_body_is_read_as_the_url_standard_says(body in "[a-c%&=+ 0-9A-Fé\\x00]{0,40}") {
        let read: Vec<(String, String)> = form_fields(body.as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into()))
            .collect();
        let expected: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn so_is_a_body_that_is_not_text(body: Vec<u8>) {
        let read: Vec<(String, String)> = form_fields(&body)
            .map(|(name, value)| (name.into_owned(), value.into()))
            .collect();
        let expected: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
        prop_assert_eq!(read, expected);
    }
}
