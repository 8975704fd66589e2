//! ListGroups v0-5 and DeleteGroups v0-2.
//!
//! ListGroups: v4 filters by state, v5 by type.

use std::sync::Arc;

use crate::consumer::records;
use crate::event::{Context, Event, Request, Then, Token};
use crate::group::Group;
use crate::migrate::classic_tombstone;
use crate::offsets::{OffsetStore, delete};
use crate::record::{Record, cut_to_batch};
use crate::response::Response;
use crate::step::Step;
use crate::wire::ErrorCode;
use crate::wire::delete_groups_response::DeletableGroupResult;
use crate::wire::list_groups_response::ListedGroup;

/// The groups that pass both filters; names in any case, an empty filter passes all.
pub(crate) fn list<'a>(
    groups: impl Iterator<Item = (&'a Arc<str>, &'a Group)>,
    states: &[String],
    types: &[String],
) -> Vec<ListedGroup> {
    let passes = |filter: &[String], name: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
    };
    groups
        .filter(|(_, group)| passes(states, group.state().name()) && passes(types, group.kind()))
        .map(|(id, group)| ListedGroup {
            group_id: id.to_string(),
            protocol_type: group.protocol_type().to_owned(),
            group_state: group.state().name().to_owned(),
            group_type: group.kind().to_owned(),
        })
        .collect()
}

/// The records that delete a group without members.
pub(crate) fn group_tombstones(id: &Arc<str>, group: &Group) -> Vec<Record> {
    match group {
        Group::Classic(_) => vec![classic_tombstone(id)],
        Group::Consumer(group) => records::group_tombstones(group),
    }
}

/// Deletes a group without members, with its offsets.
pub(crate) fn delete_group(
    group: Option<&Group>,
    store: &OffsetStore,
    step: &mut Step<'_>,
    (token, context): (Token, &Context),
    group_id: String,
) {
    let error = match group {
        None => ErrorCode::GroupIdNotFound,
        Some(group) if !group.is_empty() => ErrorCode::NonEmptyGroup,
        Some(_) => ErrorCode::None,
    };
    let id: Arc<str> = group_id.as_str().into();
    let response = Response::DeleteGroup(DeletableGroupResult {
        group_id: group_id.clone(),
        error_code: error.code(),
    });
    let Some(group) = group.filter(|_| error == ErrorCode::None) else {
        return step.reply(token, response);
    };
    let mut written = delete::all_of_group(store, &id);
    let rest = cut_to_batch(&mut written);
    step.tally.offsets_deleted(written.len());
    if rest {
        // The group goes with the last of its offsets.
        let (context, request) = (context.clone(), Request::DeleteGroup(group_id));
        let event = Box::new(Event::Request { token, context, request });
        return step.write(written, Then::Again { event, refused: Some((token, response)) });
    }
    written.extend(group_tombstones(&id, group));
    step.write(written, Then::Reply(vec![(token, response)]));
}
