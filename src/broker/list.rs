//! ListIdentities.

use super::{Broker, Error, IdentityView, page::Page};
use crate::{
    auth0::Acceptance,
    context::Authorized,
    policy::{ListIdentities, Permit},
    tokens::Selected,
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
        call: &Authorized<'_, Permit<ListIdentities>>,
        list: &List,
    ) -> Result<(Vec<IdentityView>, String), Error> {
        let (ctx, grant) = (call.ctx(), call.permit().grant());
        let page = Page::parse(grant.user(), list.page_size, &list.page_token)?;
        ctx.deadline().enter(self.auth0.stage(ctx.holder()));
        let profile = self.auth0.profile(grant.user(), ctx.holder(), &|_, _| Acceptance::Accept).await?;
        let identities = profile.value.identities.iter().enumerate();
        let visible: Vec<_> = identities
            .filter(|(_, identity)| grant.scope().covers(identity))
            .map(|(index, _)| index)
            .collect();
        let mut views = Vec::with_capacity(page.size.min(visible.len()));
        for index in visible.iter().skip(page.start).take(page.size) {
            let selected = Selected::at(&profile, *index);
            let summary = self.tokens.summary(ctx.caller(), &selected).await;
            views.push(IdentityView::new(&selected, summary));
        }
        Ok((views, page.next(grant.user(), visible.len())))
    }
}
