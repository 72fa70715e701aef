//! The things behind the providers' APIs: events, files, repositories, posts.

use std::collections::HashMap;

use bytes::Bytes;

use super::account::Account;
use crate::secrets;
use crate::seed::RepositorySeed;

/// GitHub's ids of the seed's repositories start here.
const FIRST_REPOSITORY: u64 = 1_296_269;

/// Each calendar starts with these events.
const FIRST_EVENTS: [&str; 5] = ["Stand-up", "Review", "Lunch with Grace", "Dentist", "Release"];

/// Each timeline starts with these posts.
const FIRST_POSTS: [&str; 4] = ["Hello", "On holiday", "Back again", "New job"];

/// All things of all accounts.
pub(crate) struct Things {
    pub(crate) repositories: Vec<Repository>,
    pub(crate) files: HashMap<String, File>,
    events: HashMap<Account, Vec<Entry>>,
    posts: HashMap<Account, Vec<Entry>>,
}

/// A calendar event or a post.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) text: String,
}

/// A stored upload, byte for byte.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) owner: Account,
    pub(crate) name: String,
    pub(crate) content_type: String,
    pub(crate) bytes: Bytes,
}

/// A GitHub repository.
#[derive(Clone)]
pub(crate) struct Repository {
    pub(crate) id: u64,
    pub(crate) seed: RepositorySeed,
    pub(crate) issues: Vec<String>,
}

impl Repository {
    /// `owner/name`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.seed.owner, self.seed.name)
    }
}

impl Things {
    /// The seed's repositories; everything else comes with the accounts.
    pub(crate) fn new(repositories: Vec<RepositorySeed>) -> Self {
        let numbered = (FIRST_REPOSITORY..).zip(repositories);
        Self {
            repositories: numbered.map(|(id, seed)| Repository { id, seed, issues: Vec::new() }).collect(),
            files: HashMap::new(),
            events: HashMap::new(),
            posts: HashMap::new(),
        }
    }

    /// The account's calendar.
    pub(crate) fn events(&mut self, account: &Account) -> &mut Vec<Entry> {
        self.events.entry(account.clone()).or_insert_with(|| first(&FIRST_EVENTS))
    }

    /// The account's timeline.
    pub(crate) fn posts(&mut self, account: &Account) -> &mut Vec<Entry> {
        self.posts.entry(account.clone()).or_insert_with(|| first(&FIRST_POSTS))
    }

    /// Stores an upload and names it.
    pub(crate) fn store(&mut self, file: File) -> String {
        let id = format!("1{}", secrets::letters(32));
        self.files.insert(id.clone(), file);
        id
    }
}

impl Entry {
    /// A new entry with an id of its own.
    pub(crate) fn new(text: &str) -> Self {
        Self { id: secrets::letters(26).to_ascii_lowercase(), text: text.to_owned() }
    }
}

fn first(texts: &[&str]) -> Vec<Entry> {
    texts.iter().map(|text| Entry::new(text)).collect()
}
