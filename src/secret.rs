//! A client secret that may be rotated while the service runs.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use secrecy::{ExposeSecret, SecretString};

/// A secret from the configuration, or from a file that is read again when the other side rejects the secret.
pub struct Secret {
    value: RwLock<Arc<SecretString>>,
    file: Option<PathBuf>,
}

impl Secret {
    /// Makes a secret that never changes, from the configuration or the environment.
    pub fn fixed(value: impl Into<SecretString>) -> Self {
        Self { value: RwLock::new(Arc::new(value.into())), file: None }
    }

    /// Reads the content of `file`, without trailing white space.
    ///
    /// # Errors
    /// When the file cannot be read, is not UTF-8, or is empty.
    pub fn from_file(file: impl Into<PathBuf>) -> io::Result<Self> {
        let file = file.into();
        Ok(Self { value: RwLock::new(Arc::new(read(&file)?)), file: Some(file) })
    }

    /// Returns the secret as last read.
    pub fn get(&self) -> Arc<SecretString> {
        self.value.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the file again, off the async threads; returns whether the secret has changed. If the file is
    /// unreadable the old secret is kept: a half-made rotation must not make things worse.
    pub async fn reload(self: &Arc<Self>) -> bool {
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || this.reload_now()).await.unwrap_or(false)
    }

    /// Reads the file again, and returns whether the secret now differs from `used`. Of several callers that
    /// were rejected with the old secret, one finds the new one in the file, and the others find it here.
    pub async fn is_replaced(self: &Arc<Self>, used: &SecretString) -> bool {
        self.reload().await;
        self.get().expose_secret() != used.expose_secret()
    }

    fn reload_now(&self) -> bool {
        let Some(file) = &self.file else { return false };
        let new = match read(file) {
            Ok(new) => new,
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "Cannot reload a secret; keeping the current one");
                return false;
            }
        };
        let mut value = self.value.write().unwrap_or_else(PoisonError::into_inner);
        let changed = value.expose_secret() != new.expose_secret();
        *value = Arc::new(new);
        changed
    }
}

/// Runs `attempt`, and once more if the other side rejected the application's secret and the file holds
/// another one by now. Repeating is safe: a client that is not authenticated is not served.
pub async fn retry_if_rotated<T, F: Future<Output = T>>(
    credential: Option<&Arc<Secret>>,
    is_refused: impl Fn(&T) -> bool,
    attempt: impl Fn() -> F,
) -> T {
    let used = credential.map(|credential| (credential, credential.get()));
    let outcome = attempt().await;
    match used {
        Some((credential, used)) if is_refused(&outcome) && credential.is_replaced(&used).await => {
            attempt().await
        }
        _ => outcome,
    }
}

fn read(file: &Path) -> io::Result<SecretString> {
    let mut text = zeroize::Zeroizing::new(std::fs::read_to_string(file)?);
    let length = text.trim_end().len();
    text.truncate(length);
    if text.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty"));
    }
    Ok(SecretString::from(text.as_str()))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("file", &self.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_rotated_file_is_seen_and_a_broken_one_keeps_the_old_secret() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("secret");
        std::fs::write(&file, "first\n").expect("the file can be written");
        let secret = Arc::new(Secret::from_file(&file).expect("the file can be read"));
        assert_eq!(secret.get().expose_secret(), "first");
        assert!(!secret.reload().await, "nothing changed yet");

        let used = secret.get();
        std::fs::write(&file, "second").expect("the file can be written");
        assert!(secret.reload().await);
        assert!(secret.is_replaced(&used).await, "for whoever used the first, however late");
        std::fs::write(&file, "").expect("the file can be written");
        assert!(!secret.reload().await);
        assert_eq!(secret.get().expose_secret(), "second");
    }

    #[tokio::test]
    async fn only_a_refused_attempt_with_a_replaced_secret_is_repeated_and_once() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("secret");
        for (refused, replaced, expected) in
            [(false, false, 1), (false, true, 1), (true, false, 1), (true, true, 2)]
        {
            std::fs::write(&file, "old").expect("the file can be written");
            let secret = Arc::new(Secret::from_file(&file).expect("the file can be read"));
            let attempts = std::sync::atomic::AtomicU32::new(0);
            let attempt = async || {
                attempts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                std::fs::write(&file, if replaced { "new" } else { "old" }).expect("the file can be written");
            };
            retry_if_rotated(Some(&secret), |()| refused, attempt).await;
            assert_eq!(attempts.into_inner(), expected, "{refused} {replaced}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        assert!(!format!("{:?}", Secret::fixed("canary")).contains("canary"));
    }
}
