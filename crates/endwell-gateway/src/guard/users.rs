//! Users, the hashes of their passwords, and which were verified of late.
//!
//! A hash is made to cost some 50 ms, so: it is verified on the blocking pool, by a few at once;
//! a request with a password that was good a short while ago costs a microsecond; and a user that
//! does not exist costs what another does, lest the time tell who does.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordVerifier};
use blake2::Blake2sMac256;
use blake2::digest::{KeyInit, Mac};
use tokio::sync::Semaphore;

use super::basic::Credentials;

/// How long a password is taken as good after it was verified: a user that is removed by a
/// reload is gone at once, for that makes other [`Users`].
const REMEMBERED: Duration = Duration::from_secs(300);
/// How many verified passwords are remembered: 64 octets each.
const MOST_REMEMBERED: usize = 4096;
/// How many requests may wait for a verification. At 50 ms and two at once the last one waits
/// for two seconds; more would only wait longer.
const MOST_WAITING: usize = 64;
/// How much memory a hash may ask for: more is a mistake, or an attack with a file of ours.
const MOST_MEMORY: u32 = 256 * 1024;
/// How often argon2 may pass over it.
const MOST_PASSES: u32 = 16;
/// 2^15 rounds of bcrypt take two seconds.
const MOST_COST: u32 = 15;

/// Who may ask, with a password.
pub struct Users {
    hashes: HashMap<Vec<u8>, Hash>,
    /// The hashes once more, in a row: an unknown user is given one of them.
    row: Vec<Hash>,
    key: [u8; 32],
    good: Mutex<HashMap<[u8; 32], Instant>>,
    waiting: Arc<Semaphore>,
    verifying: Arc<Semaphore>,
}

#[derive(Clone)]
enum Hash {
    Argon2(Arc<PasswordHash>),
    Bcrypt(Arc<str>),
}

/// What became of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Good,
    Bad,
    /// Too many are being verified.
    Later,
}

/// Why a user cannot be added. It never holds the hash.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum BadUser {
    /// There is no colon, or no user before it.
    #[error("a user is written as NAME:HASH; make the hash with `htpasswd -nB NAME` or argon2")]
    NoName,
    /// The name stands there already.
    #[error("the user {0} is there twice")]
    Twice(String),
    /// The hash is of neither kind.
    #[error(
        "the hash of the user {0} is neither argon2 ($argon2id$...) nor bcrypt ($2b$...); a password itself cannot be used"
    )]
    NoHash(String),
    /// The hash would take too long.
    #[error(
        "the hash of the user {0} costs too much: argon2 may use 256 MiB and 16 passes, bcrypt a cost of 15"
    )]
    TooCostly(String),
    /// The system gives no random octets.
    #[error("the system gives no random octets: {0}")]
    NoRandom(getrandom::Error),
}

