//! The test harness: the playground in a Chromium of its own, with checks of the browser's console and requests at the
//! end.

use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::SignedDuration;
use kapso_slack::app::client_builder;
use kapso_slack::clock::Clock;
use kapso_slack::config::Settings;
use kapso_slack::demo::{self, DemoServer, RunningDemo};
use serde_json::{Value, json};
use thirtyfour::{
    BrowserLogEntry, ChromiumLikeCapabilities, DesiredCapabilities, LoggingPrefsLogLevel, TypingData, WebDriver,
};

#[path = "../it/support/qr_scanner.rs"]
pub mod qr_scanner;

/// The pending session of the demo.
pub const ID: &str = "123e4567-e89b-12d3-a456-426614174000";
/// Timeout for any step: far longer than one takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The playground, open in a browser.
pub struct Page {
    pub playing: RunningDemo,
    pub driver: WebDriver,
    _chromedriver: Chromedriver,
}

/// Runs `test` with the playground and the app's default settings.
pub async fn page(test: impl AsyncFnOnce(&mut Page)) {
    page_with(|_| {}, test).await;
}

/// Runs `test` with the playground and changed settings of the app.
pub async fn page_with(change: impl FnOnce(&mut Settings), test: impl AsyncFnOnce(&mut Page)) {
    let mut page = Page::open(change).await;
    let testing = async {
        page.open_playground().await;
        test(&mut page).await;
    };
    let in_time = tokio::time::timeout(TIMEOUT * 2, testing);
    let tested = AssertUnwindSafe(in_time).catch_unwind().await;
    // Closes the browser also if the test failed.
    let seen = page.close().await;
    match tested {
        Ok(in_time) => in_time.expect("the test ends in time"),
        Err(panic) => resume_unwind(panic),
    }
    seen.expect_no_complaints();
}

impl Page {
    /// Opens the playground. The clock is stopped at ten in the morning in London.
    async fn open(change: impl FnOnce(&mut Settings)) -> Self {
        let clock = Clock::stopped("2026-11-23T10:00:00Z".parse().unwrap());
        let change = |settings: &mut Settings| {
            // With a stopped clock, the fourth message to a channel would wait for ever.
            settings.timing.channel_interval = SignedDuration::ZERO;
            change(settings);
        };
        let playing = demo::start(0, clock, change).await.unwrap();
        let chromedriver = Chromedriver::start();
        let profile = chromedriver.profile.path().display().to_string();
        let mut chromium = DesiredCapabilities::chrome();
        for argument in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-extensions",
            "--disable-component-extensions-with-background-pages",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-dev-shm-usage",
            "--disable-sync",
            "--hide-scrollbars",
            "--lang=en-US",
            "--window-size=1280,860",
            // No host name is resolved: requests to other hosts fail, and are seen.
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
            &format!("--user-data-dir={profile}"),
        ] {
            chromium.add_arg(argument).unwrap();
        }
        for log in ["browser", "performance"] {
            chromium.set_logging_prefs(log, LoggingPrefsLogLevel::All).unwrap();
        }
        let driver = WebDriver::builder(&chromedriver.address, chromium)
            .client(client_builder().timeout(TIMEOUT * 2).build().unwrap())
            .await
            .expect("Chromium starts");
        Self {
            playing,
            driver,
            _chromedriver: chromedriver,
        }
    }

    async fn open_playground(&self) {
        self.driver.set_script_timeout(TIMEOUT).await.unwrap();
        // The browser's start page loads resources of its own.
        self.driver.goto("about:blank").await.unwrap();
        self.driver.get_log("performance").await.unwrap();
        self.navigate("").await;
        self.wait_until("document.querySelectorAll('.session').length > 0")
            .await;
    }

    pub fn demo(&self) -> &DemoServer {
        self.playing.server()
    }

    /// Opens another page of the playground.
    pub async fn navigate(&self, path: &str) {
        self.driver
            .goto(self.playing.url().join(path).unwrap().as_str())
            .await
            .unwrap();
    }

    /// Types into the focused element.
    pub async fn type_keys(&self, keys: impl Into<TypingData>) {
        self.driver
            .active_element()
            .await
            .unwrap()
            .send_keys(keys)
            .await
            .unwrap();
    }

    /// Types a command into the composer and sends it.
    pub async fn send_command(&self, command: &str) {
        let composer = self.driver.find(thirtyfour::By::Id("command")).await.unwrap();
        composer.send_keys(format!("{command}\n")).await.unwrap();
    }

    /// Clicks the first element of `selector` with this text or label.
    pub async fn click(&self, selector: &str, words: &str) {
        let named = format!(
            "[...document.querySelectorAll({})].filter((it) => \
             (it.ariaLabel ?? it.textContent).includes({})).at(-1)",
            json!(selector),
            json!(words)
        );
        self.wait_until(&named).await;
        let found = self.driver.execute(format!("return {named}"), vec![]).await.unwrap();
        let element = found.element().unwrap();
        element.scroll_into_view().await.unwrap();
        element.click().await.unwrap();
    }

    /// Clicks a button of the last message.
    pub async fn press(&self, label: &str) {
        self.click(".message:last-child [data-action]", label).await;
    }

    /// The text of `selector`, once it contains these words.
    pub async fn wait_for_text(&self, selector: &str, words: &str) -> String {
        let shown = format!("document.querySelector({})?.innerText", json!(selector));
        let seen = self
            .wait_until(&format!("{shown}?.includes({}) && {shown}", json!(words)))
            .await;
        seen.as_str().unwrap().to_owned()
    }

    /// The last message, once it contains these words.
    pub async fn wait_for_message(&self, words: &str) -> String {
        self.wait_for_text("#conversation > .message:last-child .content", words)
            .await
    }

    /// Evaluates an expression.
    pub async fn evaluate(&self, expression: &str) -> Value {
        let script = format!("return {expression}");
        self.driver.execute(script, vec![]).await.unwrap().json().clone()
    }

    /// Waits until an expression is true, and returns it. Evaluated again whenever the page changes.
    pub async fn wait_until(&self, expression: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             const check = () => {{
               const found = {expression};
               if (found) {{ observer.disconnect(); done(found instanceof Node ? true : found); }}
             }};
             const observer = new MutationObserver(check);
             const all = {{ subtree: true, childList: true, attributes: true, characterData: true }};
             observer.observe(document, all);
             check();"
        );
        match self.driver.execute_async(script, vec![]).await {
            Ok(found) => found.json().clone(),
            Err(error) => panic!("{expression} did not come true: {error}\n{}", self.text().await),
        }
    }

    /// The whole text of the page.
    pub async fn text(&self) -> String {
        self.evaluate("document.body.innerText")
            .await
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Sets the preferred colour scheme.
    pub async fn set_color_scheme(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.driver
            .cdp()
            .send_raw("Emulation.setEmulatedMedia", features)
            .await
            .unwrap();
    }

    /// Resizes the window, in CSS pixels.
    pub async fn set_size(&self, width: u32, height: u32, scale: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": false});
        self.driver
            .cdp()
            .send_raw("Emulation.setDeviceMetricsOverride", size)
            .await
            .unwrap();
    }

    async fn close(self) -> BrowserReport {
        let own = self.playing.url().to_string();
        let seen = BrowserReport {
            complaints: self.driver.get_log("browser").await.unwrap_or_default(),
            network: self.driver.get_log("performance").await.unwrap_or_default(),
            broken: [
                self.demo().slack.rule_violations(),
                self.demo().kapso.unexpected_requests(),
            ]
            .concat(),
            own,
        };
        self.driver.quit().await.unwrap();
        seen
    }
}

