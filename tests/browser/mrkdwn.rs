//! Slack's markup, as the page shows it.

use serde_json::json;

use crate::support::page;

/// Markup, and the HTML it becomes. It is Monday, 23 November 2026, ten in the morning in London.
const ROWS: [(&str, &str); 24] = [
    (
        "*b* _i_ ~s~ `c`",
        "<strong>b</strong> <em>i</em> <s>s</s> <code>c</code>",
    ),
    ("*b _bi_*.", "<strong>b <em>bi</em></strong>."),
    ("2*3*4 snake_case_name a * b * c", "2*3*4 snake_case_name a * b * c"),
    ("*never closed", "*never closed"),
    ("`*no* &lt;b&gt; <!here>`", "<code>*no* &lt;b&gt; &lt;!here&gt;</code>"),
    ("a ``` *pre* ``` b", "a <pre> *pre* </pre> b"),
    ("one\ntwo", "one\ntwo"),
    (
        "&gt; said\n&gt; twice\nplain",
        "<blockquote>said\ntwice</blockquote>plain",
    ),
    (
        "&lt;b&gt; &amp;amp; &quot;<never closed",
        "&lt;b&gt; &amp;amp; &amp;quot;&lt;never closed",
    ),
    (
        "<https://wa.me/1?a=1&amp;b=2|a *label*>",
        r#"<a href="https://wa.me/1?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">a *label*</a>"#,
    ),
    (
        "<mailto:a@b.example>",
        r#"<a href="mailto:a@b.example" target="_blank" rel="noopener noreferrer">mailto:a@b.example</a>"#,
    ),
    ("<javascript:alert(1)|click>", "<span>click</span>"),
    ("<data:text/html,x|click>", "<span>click</span>"),
    (
        "<@U2147483697> <@W1|ann>",
        r#"<span class="mention">@steve</span> <span class="mention">@ann</span>"#,
    ),
    ("<#C2147483705>", r#"<span class="mention">#sandbox</span>"#),
    ("<!channel>", r#"<span class="mention">@channel</span>"#),
    ("<!subteam^S1|@ops>", r#"<span class="mention">@ops</span>"#),
    (
        "<!date^1795428000^{date_short_pretty} at {time}|UTC>",
        r#"<time datetime="2026-11-23T10:00:00.000Z" title="UTC">today at 10:00 AM</time>"#,
    ),
    (
        "<!date^1795341600^{date_pretty}, {ago}|UTC>",
        r#"<time datetime="2026-11-22T10:00:00.000Z" title="UTC">yesterday, yesterday</time>"#,
    ),
    (
        "<!date^1795600800^{date_num} {date} {date_short}|UTC>",
        r#"<time datetime="2026-11-25T10:00:00.000Z" title="UTC">2026-11-25 November 25 Nov 25, 2026</time>"#,
    ),
    (
        "<!date^1783072800^{date_long} {time_secs}|UTC>",
        r#"<time datetime="2026-07-03T10:00:00.000Z" title="UTC">Friday, July 3, 2026 11:00:00 AM</time>"#,
    ),
    (
        "<!date^1795428600^{ago} {unknown}|UTC>",
        r#"<time datetime="2026-11-23T10:10:00.000Z" title="UTC">in 10 minutes {unknown}</time>"#,
    ),
    ("<!date^soon^{date}|2026 &amp; later>", "2026 &amp; later"),
    ("<!date^99999999999999999^{date}|never>", "never"),
];

#[tokio::test]
async fn mrkdwn_is_rendered_as_in_slack() {
    page(async |page| {
        for (markup, html) in ROWS {
            let script = format!(
                "const done = arguments[arguments.length - 1];
                 import('/page/mrkdwn.js').then(({{ mrkdwn }}) => {{
                   const made = document.createElement('div');
                   made.append(mrkdwn({}, Date.UTC(2026, 10, 23, 10)));
                   done(made.innerHTML);
                 }});",
                json!(markup)
            );
            let made = page.driver.execute_async(script, vec![]).await.unwrap();
            assert_eq!(made.json(), html, "{markup}");
        }
    })
    .await;
}