impl Users {
    /// Nobody, so far.
    ///
    /// # Errors
    /// The system gives no random octets, which a key needs.
    pub fn new() -> Result<Self, BadUser> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(BadUser::NoRandom)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            hashes: HashMap::new(),
            row: Vec::new(),
            key,
            good: Mutex::default(),
            waiting: Arc::new(Semaphore::new(MOST_WAITING)),
            // Half of the cores are left for those who serve.
            verifying: Arc::new(Semaphore::new(cores.div_ceil(2))),
        })
    }

    /// Adds a user: `name:hash`, the hash by argon2 in PHC's form or by bcrypt.
    ///
    /// # Errors
    /// It is not of that form, the name is there already, or the hash would cost too much.
    pub fn add(&mut self, user: &str) -> Result<(), BadUser> {
        let (name, hash) = user.split_once(':').ok_or(BadUser::NoName)?;
        if name.is_empty() {
            return Err(BadUser::NoName);
        }
        if self.hashes.contains_key(name.as_bytes()) {
            return Err(BadUser::Twice(name.to_owned()));
        }
        let hash = Hash::parse(name, hash.trim_end())?;
        self.row.push(hash.clone());
        self.hashes.insert(name.as_bytes().to_vec(), hash);
        Ok(())
    }

    /// Whether these credentials were verified a short while ago.
    pub(super) fn remember(&self, credentials: &Credentials) -> bool {
        let keyed = self.keyed(credentials.octets());
        let until = self.good().get(&keyed).copied();
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Verifies credentials.
    pub(super) async fn verify(self: Arc<Self>, credentials: Credentials) -> Word {
        let Ok(_waiting) = Arc::clone(&self.waiting).try_acquire_owned() else {
            return Word::Later;
        };
        let Ok(turn) = Arc::clone(&self.verifying).acquire_owned().await else {
            return Word::Later;
        };
        // Another request of the same client may have been first.
        if self.remember(&credentials) {
            return Word::Good;
        }
        let verified = tokio::task::spawn_blocking(move || {
            let good = self.is_good(&credentials);
            if good {
                self.keep(&credentials);
            }
            // A request that was given up still has its turn until here.
            drop(turn);
            good
        });
        match verified.await {
            Ok(true) => Word::Good,
            Ok(false) => Word::Bad,
            Err(_) => Word::Later,
        }
    }

    /// Verifies a password; an unknown user's against a hash of somebody else.
    fn is_good(&self, credentials: &Credentials) -> bool {
        let (hash, known) = match self.hashes.get(credentials.user()) {
            Some(hash) => (Some(hash), true),
            // The same one for the same name, as it would be for a user.
            None => (self.stranger(credentials.user()), false),
        };
        let good = hash.is_some_and(|hash| hash.is_of(credentials.password()));
        good & known
    }

    fn stranger(&self, name: &[u8]) -> Option<&Hash> {
        let keyed = self.keyed(name);
        let number = usize::from(keyed[0]) | usize::from(keyed[1]) << 8;
        self.row.get(number.checked_rem(self.row.len())?)
    }

    fn keep(&self, credentials: &Credentials) {
        let keyed = self.keyed(credentials.octets());
        let now = Instant::now();
        let mut good = self.good();
        if good.len() >= MOST_REMEMBERED {
            good.retain(|_, until| now < *until);
        }
        if good.len() >= MOST_REMEMBERED {
            good.clear();
        }
        good.insert(keyed, now + REMEMBERED);
    }

    /// A hash that tells nothing without the key, which lives as long as this.
    fn keyed(&self, octets: &[u8]) -> [u8; 32] {
        let mut mac = Blake2sMac256::new(&self.key.into());
        mac.update(octets);
        mac.finalize().into_bytes().into()
    }

    fn good(&self) -> MutexGuard<'_, HashMap<[u8; 32], Instant>> {
        self.good.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} users", self.hashes.len())
    }
}

impl Hash {
    fn parse(name: &str, hash: &str) -> Result<Self, BadUser> {
        let no_hash = || BadUser::NoHash(name.to_owned());
        let too_costly = || BadUser::TooCostly(name.to_owned());
        if hash.starts_with("$argon2") {
            let hash = PasswordHash::new(hash).map_err(|_| no_hash())?;
            let params = Params::try_from(&hash).map_err(|_| no_hash())?;
            if hash.salt.is_none() || hash.hash.is_none() {
                return Err(no_hash());
            }
            if params.m_cost() > MOST_MEMORY || params.t_cost() > MOST_PASSES {
                return Err(too_costly());
            }
            return Ok(Self::Argon2(Arc::new(hash)));
        }
        let parts: bcrypt::HashParts = hash.parse().map_err(|_| no_hash())?;
        if parts.get_cost() > MOST_COST {
            return Err(too_costly());
        }
        // A hash that parses and does not verify would let nobody in, and not say why.
        match bcrypt::verify("", hash) {
            Ok(_) => Ok(Self::Bcrypt(hash.into())),
            Err(_) => Err(no_hash()),
        }
    }