/// The browser's console and requests at the end of a test.
struct BrowserReport {
    own: String,
    complaints: Vec<BrowserLogEntry>,
    network: Vec<BrowserLogEntry>,
    broken: Vec<String>,
}

impl BrowserReport {
    /// Fails for any console message, and for any request to another address.
    fn expect_no_complaints(&self) {
        assert!(
            self.complaints.is_empty(),
            "the browser complains: {:#?}",
            self.complaints
        );
        assert!(self.broken.is_empty(), "{:?}", self.broken);
        let asked: Vec<String> = self
            .network
            .iter()
            .map(|entry| serde_json::from_str::<Value>(&entry.message).unwrap())
            .filter(|entry| entry["message"]["method"] == "Network.requestWillBeSent")
            .map(|entry| {
                entry["message"]["params"]["request"]["url"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert!(asked.len() > 5, "the log of requests is kept: {asked:?}");
        let elsewhere: Vec<_> = asked.iter().filter(|url| !url.starts_with(&self.own)).collect();
        assert!(elsewhere.is_empty(), "requests to somewhere else: {elsewhere:?}");
    }
}

/// Waits until every image of the page is loaded and painted.
pub async fn images_are_shown(page: &Page) {
    let script = "const done = arguments[arguments.length - 1];
        Promise.all([...document.images].map((it) => it.decode()))
          .then(() => requestAnimationFrame(() => requestAnimationFrame(done)));";
    page.driver.execute_async(script, vec![]).await.unwrap();
}

/// The process of Chromium's driver.
struct Chromedriver {
    process: Child,
    address: String,
    profile: Profile,
}

impl Chromedriver {
    /// Starts it, again if it fails: it picks a port that is free on IPv4 or IPv6, and exits if it is taken on the other.
    fn start() -> Self {
        let mut said = String::new();
        (0..5)
            .find_map(|_| Self::try_to_start(&mut said))
            .unwrap_or_else(|| panic!("chromedriver does not say where it listens, but:\n{said}"))
    }

    fn try_to_start(said: &mut String) -> Option<Self> {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .env("TZ", "Europe/London")
            .env("LANGUAGE", "en_US")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed: Debian's packages are chromium and chromium-driver");
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut chromedriver = Self {
            process,
            address: String::new(),
            profile: Profile::new(),
        };
        for line in lines.map_while(Result::ok) {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                chromedriver.address = format!("http://127.0.0.1:{}", port.trim_end_matches('.'));
                return Some(chromedriver);
            }
            said.push_str(&line);
            said.push('\n');
        }
        None
    }
}

impl Drop for Chromedriver {
    fn drop(&mut self) {
        // This ends its browser, too.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A folder for the browser, deleted when this is dropped.
struct Profile(std::path::PathBuf);

impl Profile {
    fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "kapso-slack-browser-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
