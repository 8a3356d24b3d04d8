#pragma once

#include "policy/hold.h"
#include "policy/notice.h"
#include "policy/opt_out.h"
#include "policy/review.h"

/// What people are told about holds, opt-outs, reviews and flags, in one place so that the texts
/// agree. Internal to this folder.
namespace sallyport::proxy::approval {

[[nodiscard]] policy::notice hold_notice(policy::notice_event e, const policy::hold& h,
                                         policy::instant at);
[[nodiscard]] policy::notice opt_out_notice(policy::notice_event e, const policy::opt_out& o,
                                            policy::instant at);
[[nodiscard]] policy::notice review_notice(policy::notice_event e, const policy::review& r,
                                           policy::instant at);
[[nodiscard]] policy::notice flag_notice(policy::notice_event e, const policy::flag& f,
                                         policy::instant at);

/// It is for everybody on the rule's list.
void announce(policy::notice& n, const policy::break_glass_spec& s);

/// "2 of groups security, dba; bob".
[[nodiscard]] std::string people_of(const policy::approvers& a);

/// The event of an end: expired and withdrawn holds, all ends of requests and opt-outs.
[[nodiscard]] policy::notice_event event_of(policy::hold_state s);
[[nodiscard]] policy::notice_event event_of(policy::opt_out_state s);

}  // namespace sallyport::proxy::approval
