//! ListIdentities.

use super::{Broker, IdentityView, page::Page};
use crate::{
    auth0::{Fit, Need},
    cache::Loaded,
    deadline::{Deadline, Stage},
    error::Error,
    policy::{ListIdentities, Permit},
};

/// What to list, unchecked.
#[derive(Clone, Debug)]
pub struct List {
    /// 0 for the default.
    pub page_size: i32,
    /// Empty for the first page.
    pub page_token: String,
}

impl Broker {
    /// One page of the identities that the permit is about, and the token of the next; in Auth0's order.
    ///
    /// # Errors
    /// When the page is malformed, or Auth0 gives no usable answer.
    pub async fn list(
        &self,
        permit: &Permit<ListIdentities>,
        list: &List,
        deadline: &Deadline,
    ) -> Result<(Vec<IdentityView>, String), Error> {
        let user = permit.user();
        let page = Page::parse(user, list.page_size, &list.page_token)?;
        deadline.enter(if self.auth0.is_throttled() { Stage::Queue } else { Stage::Auth0 });
        let need = Need { fit: &|_, _| Fit::Serves };
        let Loaded { value: profile, began } = self.auth0.profile(user, need).await?;
        let visible: Vec<_> =
            profile.identities.iter().filter(|identity| permit.scope().covers(identity)).collect();
        let identities = visible.iter().skip(page.start).take(page.size);
        let mut views = Vec::with_capacity(identities.len());
        for identity in identities {
            views.push(self.view(&profile.user_id, identity, began).await);
        }
        Ok((views, page.next(user, visible.len())))
    }
}
