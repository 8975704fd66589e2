//! Which transition a request or a deadline belongs to.

use std::sync::Arc;

use crate::classic::join::Join;
use crate::classic::{self, ClassicGroup};
use crate::consumer::leave::Leave;
use crate::consumer::{self, ConsumerGroup, Refusal, classic_members};
use crate::event::{Context, Event, Now, Output, Request, Then, Token};
use crate::group::Group;
use crate::offsets::fetch::Fetch;
use crate::offsets::{commit, delete};
use crate::rebalances::RebalanceReason;
use crate::response::Response;
use crate::shard::{Shard, answer};
use crate::step::Step;
use crate::timers::Timer;
use crate::wire::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ErrorCode, HeartbeatRequest,
    HeartbeatResponse, JoinGroupRequest, LeaveGroupRequest, LeaveGroupResponse,
    OffsetCommitRequest, OffsetDeleteRequest, SyncGroupRequest,
};
use crate::{describe, fit, list, migrate};

impl Shard {
    pub(crate) fn request(
        &mut self,
        now: Now,
        token: Token,
        context: &Context,
        request: Request,
    ) -> Output {
        match request {
            Request::JoinGroup(request) => self.join(now, token, context, request),
            Request::SyncGroup(request) => self.sync(now, token, context, request),
            Request::Heartbeat(request) => self.heartbeat(now, token, &request),
            Request::LeaveGroup(request) => self.leave(now, token, context, request),
            Request::OffsetCommit(request) => self.commit(now, token, context, request),
            Request::OffsetFetch { group, require_stable } => {
                let fetch = Fetch {
                    store: &self.offsets,
                    topics: &self.kit.topics,
                    context,
                    require_stable,
                };
                let entry = self.groups.get(group.group_id.as_str());
                // Stable offsets are the newest ones: they have to be committed first.
                let after = entry.filter(|_| require_stable).and_then(|entry| entry.last_record);
                let found = fetch.answer(entry.map(|entry| &entry.group), group);
                let mut output = answer(token, Response::OffsetFetch(found));
                output.replies.iter_mut().for_each(|reply| reply.after = after);
                output
            }
            Request::OffsetDelete(request) => self.delete_offsets(now, token, request),
            Request::ConsumerGroupHeartbeat(request) => {
                self.consumer_heartbeat(now, token, context, &request)
            }
            Request::ListGroups { states, types } => {
                let groups = self.groups.iter().map(|(id, entry)| (id, &entry.group));
                answer(token, Response::ListGroups(list::list(groups, &states, &types)))
            }
            Request::DescribeGroup(id) => {
                let group = self.groups.get(id.as_str()).map(|entry| &entry.group);
                let described = describe::classic(id, group, context.api_version);
                answer(token, Response::DescribeGroup(described))
            }
            Request::ConsumerGroupDescribe(id) => {
                let after = self.groups.get(id.as_str()).and_then(|entry| entry.last_record);
                let step = self.kit.step(now);
                let group = self.groups.get(id.as_str()).map(|entry| &entry.group);
                let described = describe::consumer(id, group, &step);
                let mut output = answer(token, Response::ConsumerGroupDescribe(described));
                output.replies.iter_mut().for_each(|reply| reply.after = after);
                output
            }
            Request::DeleteGroup(id) => {
                let mut step = self.kit.step(now);
                let group = self.groups.get(id.as_str()).map(|entry| &entry.group);
                list::delete_group(group, &self.offsets, &mut step, (token, context), id);
                step.output
            }
        }
    }