    fn is_of(&self, password: &[u8]) -> bool {
        match self {
            Self::Argon2(hash) => Argon2::default().verify_password(password, &**hash).is_ok(),
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use argon2::{Algorithm, PasswordHasher, Version};
    use base64::Engine;
    use http::HeaderValue;

    use super::*;

    fn argon2(password: &str) -> String {
        let params = Params::new(64, 1, 1, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = argon2.hash_password_with_salt(password.as_bytes(), b"salt of sixteen!");
        hash.unwrap().to_string()
    }

    fn bcrypt(password: &str) -> String {
        bcrypt::hash(password, 4).unwrap()
    }

    fn users() -> Arc<Users> {
        let mut users = Users::new().unwrap();
        users.add(&format!("ann:{}", argon2("älter"))).unwrap();
        users.add(&format!("bob:{}\n", bcrypt("b:b"))).unwrap();
        Arc::new(users)
    }

    fn claim(text: &str) -> Credentials {
        let coded = base64::engine::general_purpose::STANDARD.encode(text);
        let field = HeaderValue::try_from(format!("Basic {coded}")).unwrap();
        Credentials::of(&field).unwrap()
    }

    async fn word(users: &Arc<Users>, text: &str) -> Word {
        Arc::clone(users).verify(claim(text)).await
    }

    #[tokio::test]
    async fn only_a_users_own_password_is_good() {
        let users = users();
        assert_eq!(word(&users, "ann:älter").await, Word::Good);
        assert_eq!(word(&users, "bob:b:b").await, Word::Good);
        for bad in [
            "ann:b:b",
            "bob:älter",
            "bob:b",
            "bob:",
            "eve:älter",
            ":",
            "ANN:älter",
        ] {
            assert_eq!(word(&users, bad).await, Word::Bad, "{bad}");
        }
        let nobody = Arc::new(Users::new().unwrap());
        assert_eq!(word(&nobody, "ann:älter").await, Word::Bad);
    }

    #[tokio::test]
    async fn what_was_good_is_remembered_and_nothing_else() {
        let users = users();
        assert!(!users.remember(&claim("ann:älter")));
        word(&users, "ann:älter").await;
        word(&users, "bob:wrong").await;
        assert!(users.remember(&claim("ann:älter")));
        assert!(!users.remember(&claim("ann:alter")) && !users.remember(&claim("bob:wrong")));
        assert_eq!(users.good().len(), 1);
    }

    #[tokio::test]
    async fn so_many_are_remembered_and_no_more() {
        let users = users();
        for number in 0..=MOST_REMEMBERED {
            users.keep(&claim(&format!("ann:{number}")));
        }
        assert_eq!(users.good().len(), 1);
    }

    #[tokio::test]
    async fn who_comes_while_too_many_wait_is_told_to_come_later() {
        let users = users();
        let all = MOST_WAITING.try_into().unwrap();
        let waiting = Arc::clone(&users.waiting).try_acquire_many_owned(all);
        assert_eq!(word(&users, "ann:älter").await, Word::Later);
        drop(waiting);
        assert_eq!(word(&users, "ann:älter").await, Word::Good);
    }

    #[test]
    fn an_unknown_user_is_compared_with_somebody() {
        let users = users();
        let known: Vec<_> = (0..64)
            .filter_map(|number| users.stranger(format!("x{number}").as_bytes()))
            .collect();
        assert_eq!(known.len(), 64);
        let argon2 = known.iter().filter(|hash| matches!(hash, Hash::Argon2(_)));
        assert!((1..64).contains(&argon2.count()), "always the same one");
    }

    #[test]
    fn what_cannot_be_a_user_is_refused_without_its_hash_in_the_error() {
        let error = |user: &str| Users::new().unwrap().add(user).unwrap_err().to_string();
        assert!(error("ann").starts_with("a user is written as NAME:HASH"));
        assert!(error(":$2b$").starts_with("a user is written as NAME:HASH"));
        for bad in [
            "secret",
            "$argon2id$secret",
            "$2b$04$secret",
            "$1$secret",
            "{SHA}secret",
        ] {
            let error = error(&format!("ann:{bad}"));
            assert!(
                error.starts_with("the hash of the user ann is neither"),
                "{error}"
            );
            assert!(!error.contains("secret"), "{error}");
        }
        let costly = argon2("a").replace("m=64", "m=1048576");
        assert!(error(&format!("ann:{costly}")).contains("costs too much"));
        let costly = bcrypt("a").replace("$04$", "$16$");
        assert!(error(&format!("ann:{costly}")).contains("costs too much"));
        let mut users = Users::new().unwrap();
        users.add(&format!("ann:{}", bcrypt("a"))).unwrap();
        let twice = users.add(&format!("ann:{}", bcrypt("a"))).unwrap_err();
        assert_eq!(twice.to_string(), "the user ann is there twice");
    }
}
