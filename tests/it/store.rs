//! The token store as the program opens, tends and reports it.

use idp_token_sandbox::{Sandbox, Seed};
use idp_token_testkit::{
    ANYWHERE,
    database::Database,
    eventually, keys,
    process::{Ended, Running, command, environment, free_port, run},
};

async fn tenant() -> Sandbox {
    let seed = Seed { signing_key: Some(keys::SIGNING_KEY.clone()), ..Seed::sample() };
    Sandbox::start(seed, ANYWHERE).await.unwrap()
}

/// The environment of a service with this tenant and this store, less what `changes` say.
fn surroundings(
    sandbox: &Sandbox,
    database: &Database,
    changes: &[(&'static str, &str)],
) -> Vec<(&'static str, String)> {
    let changes = changes.iter().map(|(name, value)| (*name, (*value).to_owned()));
    environment(sandbox).into_iter().chain(database.environment()).chain(changes).collect()
}

async fn run_with(command: &str, database: &Database, changes: &[(&'static str, &str)]) -> Ended {
    let sandbox = tenant().await;
    let variables = surroundings(&sandbox, database, changes);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    run(&[command], &variables).await
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_told_with_the_code_of_its_kind() {
    let database = Database::new();
    database.put("kept").await;
    database.write_keys(&[2]);
    let nobody = format!("postgres://{}/tokens", free_port());
    let nowhere = [("IDP_TOKEN_STORE_URL", "sqlite:///nowhere/at/all.db")];
    for command in ["serve", "check"] {
        for (changes, code, part) in [
            (&[][..], 64, "a row under the encryption key"),
            (&[("IDP_TOKEN_STORE_ENCRYPTION_KEYS_FILE", "/nowhere")], 64, "names an unusable file"),
            (&nowhere, 64, "cannot use /nowhere/at/all.db"),
            (&[("IDP_TOKEN_STORE_URL", nobody.as_str())], 69, "the token store is unavailable"),
        ] {
            let ended = run_with(command, &database, changes).await;
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert_eq!(ended.code, code, "{command}: {said}");
            assert_eq!(said.matches(part).count(), 1, "{command}: {part}: {said}");
        }
    }
    database.write_keys(&[1]);
    assert_eq!(database.refresh_token("kept").await.as_deref(), Some("kept"), "nothing was destroyed");
}

#[tokio::test]
async fn a_database_without_keys_is_a_mistake_that_names_the_command_to_make_one() {
    let variables = [
        ("AUTH0_DOMAIN", "acme.eu.auth0.com"),
        ("AUTH0_CLIENT_ID", "app"),
        ("AUTH0_CLIENT_SECRET", "x"),
        ("IDP_TOKEN_STORE_URL", "sqlite:///tmp/never-made.db"),
    ];
    let ended = run(&["serve"], &variables).await;
    assert_eq!(ended.code, 64);
    assert!(ended.stderr.contains("`openssl rand -base64 32`"), "{}", ended.stderr);
}

#[tokio::test]
async fn check_says_what_store_there_is() {
    let database = Database::new();
    let durable = run_with("check", &database, &[]).await;
    assert_eq!(durable.code, 0, "{}", durable.stdout);
    assert!(
        durable
            .stdout
            .contains("ok      the token store answers, and its encryption keys are the right ones")
    );
    let memory = [("IDP_TOKEN_STORE_URL", "memory:"), ("IDP_TOKEN_STORE_ENCRYPTION_KEYS_FILE", "")];
    let memory = run_with("check", &database, &memory).await;
    assert_eq!(memory.code, 0, "{}", memory.stdout);
    assert!(memory.stdout.contains("ok      the token store is in memory"), "{}", memory.stdout);
}

const AGE: &str = "UPDATE idp_token_record SET last_used_at = last_used_at - 86400000 *";
const RECORDS: &str = "SELECT count(*) FROM idp_token_record";

#[tokio::test]
async fn tokens_that_nobody_used_for_half_a_year_are_removed_by_one_replica_a_day() {
    let (sandbox, database) = (tenant().await, Database::new());
    database.put("old").await;
    database.sql(&format!("{AGE} 184")).await;
    database.put("young").await;
    let serve = async || {
        let mut serve = command(&["serve"]);
        serve.envs(surroundings(&sandbox, &database, &[]));
        Running::start(serve).await
    };
    let first = serve().await;
    eventually("the removal", async || database.number(RECORDS).await == 1).await;
    assert_eq!(database.refresh_token("young").await.as_deref(), Some("young"));
    eventually("a line about it", async || first.log().contains("unused for half a year")).await;

    // Another replica asks at its start whether there is something to do: the day's work is done.
    database.sql(&format!("{AGE} 184")).await;
    let second = serve().await;
    eventually("readiness", async || second.page("/readyz").await.0 == 200).await;
    second.signal("TERM").await;
    second.ended().await;
    assert_eq!(database.number(RECORDS).await, 1);
}

async fn rekey(database: &Database) -> Ended {
    run_with("rekey", database, &[]).await
}

#[tokio::test]
async fn rekey_puts_every_row_under_the_first_key_and_says_so() {
    let database = Database::new();
    for account in ["a", "b"] {
        database.put(account).await;
    }
    database.write_keys(&[2, 1]);
    let changed = rekey(&database).await;
    assert_eq!((changed.code, changed.stderr.as_str()), (0, ""), "{}", changed.stdout);
    let said = "rows moved to the first key: 3; still under others: 0\nthe other keys can be removed";
    assert!(changed.stdout.starts_with(said), "two records and the index key: {}", changed.stdout);
    let again = rekey(&database).await;
    assert_eq!(again.code, 0);
    assert!(again.stdout.starts_with("rows moved to the first key: 0"), "{}", again.stdout);
    database.write_keys(&[2]);
    assert_eq!(database.refresh_token("b").await.as_deref(), Some("b"), "the old key is not needed any more");
}

#[tokio::test]
async fn rekey_with_a_lost_key_says_what_to_do_and_destroys_nothing() {
    let database = Database::new();
    database.put("first").await;
    database.write_keys(&[2, 1]);
    database.put("second").await;
    // The index key and one row are under the first key, and another row is under the lost one.
    database.write_keys(&[1]);
    let ended = rekey(&database).await;
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stdout.contains("rows moved to the first key: 0; still under others: 1"));
    assert!(ended.stderr.contains("which `store.encryption_keys_file` does not hold"), "{}", ended.stderr);
    assert!(ended.stderr.contains("keep all keys") && !ended.stdout.contains("can be removed"));

    database.write_keys(&[3]);
    let ended = rekey(&database).await;
    assert_eq!(ended.code, 64, "{}", ended.stderr);
    assert!(ended.stderr.contains("put that key back, below the first line"), "{}", ended.stderr);
    database.write_keys(&[2, 1]);
    for account in ["first", "second"] {
        assert_eq!(database.refresh_token(account).await.as_deref(), Some(account));
    }
}

#[tokio::test]
async fn rekey_of_a_store_in_memory_is_a_mistake() {
    let memory = [("IDP_TOKEN_STORE_URL", "memory:"), ("IDP_TOKEN_STORE_ENCRYPTION_KEYS_FILE", "")];
    let ended = run_with("rekey", &Database::new(), &memory).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (64, ""));
    assert!(ended.stderr.contains("with --config"), "{}", ended.stderr);
}