    fn join(
        &mut self,
        now: Now,
        token: Token,
        context: &Context,
        mut request: JoinGroupRequest,
    ) -> Output {
        let refused =
            |member_id: &str, error| answer(token, classic::join::refusal(member_id, error));
        let step = self.kit.step(now);
        if let Err(error) = classic::join::check(&step, &mut request) {
            return refused(&request.member_id, error);
        }
        match self.groups.get(request.group_id.as_str()).map(|entry| &entry.group) {
            Some(Group::Classic(_)) => self.join_classic(now, Join { token, context, request }),
            Some(Group::Consumer(group)) if !group.members.is_empty() => {
                self.join_consumer(now, token, context, &request)
            }
            // Only who has no id yet may make a group, or take over one without members.
            _ if !request.member_id.is_empty() => {
                refused(&request.member_id, ErrorCode::UnknownMemberId)
            }
            None if !self.has_room() => refused("", ErrorCode::CoordinatorNotAvailable),
            Some(Group::Consumer(_)) | None => self.create_classic(now, token, context, request),
        }
    }

    /// The group is stored before anything is said about it; the request goes on then.
    fn create_classic(
        &mut self,
        now: Now,
        token: Token,
        context: &Context,
        request: JoinGroupRequest,
    ) -> Output {
        let id: Arc<str> = request.group_id.as_str().into();
        let mut records = match self.groups.get(&id).map(|entry| &entry.group) {
            Some(Group::Consumer(group)) => consumer::records::group_tombstones(group),
            Some(Group::Classic(_)) | None => Vec::new(),
        };
        let empty = ClassicGroup::new(id, now.wall_ms);
        records.push(empty.record(&std::collections::HashMap::new()));
        let mut step = self.kit.step(now);
        let refused = classic::join::refusal(&request.member_id, ErrorCode::None);
        let (context, request) = (context.clone(), Request::JoinGroup(request));
        let event = Box::new(Event::Request { token, context, request });
        step.write(records, Then::Again { event, refused: Some((token, refused)) });
        step.output
    }

    fn join_consumer(
        &mut self,
        now: Now,
        token: Token,
        context: &Context,
        request: &JoinGroupRequest,
    ) -> Output {
        let mut step = self.kit.step(now);
        let entry = self.groups.get_mut(request.group_id.as_str());
        let Some(Group::Consumer(group)) = entry.map(|entry| &mut entry.group) else {
            return answer(token, classic::join::refusal("", ErrorCode::UnknownMemberId));
        };
        let joined = match classic_members::join(group, &mut step, context, request) {
            Ok(joined) => joined,
            Err(Refusal { error: ErrorCode::MemberIdRequired, message: id }) => {
                return answer(token, classic::join::refusal(&id, ErrorCode::MemberIdRequired));
            }
            Err(refusal) => {
                return answer(token, classic::join::refusal(&request.member_id, refusal.error));
            }
        };
        group.checked_version = Some(step.topics.version());
        let response = Response::JoinGroup(joined.response);
        if let Some(replaced) = &joined.replaced
            && migrate::may_downgrade_replaced(group, &step, replaced)
        {
            let records = migrate::downgrade(group, &step, replaced, Some(&joined.member));
            if let Some(records) = records {
                let id = group.id.clone();
                let replies = vec![(token, response)];
                step.write(records, Then::Downgraded { group: id, rebalance: false, replies });
                return step.output;
            }
        }
        step.write_and_reply(joined.records, token, response);
        step.output
    }

    fn sync(
        &mut self,
        now: Now,
        token: Token,
        context: &Context,
        request: SyncGroupRequest,
    ) -> Output {
        let refused = |error| answer(token, classic::sync::refusal(error));
        // From v5 on both have to be said (`areMandatoryProtocolTypeAndNamePresent`).
        let unsaid = request.protocol_type.is_none() || request.protocol_name.is_none();
        if context.api_version >= 5 && unsaid {
            return refused(ErrorCode::InconsistentGroupProtocol);
        }
        if request.group_id.is_empty() {
            return refused(ErrorCode::InvalidGroupId);
        }
        let id: Arc<str> = request.group_id.as_str().into();
        let mut step = self.kit.step(now);
        match self.groups.get_mut(&id).map(|entry| &mut entry.group) {
            None => return refused(ErrorCode::UnknownMemberId),
            Some(Group::Classic(group)) => classic::sync::sync(group, &mut step, token, request),
            Some(Group::Consumer(group)) => {
                let response = match classic_members::sync(group, &mut step, &request) {
                    Ok(response) => Response::SyncGroup(response),
                    Err(refusal) => classic::sync::refusal(refusal.error),
                };
                step.reply(token, response);
            }
        }
        let (output, reason) = step.done();
        self.settle(now, &id, reason);
        output
    }

