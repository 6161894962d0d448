use std::fs;
use std::io::Write as _;

use tempfile::TempDir;

use super::account::Account;
use super::*;
use crate::bindings::{Event, NextPoll, Payload};

struct Setup {
    folder: TempDir,
    rotation: Rotation,
}

impl Setup {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), rotation: Rotation::default() }
    }

    fn rotating(max_bytes: u64) -> Self {
        Self { rotation: Rotation { max_bytes: Some(max_bytes), ..Rotation::default() }, ..Self::new() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("events.ndjson")
    }

    /// A host that starts with this in its state.
    async fn start(&self, account: Option<&str>) -> Result<FileSink, SinkError> {
        let mut sink = FileSink::new(&self.path(), Shape::Enveloped, self.rotation);
        // A child that another test starts has the lock of the sink before until it runs its program.
        for _ in 0..100 {
            match sink.resume("tenant", account).await {
                Err(SinkError::Failed { message, .. }) if message.ends_with("it is locked") => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                other => return other.map(|()| sink),
            }
        }
        sink.resume("tenant", account).await.map(|()| sink)
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// The numbers in all files, those that were given up first.
    fn all(&self) -> Vec<u64> {
        let numbers = open::given_up_numbers(&self.path()).unwrap();
        let old = numbers.into_iter().map(|number| open::given_up(&self.path(), number));
        old.chain([self.path()]).flat_map(|path| numbers_in(&fs::read_to_string(path).unwrap())).collect()
    }

    fn append(&self, text: &str) {
        fs::OpenOptions::new().append(true).open(self.path()).unwrap().write_all(text.as_bytes()).unwrap();
    }
}

fn numbers_in(text: &str) -> Vec<u64> {
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["body"].as_u64().unwrap())
        .collect()
}

fn batch(numbers: impl IntoIterator<Item = u64>) -> Batch {
    let event = |number: u64| Event {
        key: String::new(),
        subject: String::new(),
        kind: String::new(),
        occurred: None,
        visible: None,
        content_type: "application/json".to_owned(),
        body: Payload::Text(number.to_string()),
        attributes: Vec::new(),
    };
    Batch {
        events: numbers.into_iter().map(event).collect(),
        gaps: Vec::new(),
        checkpoint: String::new(),
        next: NextPoll::Now,
        notices: Vec::new(),
        counters: Vec::new(),
        watermark: None,
    }
}

async fn deliver(sink: &mut FileSink, numbers: impl IntoIterator<Item = u64>) -> Result<(), SinkError> {
    sink.deliver("tenant", &batch(numbers)).await
}

async fn flushed(sink: &mut FileSink) -> String {
    sink.flush().await.unwrap();
    sink.account("tenant").unwrap()
}

/// The bytes of one line.
const LINE: u64 = 92;

#[tokio::test]
async fn what_is_not_accounted_for_is_cut_off_wherever_the_host_was_killed() {
    let setup = Setup::new();
    let mut sink = setup.start(None).await.unwrap();
    let begun = sink.account("tenant").unwrap();
    deliver(&mut sink, [1, 2]).await.unwrap();
    let account = flushed(&mut sink).await;
    deliver(&mut sink, [3]).await.unwrap();
    drop(sink);
    let whole = fs::read(setup.path()).unwrap();
    assert_eq!(whole.len() as u64, 3 * LINE);
    for length in 2 * LINE..=3 * LINE {
        fs::write(setup.path(), &whole[..usize::try_from(length).unwrap()]).unwrap();
        drop(setup.start(Some(&account)).await.unwrap());
        assert_eq!(setup.all(), [1, 2], "{length}");
    }
    // Killed before anything was accounted for.
    drop(setup.start(Some(&begun)).await.unwrap());
    assert_eq!(setup.text(), "");
}

