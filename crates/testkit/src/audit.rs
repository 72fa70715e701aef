//! An audit log in a folder of its own, and its records.

use std::path::PathBuf;

use idp_token_service::{
    audit::{Destination, Format, Level, Settings},
    config::Config,
};
use serde_json::Value;
use tempfile::TempDir;

use super::eventually;

/// See the module's documentation.
pub struct Log(TempDir);

impl Log {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("audit.log")
    }

    /// Another file beside the log.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// All calls, as JSON, into this log.
    pub fn settings(&self) -> Settings {
        Settings {
            destination: Destination::File(self.path()),
            format: Format::Json,
            level: Level::All,
            user_id_key: None,
        }
    }

    /// Has a service record in this log.
    pub fn record(&self, config: &mut Config) {
        config.audit = self.settings();
    }

    pub fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap_or_default()
    }

    /// The records so far, each a whole line.
    #[track_caller]
    pub fn records(&self) -> Vec<Value> {
        records(&self.text())
    }

    /// Forgets what was recorded.
    pub fn clear(&self) {
        std::fs::write(self.path(), "").unwrap();
    }

    /// Waits for so many records, and for no more.
    pub async fn after(&self, count: usize) -> Vec<Value> {
        eventually("the audit records", async || self.text().matches('\n').count() >= count).await;
        let records = self.records();
        assert_eq!(records.len(), count, "{records:#?}");
        records
    }

    /// Waits for the record of number `count`, which must be the last.
    pub async fn last(&self, count: usize) -> Value {
        self.after(count).await.pop().unwrap()
    }
}

/// Reads lines of JSON. The last one may still be under way.
#[track_caller]
pub fn records(text: &str) -> Vec<Value> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no record: {line}")))
        .collect()
}

/// What a record says of these fields, in their order; `-` for those that it has not.
pub fn said(record: &Value, fields: &[&str]) -> String {
    let text = |name: &&str| match &record[*name] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    fields.iter().map(text).collect::<Vec<_>>().join(" ")
}
