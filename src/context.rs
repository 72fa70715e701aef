//! What a call is worked on with: who calls, until when, and the record that it is on.
//!
//! A [`Ctx`] exists only for a call that has its place in the audit log, and only a [`Ctx`] authorises: an
//! RPC that is not on record does not compile.

use crate::{
    audit::{AuditScope, Unrecorded},
    caller::Caller,
    deadline::Deadline,
    identity::{ConnectionName, Selector, UserId},
    memory::CallMemory,
    policy::{Action, Denied, LinkPermit, Permission, Permit, Policy},
    shares::Holder,
};

/// The context of one call.
#[derive(Debug)]
pub struct Ctx {
    caller: Caller,
    deadline: Deadline,
    memory: CallMemory,
    audit: AuditScope,
}

/// Whose identities a call is about, which is on record.
#[derive(Debug)]
pub struct Asked {
    user: UserId,
    /// Which of them.
    pub selector: Selector,
}

/// A permit whose decision is on record, with the context in which it holds. Every use case wants one.
#[derive(Debug)]
pub struct Authorized<'a, P> {
    ctx: &'a Ctx,
    permit: P,
}

impl Ctx {
    /// Takes the call's place in the audit log.
    ///
    /// # Errors
    /// When there is none: what cannot be recorded is not done.
    pub async fn begin(
        caller: Caller,
        deadline: Deadline,
        memory: CallMemory,
        audit: AuditScope,
    ) -> Result<Self, Unrecorded> {
        audit.reserve().await?;
        Ok(Self { caller, deadline, memory, audit })
    }

    /// Who calls.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Until when.
    pub fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// Who takes shares for it of what is scarce.
    pub fn holder(&self) -> Holder {
        self.memory.holder()
    }

    /// What is held for it.
    pub fn memory(&self) -> &CallMemory {
        &self.memory
    }

    /// Where what is found out about the call is noted.
    pub fn audit(&self) -> &AuditScope {
        &self.audit
    }

    /// Puts on record for whom the call is, and with which of their identities.
    pub fn asks(&self, user: UserId, selector: Selector) -> Asked {
        self.audit.asks(&user, &selector);
        Asked { user, selector }
    }

    /// Asks the policy whether the caller may do `action` with some identity that was `asked` about, and
    /// records the answer.
    ///
    /// # Errors
    /// When the policy says no.
    pub fn authorize<A: Action>(
        &self,
        policy: &Policy,
        asked: &Asked,
        action: A,
    ) -> Result<Authorized<'_, Permit<A>>, Denied> {
        if action.needs().contains(&Permission::RefreshToken) {
            self.audit.asks_for_refresh_token();
        }
        let permit = policy.authorize(&self.caller, asked.user.clone(), &asked.selector, action)?;
        self.audit.allowed();
        Ok(Authorized { ctx: self, permit })
    }

    /// Asks the policy about links to a login with `connection`, which are for no user in particular, and
    /// records the answer.
    ///
    /// # Errors
    /// When the policy says no.
    pub fn authorize_link(
        &self,
        policy: &Policy,
        connection: ConnectionName,
    ) -> Result<Authorized<'_, LinkPermit>, Denied> {
        self.audit.asks_for_connection(connection.as_str());
        let permit = policy.authorize_link(&self.caller, connection)?;
        self.audit.allowed();
        Ok(Authorized { ctx: self, permit })
    }
}

impl<'a, P> Authorized<'a, P> {
    /// The context of the call.
    pub fn ctx(&self) -> &'a Ctx {
        self.ctx
    }

    /// What is allowed.
    pub fn permit(&self) -> &P {
        &self.permit
    }
}