#[tokio::test]
async fn a_batch_that_was_cut_short_is_undone_within_the_same_process() {
    let setup = Setup::rotating(2 * LINE);
    let mut sink = setup.start(None).await.unwrap();
    deliver(&mut sink, [1]).await.unwrap();
    let account = flushed(&mut sink).await;
    deliver(&mut sink, [2, 3, 4]).await.unwrap();
    sink.resume("tenant", Some(&account)).await.unwrap();
    deliver(&mut sink, [2, 3, 4]).await.unwrap();
    assert_eq!(setup.all(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn no_event_stands_in_two_files_and_a_long_one_has_its_own() {
    let setup = Setup::rotating(LINE * 5 / 2);
    let mut sink = setup.start(None).await.unwrap();
    deliver(&mut sink, 1..=3).await.unwrap();
    deliver(&mut sink, [u64::MAX; 1]).await.unwrap();
    deliver(&mut sink, [5]).await.unwrap();
    let read = |number| numbers_in(&fs::read_to_string(open::given_up(&setup.path(), number)).unwrap());
    assert_eq!((read(1), read(2)), (vec![1, 2], vec![3, u64::MAX]));
    let tiny = Setup::rotating(1);
    let mut sink = tiny.start(None).await.unwrap();
    deliver(&mut sink, 1..=3).await.unwrap();
    assert_eq!((tiny.all(), numbers_in(&tiny.text())), (vec![1, 2, 3], vec![3]));
}

#[tokio::test]
async fn a_kill_between_any_two_steps_of_a_rotation_costs_and_repeats_nothing() {
    // What was given up after the account was stored ends where the account says.
    let setup = Setup::rotating(2 * LINE);
    let mut sink = setup.start(None).await.unwrap();
    deliver(&mut sink, [1]).await.unwrap();
    let account = flushed(&mut sink).await;
    deliver(&mut sink, 2..=7).await.unwrap();
    drop(sink);
    assert_eq!(setup.all(), (1..=7).collect::<Vec<_>>());
    let mut sink = setup.start(Some(&account)).await.unwrap();
    assert_eq!(setup.all(), [1]);
    // Killed again before that start was told to the state.
    deliver(&mut sink, 2..=5).await.unwrap();
    drop(sink);
    let mut sink = setup.start(Some(&account)).await.unwrap();
    assert_eq!(setup.all(), [1]);
    deliver(&mut sink, 2..=4).await.unwrap();
    let account = flushed(&mut sink).await;
    drop(sink);
    assert_eq!(setup.all(), [1, 2, 3, 4]);
    // Killed after the old file got its name and before there was a new one.
    let number = Account::parse(&account).unwrap().number;
    fs::rename(setup.path(), open::given_up(&setup.path(), number)).unwrap();
    let mut sink = setup.start(Some(&account)).await.unwrap();
    deliver(&mut sink, [5]).await.unwrap();
    assert_eq!(setup.all(), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn old_files_are_kept_as_many_as_are_wanted_and_as_a_restart_needs() {
    let mut setup = Setup::rotating(1);
    setup.rotation.keep = Some(2);
    let mut sink = setup.start(None).await.unwrap();
    for number in 1..=5 {
        deliver(&mut sink, [number]).await.unwrap();
        sink.flush().await.unwrap();
    }
    sink.flush().await.unwrap();
    assert_eq!(setup.all(), [3, 4, 5]);
    let account = flushed(&mut sink).await;
    deliver(&mut sink, 6..=9).await.unwrap();
    drop(sink);
    drop(setup.start(Some(&account)).await.unwrap());
    assert_eq!(setup.all(), [3, 4, 5]);
}

#[test]
fn each_stretch_of_time_has_a_file_of_its_own() {
    let setup = Setup::new();
    let rotation = Rotation { every: Some(Duration::from_secs(3_600)), ..Rotation::default() };
    let settings = Settings { path: setup.path(), rotation, begins: None, shape: Shape::Enveloped };
    let mut ledger = Ledger::resume(&settings, None, 7_000).unwrap();
    for (now, line) in [(7_100, "a\n"), (7_199, "b\n"), (7_200, "c\n"), (20_000, "d\n")] {
        ledger.append(&settings, line.as_bytes(), &[2], now).unwrap();
    }
    let account = ledger.account(&settings).unwrap();
    drop(ledger);
    // A restart knows when the file was begun.
    let mut ledger = Ledger::resume(&settings, Some(&account), 22_000).unwrap();
    ledger.append(&settings, b"e\n", &[2], 22_000).unwrap();
    let read = |number| fs::read_to_string(open::given_up(&setup.path(), number)).unwrap();
    assert_eq!((read(1), read(2), read(3), setup.text()), ("a\nb\n".into(), "c\n".into(), "d\n".into(), "e\n".into()));
}

#[tokio::test]
async fn a_file_that_somebody_else_changes_is_noticed_and_nothing_is_lost() {
    type Change = fn(&Setup);
    let changes: [(&str, Change); 4] = [
        ("moved or removed", |setup| fs::rename(setup.path(), setup.folder.path().join("away")).unwrap()),
        ("moved or removed", |setup| {
            fs::rename(setup.path(), setup.folder.path().join("away")).unwrap();
            fs::write(setup.path(), "").unwrap();
        }),
        ("cut", |setup| fs::write(setup.path(), "").unwrap()),
        ("added to", |setup| setup.append("a note\n")),
    ];
    for (what, change) in changes {
        let setup = Setup::new();
        let mut sink = setup.start(None).await.unwrap();
        deliver(&mut sink, [1]).await.unwrap();
        let account = flushed(&mut sink).await;
        change(&setup);
        let error = deliver(&mut sink, [2]).await.unwrap_err();
        assert!(matches!(&error, SinkError::Unsettled(text) if text.contains(what)), "{error}");
        sink.resume("tenant", Some(&account)).await.unwrap();
        deliver(&mut sink, [2]).await.unwrap();
        sink.flush().await.unwrap();
        assert!(setup.text().ends_with(",\"body\":2}\n"), "{what}");
        assert_eq!(setup.text().contains("a note\n"), what == "added to");
        // What was delivered and not accounted for is told as well.
        deliver(&mut sink, [3]).await.unwrap();
        change(&setup);
        assert!(matches!(sink.flush().await, Err(SinkError::Unsettled(_))), "{what}");
    }
}

#[tokio::test]
async fn lines_of_a_stranger_are_never_cut_off() {
    let setup = Setup::new();
    let mut sink = setup.start(None).await.unwrap();
    deliver(&mut sink, [1]).await.unwrap();
    let account = flushed(&mut sink).await;
    drop(sink);
    setup.append("a note\n");
    drop(setup.start(Some(&account)).await.unwrap());
    assert!(setup.text().ends_with("a note\n"));
    setup.append("{\"source\":\"tenant\",\"kind\":\"det");
    let error = setup.start(Some(&account)).await.unwrap_err();
    assert!(error.to_string().contains("lines of somebody else among them"), "{error}");
}

#[tokio::test]
async fn what_another_line_of_reading_wrote_is_never_cut_off() {
    let setup = Setup::new();
    let mut running = setup.start(None).await.unwrap();
    deliver(&mut running, [1]).await.unwrap();
    let account = flushed(&mut running).await;
    drop(running);
    let mut range = setup.start(None).await.unwrap();
    deliver(&mut range, [7]).await.unwrap();
    let other = flushed(&mut range).await;
    drop(range);
    let mut running = setup.start(Some(&account)).await.unwrap();
    deliver(&mut running, [2]).await.unwrap();
    let account = flushed(&mut running).await;
    deliver(&mut running, [3]).await.unwrap();
    drop(running);
    // The running one is the last writer again, and knows what to cut.
    drop(setup.start(Some(&account)).await.unwrap());
    assert_eq!(setup.all(), [1, 7, 2]);
    drop(setup.start(Some(&other)).await.unwrap());
    assert_eq!(setup.all(), [1, 7, 2]);
}

#[tokio::test]
async fn of_a_file_that_nothing_is_known_of_a_torn_line_of_ours_is_cut_off_and_a_stranger_s_is_ended() {
    let setup = Setup::new();
    for (before, after) in [
        ("{\"source\":\"tenant\",\"a\":1}\n{\"source\":\"tenant\",\"ki", "{\"source\":\"tenant\",\"a\":1}\n"),
        ("{\"source\":\"tenant\",\"a\":1}\n{\"so", "{\"source\":\"tenant\",\"a\":1}\n"),
        ("{\"source\":\"tenant\",\"a\":1}\n", "{\"source\":\"tenant\",\"a\":1}\n"),
        ("notes of mine", "notes of mine\n"),
        ("", ""),
    ] {
        fs::write(setup.path(), before).unwrap();
        drop(setup.start(None).await.unwrap());
        assert_eq!(setup.text(), after);
    }
}

#[tokio::test]
async fn two_hosts_do_not_write_to_one_file() {
    let setup = Setup::new();
    let _held = setup.start(None).await.unwrap();
    let error = setup.start(None).await.unwrap_err();
    assert!(error.to_string().contains("somebody else writes to"), "{error}");
}

#[tokio::test]
async fn an_account_of_another_path_is_none_of_this_file() {
    let setup = Setup::new();
    fs::write(setup.path(), "{\"source\":\"tenant\",\"a\":1}\n").unwrap();
    let account = "number=1 length=0 begun=0 ends=ef46db3751d8e999 inode=1 writer=a path=/elsewhere";
    drop(setup.start(Some(account)).await.unwrap());
    assert_eq!(setup.text(), "{\"source\":\"tenant\",\"a\":1}\n");
    assert!(setup.start(Some("gibberish")).await.is_err());
}

#[tokio::test]
async fn a_file_that_somebody_else_gave_our_next_name_is_not_taken_for_ours() {
    let setup = Setup::new();
    let old = |number| open::given_up(&setup.path(), number);
    let mut sink = setup.start(None).await.unwrap();
    deliver(&mut sink, [1, 2]).await.unwrap();
    let account = flushed(&mut sink).await;
    drop(sink);
    // As logrotate does: one day the file, the next day the empty one, while the first moves on.
    fs::rename(setup.path(), old(1)).unwrap();
    let mut sink = setup.start(Some(&account)).await.unwrap();
    let account = flushed(&mut sink).await;
    assert!(account.starts_with("number=2 length=0 "), "{account}");
    drop(sink);
    fs::rename(old(1), old(2)).unwrap();
    fs::rename(setup.path(), old(1)).unwrap();
    let mut sink = setup.start(Some(&account)).await.unwrap();
    deliver(&mut sink, [3]).await.unwrap();
    assert_eq!(setup.all(), [1, 2, 3], "nothing was cut");
}
