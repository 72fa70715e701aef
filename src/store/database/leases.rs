//! Leases, timed by the database's clock alone.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Database,
    engine::{Row, Value},
};
use crate::store::{
    Acquired, Lease, LeaseName, StoreError,
    clock::{duration, millis},
};

// Takes a free lease.
const ACQUIRE: &str = "
    INSERT INTO idp_token_lease (name, holder, expires_at)
    SELECT $1, $2, now + $3 FROM idp_token_clock WHERE true
    ON CONFLICT (name) DO NOTHING";

// Takes over an expired lease. A statement that waited for another one judges the row as that one left it.
const TAKE_OVER: &str = "
    UPDATE idp_token_lease SET holder = $2, expires_at = (SELECT now FROM idp_token_clock) + $3
    WHERE name = $1 AND expires_at <= (SELECT now FROM idp_token_clock)";

const HOLDER: &str = "
    SELECT holder, expires_at - (SELECT now FROM idp_token_clock) AS remaining
    FROM idp_token_lease WHERE name = $1";

// An expired lease is still valid as long as nobody took it: then nobody has had it meanwhile.
const RENEW: &str = "
    UPDATE idp_token_lease SET expires_at = (SELECT now FROM idp_token_clock) + $3
    WHERE name = $1 AND holder = $2";

const RELEASE: &str = "DELETE FROM idp_token_lease WHERE name = $1 AND holder = $2";

// An hour after the expiry: until then, whoever takes the lease over must learn that it had a holder, and
// wait for them.
const REMOVE_EXPIRED: &str = "
    DELETE FROM idp_token_lease WHERE expires_at < (SELECT now FROM idp_token_clock) - 3600000";

impl Database {
    pub(in crate::store) async fn acquire(
        &self,
        name: &LeaseName,
        holder: &str,
        length: Duration,
    ) -> Result<Acquired, StoreError> {
        let lease = Lease::new(name, holder, length);
        let name = self.index.lease(name);
        if let Some(row) = &self.engine.fetch_one(HOLDER, &[Value::Bytes(&name)]).await?
            && row.integer("remaining")? > 0
        {
            return held(row);
        }
        let values = [Value::Bytes(&name), Value::Text(&lease.holder), Value::Integer(millis(length))];
        if self.engine.execute(ACQUIRE, &values).await? == 1 {
            return Ok(Acquired::Yes(lease));
        }
        if self.engine.execute(TAKE_OVER, &values).await? == 1 {
            return Ok(Acquired::Yes(Lease { inherited: true, ..lease }));
        }
        // Another replica was faster.
        match self.engine.fetch_one(HOLDER, &[Value::Bytes(&name)]).await? {
            Some(row) => held(&row),
            None => Ok(Acquired::held("", Duration::ZERO)),
        }
    }

    pub(in crate::store) async fn renew(&self, lease: &mut Lease) -> Result<bool, StoreError> {
        let expires = Instant::now() + lease.length;
        let name = self.index.lease(&lease.name);
        let values = [Value::Bytes(&name), Value::Text(&lease.holder), Value::Integer(millis(lease.length))];
        let renewed = self.engine.execute(RENEW, &values).await? == 1;
        if renewed {
            lease.expires = expires;
        }
        Ok(renewed)
    }

    pub(in crate::store) async fn release(&self, lease: Lease) -> Result<bool, StoreError> {
        let name = self.index.lease(&lease.name);
        let values = [Value::Bytes(&name), Value::Text(&lease.holder)];
        Ok(self.engine.execute(RELEASE, &values).await? == 1)
    }

    pub(super) async fn remove_expired_leases(&self) -> Result<u64, StoreError> {
        self.engine.execute(REMOVE_EXPIRED, &[]).await
    }
}

fn held(row: &Row) -> Result<Acquired, StoreError> {
    Ok(Acquired::held(&row.text("holder")?, duration(row.integer("remaining")?)))
}