    fn heartbeat(&mut self, now: Now, token: Token, request: &HeartbeatRequest) -> Output {
        let mut step = self.kit.step(now);
        let group = self.groups.get(request.group_id.as_str()).map(|entry| &entry.group);
        let result = match group {
            _ if request.group_id.is_empty() => Err(ErrorCode::InvalidGroupId),
            None => Err(ErrorCode::UnknownMemberId),
            Some(Group::Classic(group)) => classic::heartbeat::heartbeat(group, &mut step, request),
            Some(Group::Consumer(group)) => classic_members::heartbeat(group, &mut step, request)
                .map_err(|refusal| refusal.error),
        };
        let error_code = result.err().unwrap_or(ErrorCode::None).code();
        let response = HeartbeatResponse { error_code, ..HeartbeatResponse::default() };
        answer(token, Response::Heartbeat(response))
    }

    fn leave(
        &mut self,
        now: Now,
        token: Token,
        context: &Context,
        request: LeaveGroupRequest,
    ) -> Output {
        let refused = |error: ErrorCode| {
            let response =
                LeaveGroupResponse { error_code: error.code(), ..LeaveGroupResponse::default() };
            answer(token, Response::LeaveGroup(response))
        };
        if request.group_id.is_empty() {
            return refused(ErrorCode::InvalidGroupId);
        }
        let id: Arc<str> = request.group_id.as_str().into();
        let members = fit::leaving(request, context.api_version);
        let mut step = self.kit.step(now);
        match self.groups.get_mut(&id).map(|entry| &mut entry.group) {
            None if context.api_version < 3 => return refused(ErrorCode::UnknownMemberId),
            None => return answer(token, classic::leave::of_no_group(members)),
            Some(Group::Classic(group)) => classic::leave::leave(group, &mut step, token, members),
            Some(Group::Consumer(group)) => {
                let (records, response) = classic_members::leave_members(group, &mut step, members);
                step.write_and_reply(records, token, Response::LeaveGroup(response));
            }
        }
        let (output, reason) = step.done();
        self.settle(now, &id, reason);
        output
    }

    fn commit(
        &mut self,
        now: Now,
        token: Token,
        context: &Context,
        request: OffsetCommitRequest,
    ) -> Output {
        let is_new = !self.groups.contains_key(request.group_id.as_str());
        if is_new && !self.has_room() {
            let error = ErrorCode::CoordinatorNotAvailable;
            return answer(token, commit::refusal(&request, error));
        }
        let mut step = self.kit.step(now);
        let entry = self.groups.get_mut(request.group_id.as_str());
        commit::commit(entry.map(|entry| &mut entry.group), &mut step, token, context, request);
        step.output
    }

    fn delete_offsets(&mut self, now: Now, token: Token, request: OffsetDeleteRequest) -> Output {
        let mut step = self.kit.step(now);
        let group = self.groups.get(request.group_id.as_str()).map(|entry| &entry.group);
        delete::delete(group, &self.offsets, &mut step, token, request);
        step.output
    }

