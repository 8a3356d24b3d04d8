#pragma once

#include <string>
#include <vector>

#include "policy/hold.h"
#include "policy/opt_out.h"
#include "policy/review.h"
#include "proxy/audit/record.h"

/// The audit records of holds and opt-outs, in one place so that their fields agree.
namespace sallyport::proxy::approval {

[[nodiscard]] audit::record hold_record(const char* event, const policy::hold& h,
                                        policy::instant at);
[[nodiscard]] audit::record opt_out_record(const char* event, const policy::opt_out& o,
                                           policy::instant at);
[[nodiscard]] audit::record pass_record(const char* event, const policy::pass& p,
                                        policy::instant at);
[[nodiscard]] audit::record review_record(const char* event, const policy::review& v,
                                          policy::instant at);
[[nodiscard]] audit::record flag_record(const char* event, const policy::flag& f,
                                        policy::instant at);
/// voter, vote, vote_reason, surface.
void add_vote(audit::record& r, const policy::vote& v);
/// Sets a field, in place of one of that name that is there already.
void set_field(audit::record& r, const std::string& name, std::string value);
/// The persons who approved, in the order of their votes: "bob, carol".
[[nodiscard]] std::string approvers_of(const std::vector<policy::vote>& votes);

}  // namespace sallyport::proxy::approval
