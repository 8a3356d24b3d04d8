#include "proxy/approval/notices.h"

#include "proxy/approval/records.h"

namespace sallyport::proxy::approval {

using policy::notice;
using policy::notice_about;
using policy::notice_event;

namespace {

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& w : words)
        out += (out.empty() ? "" : ", ") + w;
    return out;
}

}  // namespace

std::string people_of(const policy::approvers& a) {
    std::string who;
    if (!a.groups.empty()) who = (a.groups.size() > 1 ? "groups " : "group ") + joined(a.groups);
    if (const auto names = joined(a.by_name()); !names.empty())
        who += (who.empty() ? "" : "; ") + names;
    if (who.empty() || a.approvals <= 1) return who;
    return std::to_string(a.approvals) + " of " + who;
}

notice hold_notice(notice_event e, const policy::hold& h, policy::instant at) {
    notice n;
    n.event = e;
    n.about = notice_about::hold;
    n.id = h.id.value;
    n.at = at;
    n.person = h.person;
    n.rule = h.rule;
    n.target = h.target;
    n.reason = h.reason;
    n.kind = policy::to_string(h.kind);
    n.what = joined(h.touches);
    n.application = h.application;
    n.address = h.address;
    const bool asks = e == notice_event::requested || e == notice_event::escalated ||
                      e == notice_event::reassigned;
    n.until = asks ? h.expires_at : policy::instant{};
    if (!asks) return n;
    n.asked = people_of(h.who);
    n.to_users = h.who.users;
    n.to_groups = h.who.groups;
    n.statement = h.redacted;
    n.statement_bytes = h.redacted.size();
    return n;
}

notice opt_out_notice(notice_event e, const policy::opt_out& o, policy::instant at) {
    notice n;
    n.event = e;
    n.about = notice_about::opt_out;
    n.id = o.id.value;
    n.at = at;
    n.person = o.person;
    n.rule = o.rule;
    n.target = o.target;
    n.reason = o.reason;
    n.ticket = o.ticket;
    n.kind = policy::to_string(o.kind);
    n.uses = o.uses;
    n.until = e == notice_event::requested ? o.request_expires_at : o.until;
    if (!o.group.empty()) n.what = "for everybody in group " + o.group;
    if (e != notice_event::requested) return n;
    n.asked = people_of(o.born_with);
    n.to_users = o.born_with.users;
    n.to_groups = o.born_with.groups;
    return n;
}

notice review_notice(notice_event e, const policy::review& r, policy::instant at) {
    notice n;
    n.event = e;
    n.about = notice_about::review;
    n.id = r.id.value;
    n.at = at;
    n.person = r.person;
    n.rule = r.rule;
    n.kind = policy::to_string(r.kind);
    n.uses = r.uses;
    n.until = r.due_at;
    n.by = r.reviewer;
    n.note = r.note;
    return n;
}

notice flag_notice(notice_event e, const policy::flag& f, policy::instant at) {
    notice n;
    n.event = e;
    n.about = notice_about::flag;
    n.id = f.id.value;
    n.at = at;
    n.kind = policy::to_string(f.kind);
    n.what = std::string(policy::to_string(f.on)) + " " + f.subject;
    if (f.on == policy::flag_on::principal) n.person = f.subject;
    if (f.on == policy::flag_on::rule) n.rule = f.subject;
    if (f.on == policy::flag_on::target) n.target = f.subject;
    n.by = f.set_by;
    n.reason = f.reason;
    n.until = f.until;
    return n;
}

void announce(notice& n, const policy::break_glass_spec& s) {
    n.asked = people_of(s.announce);
    n.to_users = s.announce.users;
    n.to_groups = s.announce.groups;
}

notice_event event_of(policy::hold_state s) {
    switch (s) {
        case policy::hold_state::pending:
            return notice_event::requested;
        case policy::hold_state::approved:
            return notice_event::approved;
        case policy::hold_state::denied:
            return notice_event::denied;
        case policy::hold_state::expired:
            return notice_event::expired;
        case policy::hold_state::withdrawn:
            break;
    }
    return notice_event::withdrawn;
}

notice_event event_of(policy::opt_out_state s) {
    switch (s) {
        case policy::opt_out_state::requested:
            return notice_event::requested;
        case policy::opt_out_state::active:
            return notice_event::approved;
        case policy::opt_out_state::denied:
            return notice_event::denied;
        case policy::opt_out_state::withdrawn:
            return notice_event::withdrawn;
        case policy::opt_out_state::lapsed:
            return notice_event::expired;
        case policy::opt_out_state::revoked:
            return notice_event::revoked;
        case policy::opt_out_state::expired:
        case policy::opt_out_state::used_up:
            break;
    }
    return notice_event::ended;
}

}  // namespace sallyport::proxy::approval