    fn consumer_heartbeat(
        &mut self,
        now: Now,
        token: Token,
        context: &Context,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Output {
        let has_room = self.has_room();
        let mut step = self.kit.step(now);
        let entry = self.groups.get_mut(request.group_id.as_str());
        let group = entry.map(|entry| &mut entry.group);
        let done =
            consumer::validate::request(request, &step, context.api_version).and_then(|()| {
                if request.member_epoch < 0 {
                    leave_consumer(group, &mut step, token, request)
                } else {
                    beat(group, &mut step, token, (context, has_room), request)
                }
            });
        if let Err(refusal) = done {
            let response = ConsumerGroupHeartbeatResponse {
                error_code: refusal.error.code(),
                error_message: Some(refusal.message),
                ..ConsumerGroupHeartbeatResponse::default()
            };
            step.reply(token, Response::ConsumerGroupHeartbeat(response));
        }
        step.output
    }
}

fn not_found(id: &str) -> Refusal {
    Refusal::new(ErrorCode::GroupIdNotFound, format!("Consumer group {id} not found."))
}

/// A heartbeat that joins or goes on. A group of the other kind is converted by who joins.
fn beat(
    group: Option<&mut Group>,
    step: &mut Step<'_>,
    token: Token,
    (context, has_room): (&Context, bool),
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<(), Refusal> {
    let joins = request.member_epoch == consumer::member::JOIN_EPOCH;
    let (records, response) = match group {
        Some(Group::Consumer(group)) => {
            let done = consumer::heartbeat::heartbeat(group, step, context, request)?;
            // Only now: a request that was refused looked at no topics.
            group.checked_version = Some(step.topics.version());
            done
        }
        _ if !joins => return Err(not_found(&request.group_id)),
        Some(Group::Classic(classic)) if classic.members.is_empty() => {
            let fresh = ConsumerGroup::new(classic.id.clone());
            let (made, response) = consumer::heartbeat::heartbeat(&fresh, step, context, request)?;
            let mut records = vec![migrate::classic_tombstone(&classic.id)];
            records.extend(made);
            (records, response)
        }
        Some(Group::Classic(classic)) => {
            let (converted, mut records) = migrate::upgrade(classic, step)?;
            let (made, response) =
                consumer::heartbeat::heartbeat(&converted, step, context, request)?;
            records.extend(made);
            classic::refuse_all(classic, step, ErrorCode::RebalanceInProgress);
            classic::stop_timers(classic, step);
            for member in converted.members.values() {
                let timeout_ms =
                    member.classic.as_ref().map_or(0, |known| known.session_timeout_ms);
                let session = Timer::ConsumerSession(converted.id.clone(), member.id.clone());
                step.schedule(session, timeout_ms);
            }
            (records, response)
        }
        None if !has_room => {
            let message = "This coordinator has as many groups as it can hold.";
            return Err(Refusal::new(ErrorCode::CoordinatorNotAvailable, message));
        }
        None => {
            let fresh = ConsumerGroup::new(request.group_id.as_str().into());
            consumer::heartbeat::heartbeat(&fresh, step, context, request)?
        }
    };
    step.write_and_reply(records, token, Response::ConsumerGroupHeartbeat(response));
    Ok(())
}

fn leave_consumer(
    group: Option<&mut Group>,
    step: &mut Step<'_>,
    token: Token,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<(), Refusal> {
    let Some(Group::Consumer(group)) = group else {
        let message = format!("Group {} not found.", request.group_id);
        return Err(Refusal::new(ErrorCode::GroupIdNotFound, message));
    };
    let (leave, response) = consumer::leave::leave(group, request)?;
    let response = Response::ConsumerGroupHeartbeat(response);
    match leave {
        Leave::Away(records) => step.write(records, Then::Reply(vec![(token, response)])),
        Leave::Fence(id) => {
            fence(group, step, &id, (RebalanceReason::Leave, vec![(token, response)]));
        }
    }
    Ok(())
}

/// Removes a member; the group becomes a classic one if it was the last that needed the other.
pub(crate) fn fence(
    group: &ConsumerGroup,
    step: &mut Step<'_>,
    id: &Arc<str>,
    (reason, replies): (RebalanceReason, Vec<(Token, Response)>),
) {
    if migrate::may_downgrade(group, step, id) {
        if let Some(records) = migrate::downgrade(group, step, id, None) {
            step.cancel_consumer_member(&group.id, id);
            let then = Then::Downgraded { group: group.id.clone(), rebalance: true, replies };
            return step.write(records, then);
        }
        tracing::warn!(group = %group.id, "cannot downgrade: a member's metadata is malformed");
    }
    let records = consumer::leave::fence(group, step, std::slice::from_ref(id), reason);
    step.write(records, Then::Reply(replies));
}
